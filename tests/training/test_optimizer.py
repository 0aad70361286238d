import dataclasses

import keras
import numpy as np
import pytest

from keras_twins import TwinsBackbone
from keras_twins.segmentation import UPerNet
from keras_twins.training import adamw
from keras_twins.training import exempt_from_decay
from keras_twins.training import without_decay
from tests.tiny import SHALLOW
from tests.tiny import to_numpy

INPUTS = np.array([[1, 2, 0], [2, -1, 0]], "float32") / 8
TARGETS = np.array([[1], [-1]], "float32")


@pytest.fixture(params=["float32", "mixed_float16"])
def precision(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield
    keras.config.set_dtype_policy(before)


def compiled(exempt=False):
    """The third input is 0: its weight has no gradient, only decay."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    optimizer = adamw(0.1, 0.5, model.weights[:1] if exempt else None)
    model.compile(
        optimizer, "mse", jit_compile=keras.backend.backend() == "jax"
    )
    model.set_weights([np.ones((3, 1)), np.zeros(1)])
    return model


def train(model, steps=1):
    """Returns what is left of the weight without gradient."""
    before = to_numpy(model.weights[0])[2, 0]
    for _ in range(steps):
        model.train_on_batch(INPUTS, TARGETS)
    return to_numpy(model.weights[0])[2, 0] / before


def reload(model, path):
    model.save(path)
    return keras.saving.load_model(path)


def test_what_is_not_decayed():
    config = dataclasses.replace(SHALLOW, output_norms=True)
    backbone = TwinsBackbone(config, (32, 32, 3), final_norm=False)
    model = UPerNet(backbone, 3, filters=4)
    paths = {variable.path for variable in without_decay(model)}
    assert "stage0_peg/depthwise/bias" in paths
    assert "stage1_output_norm/gamma" in paths
    assert "stage0_block1/attention/reduction_norm/beta" in paths
    assert "stage0_patch_embedding/norm/gamma" in paths
    # Batch norms of the heads and plain biases are decayed.
    assert not any("head" in path or "fc1" in path for path in paths)
    assert not any(path.endswith("projection/bias") for path in paths)


def test_numbers_of_adamw():
    config = adamw(1e-3, 0.05).get_config()
    numbers = ("learning_rate", "weight_decay", "beta_1", "beta_2", "epsilon")
    found = [config[name] for name in numbers]
    np.testing.assert_allclose(found, [1e-3, 0.05, 0.9, 0.999, 1e-8])
    assert adamw(1e-3, 0.05, epsilon=1e-7, beta_2=0.99).beta_2 == 0.99


@pytest.mark.parametrize(("exempt", "left"), [(False, 0.95), (True, 1.0)])
def test_steps_decay_what_is_not_exempt(precision, exempt, left):
    assert train(compiled(exempt)) == pytest.approx(left)


def test_exemptions_are_renewed(precision, tmp_path):
    model = compiled(exempt=True)
    train(model, 3)
    loaded = reload(model, tmp_path / "model.keras")
    # Otherwise `exempt_from_decay` is no longer needed.
    assert train(loaded) == pytest.approx(0.95)
    exempt_from_decay(loaded, loaded.weights[:1])
    assert train(loaded, 2) == 1


def test_training_goes_on_as_if_never_saved(precision, tmp_path):
    model = compiled(exempt=True)
    train(model, 3)
    loaded = reload(model, tmp_path / "model.keras")
    exempt_from_decay(loaded, loaded.weights[:1])
    assert int(loaded.optimizer.iterations) == 3
    train(model, 2)
    train(loaded, 2)
    for one, other in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_allclose(to_numpy(other), to_numpy(one), rtol=1e-6)


def test_exemptions_before_the_first_step():
    model = compiled()
    exempt_from_decay(model, model.weights[:1])
    assert train(model, 2) == 1


def test_norms_are_exempt_by_default():
    norm = keras.layers.LayerNormalization()
    dense = keras.layers.Dense(2, kernel_initializer="ones")
    model = keras.Sequential([keras.Input((3,)), norm, dense])
    model.compile(adamw(0.1, 0.5), "mse")
    exempt_from_decay(model)
    zeros = [keras.ops.zeros(v.shape) for v in model.trainable_variables]
    model.optimizer.apply(zeros, model.trainable_variables)
    np.testing.assert_array_equal(to_numpy(norm.gamma), 1)
    np.testing.assert_allclose(to_numpy(dense.kernel), 0.95)


def test_models_without_optimizer_are_refused():
    model = keras.Sequential([keras.Input((3,))], name="bare")
    with pytest.raises(ValueError, match="`model` must be compiled.*bare"):
        exempt_from_decay(model)
