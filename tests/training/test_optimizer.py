import dataclasses
import math

import keras
import numpy as np
import pytest

from keras_twins import TwinsBackbone
from keras_twins.layers import PositionEncodingGenerator
from keras_twins.segmentation import UPerNet
from keras_twins.training.cosine_epochs import WarmupCosineEpochs
from keras_twins.training.optimizer import ResumableAdamW
from keras_twins.training.optimizer import adamw
from keras_twins.training.optimizer import exempt_from_decay
from keras_twins.training.optimizer import without_decay
from keras_twins.training.optimizer import without_decay_imagenet
from tests.tiny import SHALLOW
from tests.tiny import to_numpy
from tests.training.torch_adamw import random_like
from tests.training.torch_adamw import torch_train

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


def position_encoded():
    """A kernel and vectors that are not decayed, and one that is."""
    layers = [PositionEncodingGenerator(), keras.layers.LayerNormalization()]
    return keras.Sequential(
        [keras.Input((4, 4, 4)), *layers, keras.layers.Dense(3)]
    )


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


def test_what_is_not_decayed_on_imagenet():
    backbone = TwinsBackbone(SHALLOW, (32, 32, 3))
    exempt = {variable.path for variable in without_decay_imagenet(backbone)}
    decayed = {v.path for v in backbone.trainable_variables} - exempt
    assert "stage0_peg/depthwise/kernel" in exempt
    assert "stage0_block1/attention/reduction_norm/beta" in exempt
    assert "stage0_block0/mlp/fc1/bias" in exempt
    assert "norm/gamma" in exempt
    assert "stage0_block0/mlp/fc1/kernel" in decayed
    assert "stage0_patch_embedding/projection/kernel" in decayed
    assert all(path.endswith("/kernel") for path in decayed)


def official_rate(epoch, epochs, warmup, peak):
    """The rate of timm's scheduler, told the epoch that has ended."""
    time = max(epoch - 1, 0)
    if time < warmup:
        return 1e-6 + time * (peak - 1e-6) / warmup
    cosine = math.cos(math.pi * time / epochs)
    return 1e-5 + 0.5 * (peak - 1e-5) * (1 + cosine)


def test_weights_are_those_of_pytorch():
    model = position_encoded()
    weights = model.trainable_variables
    start = random_like(weights, seed=0, size=0.1)
    for variable, value in zip(weights, start, strict=True):
        variable.assign(value)
    # Some are clipped.
    sizes = (3.0, 0.01, 1.0, 0.1) * 3
    gradients = [random_like(weights, i + 1, x) for i, x in enumerate(sizes)]
    rates = [official_rate(step // 2, 6, 2, 1e-2) for step in range(12)]
    exempt = without_decay_imagenet(model)
    schedule = WarmupCosineEpochs(1e-2, 2, 6, warmup_epochs=2, delay=1)
    optimizer = adamw(schedule, 0.05, exempt, global_clipnorm=5.0)
    for gradient in gradients:
        tensors = [keras.ops.convert_to_tensor(x) for x in gradient]
        optimizer.apply(tensors, weights)
    # The kernel of the dense layer is the last but one.
    decays = [0.0, 0.0, 0.0, 0.0, 0.05, 0.0]
    expected = torch_train(start, gradients, rates, decays)
    for variable, value, before in zip(weights, expected, start, strict=True):
        assert np.abs(value - before).max() > 1e-2
        # Epsilon is added elsewhere, and PyTorch clips to a norm of 5 - 5e-6:
        # less than a thousandth of one step.
        np.testing.assert_allclose(to_numpy(variable), value, atol=1e-6)


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


def test_kernels_of_position_encodings_stay_exempt(tmp_path):
    model = position_encoded()
    model.compile(adamw(0.1, 0.5, without_decay_imagenet(model)), "mse")
    model.optimizer.build(model.trainable_variables)
    loaded = reload(model, tmp_path / "model.keras")
    exempt_from_decay(loaded, without_decay_imagenet(loaded))
    before = loaded.get_weights()
    zeros = [keras.ops.zeros(v.shape) for v in loaded.trainable_variables]
    loaded.optimizer.apply(zeros, loaded.trainable_variables)
    *kept, kernel, bias = loaded.get_weights()
    *others, decayed, last = before
    for new, old in zip([*kept, bias], [*others, last], strict=True):
        np.testing.assert_array_equal(new, old)
    np.testing.assert_allclose(kernel, 0.95 * decayed, rtol=1e-6)


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


def test_fit_leaves_the_weights_of_the_last_step(precision):
    kwargs = {"use_ema": True, "ema_momentum": 0.5}
    models = [compiled(), compiled()]
    models[0].compile(adamw(0.1, 0.5, **kwargs), "mse")
    for model in models:
        for _ in range(2):
            model.fit(INPUTS, TARGETS, batch_size=2, shuffle=False, verbose=0)
    for one, other in zip(*(model.weights for model in models), strict=True):
        np.testing.assert_allclose(to_numpy(one), to_numpy(other), rtol=1e-6)


def test_nothing_to_decay():
    variable = keras.Variable(np.ones(2, "float32"))
    optimizer = adamw(0.1, 0.5, [variable])
    optimizer.apply([keras.ops.zeros(2)], [variable])
    np.testing.assert_array_equal(to_numpy(variable), 1)


def applied(gradients, **kwargs):
    """Returns a weight after updates, and the optimizer."""
    variable = keras.Variable(np.ones(3, "float32"))
    # So much epsilon makes the update follow the size of the gradient.
    optimizer = adamw(0.1, 0.5, epsilon=1.0, global_clipnorm=5.0, **kwargs)
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    return to_numpy(variable), optimizer


def test_accumulated_gradients_are_clipped_as_one():
    gradients = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    # If each were clipped, little would be left of the first.
    gradients[0] *= 100
    found, optimizer = applied(gradients, gradient_accumulation_steps=2)
    expected, _ = applied(gradients.reshape(2, 2, 3).mean(axis=1))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert int(optimizer.iterations) == 2


def test_schedules_count_parts_of_an_accumulated_batch():
    schedule = WarmupCosineEpochs(1.0, 2, 10, warmup_epochs=5)
    optimizer = ResumableAdamW(schedule, gradient_accumulation_steps=2)
    variable = keras.Variable(np.ones(1, "float32"))
    rates = []
    for _ in range(5):
        rates.append(float(optimizer.learning_rate))
        optimizer.apply([keras.ops.ones(1)], [variable])
    expected = [float(schedule(step)) for step in range(5)]
    assert rates == expected
    assert rates[1] < rates[2] < rates[4]
