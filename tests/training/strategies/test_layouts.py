"""Which axes of which weights are cut."""

import keras
import pytest

import keras_twins
from keras_twins.training.strategies.layouts import TwinsModelParallel
from tests import tiny


def cut_weights(model, model_devices: int) -> dict[str, tuple]:
    """Returns the axes of the weights that are cut, by path."""
    names = [f"cpu:{i}" for i in range(2 * model_devices)]
    mesh = keras.distribution.DeviceMesh(
        (2, model_devices), ("batch", "model"), names
    )
    parallel = TwinsModelParallel(mesh)
    layouts = {v.path: parallel.get_variable_layout(v) for v in model.variables}
    return {
        path: layout.axes
        for path, layout in layouts.items()
        if any(layout.axes)
    }


@pytest.fixture(scope="module")
def model():
    return keras_twins.classifier(tiny.MINIMAL, input_shape=(32, 32, 3))


def test_heads_and_hidden_units_are_cut(model):
    found = cut_weights(model, 2)
    # Two blocks with LSA, two with GSA.
    names = [tuple(path.split("/")[-2:]) for path in found]
    counts = {name: names.count(name) for name in names}
    assert counts == {
        ("qkv", "kernel"): 2,
        ("qkv", "bias"): 2,
        ("q", "kernel"): 2,
        ("q", "bias"): 2,
        ("kv", "kernel"): 2,
        ("kv", "bias"): 2,
        ("projection", "kernel"): 4,
        ("fc1", "kernel"): 4,
        ("fc1", "bias"): 4,
        ("fc2", "kernel"): 4,
    }


def test_layers_that_join_are_cut_along_their_inputs(model):
    for path, axes in cut_weights(model, 2).items():
        joins = path.endswith(("projection/kernel", "fc2/kernel"))
        assert axes.index("model") == (0 if joins else len(axes) - 1), path


def test_weights_that_cannot_be_cut_stay_whole(model):
    """Of widths 8, 16, 24 and 32, three devices divide 24 alone."""
    found = cut_weights(model, 3)
    widths = {max(v.shape) for v in model.variables if v.path in found}
    assert found
    assert all(width % 3 == 0 for width in widths)
    assert len(found) < len(cut_weights(model, 2))
