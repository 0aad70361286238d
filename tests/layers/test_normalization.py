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
