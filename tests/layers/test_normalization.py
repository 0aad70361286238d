"""Layer normalization is Keras' own, computed in another way."""

import keras
import numpy as np
import pytest

import keras_twins
from keras_twins.layers.normalization import LayerNormalization
from tests.tiny import SHALLOW
from tests.tiny import images
from tests.tiny import to_numpy


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"axis": 1},
        {"center": False},
        {"scale": False},
    ],
)
def test_it_takes_what_keras_takes(arguments):
    x = images(2, 5, 5) + 3
    layers = [
        cls(epsilon=1e-3, **arguments)
        for cls in (LayerNormalization, keras.layers.LayerNormalization)
    ]
    ours, theirs = (to_numpy(layer(x)) for layer in layers)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(layers[0])
    )
    assert type(again) is LayerNormalization
    np.testing.assert_array_equal(to_numpy(again(x)), ours)


def test_files_of_weights_have_the_names_of_keras(tmp_path):
    import h5py

    model = keras_twins.TwinsBackbone(SHALLOW, name="model")
    model.save_weights(tmp_path / "model.weights.h5")
    with h5py.File(tmp_path / "model.weights.h5") as file:
        assert len(file["layers/layer_normalization/vars"]) == 2


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="torch.distributed"
)
@pytest.mark.parametrize("has_mask", [False, True])
def test_moments_of_processes_are_those_of_the_whole(monkeypatch, has_mask):
    """Of parts that are not equally large."""
    import torch

    from keras_twins.ops import normalization

    whole = torch.from_numpy(3 + 2 * images(5, 3, 3, 4))
    whole[1:] *= 2
    counts = torch.ones(5, 3, 3)
    if has_mask:
        counts[2:4, 1] = 0

    def moments(part, mask):
        flat = part[mask > 0]
        return flat.mean(0), flat.var(0, correction=0)

    parts = [slice(0, 1), slice(1, 5)]
    rows = [
        torch.cat([*moments(whole[p], counts[p]), counts[p].sum()[None]])
        for p in parts
    ]
    sent = []

    def gather(own):
        sent.append(own)
        return torch.stack(rows)

    monkeypatch.setattr(normalization, "_has_processes", lambda: True)
    monkeypatch.setattr(normalization, "_of_all_processes", gather)
    for part in parts:
        mask = counts[part] if has_mask else None
        found = normalization.moments_of_processes(
            *moments(whole[part], counts[part]), whole[part], mask
        )
        expected = moments(whole, counts)
        for x, y in zip(found, expected, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-5)
    np.testing.assert_allclose(torch.stack(sent), torch.stack(rows), rtol=1e-6)
