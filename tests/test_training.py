"""Training: gradients, gradient checkpointing, compilation, dtypes."""

import keras
import numpy as np
import pytest

import keras_twins
from tests import tiny
from tests.compiling import build_optimizer
from tests.gradients import weight_gradients
from tests.testers import double_precision


def _model(checkpointing=False, dtype=None, side=32, **rates):
    model = keras_twins.classifier(
        tiny.MINIMAL,
        input_shape=(side, side, 3),
        classes=3,
        classifier_activation=None,
        include_preprocessing=False,
        gradient_checkpointing=checkpointing,
        dtype=dtype,
        **rates,
    )
    tiny.randomise(model)
    return model


RANDOM = {
    "drop_path_rate": 0.4,
    "dropout_rate": 0.2,
    "attention_dropout_rate": 0.2,
}


CHECKPOINTING = {
    # name: (arguments, tolerance relative to the largest gradient)
    "plain": ({}, 1e-5),
    "random": (RANDOM, 1e-5),
    # Eight bits, rounded at other places: XLA fuses the two differently.
    # Other random numbers would move the gradients by all of their size.
    "mixed": ({"dtype": "mixed_bfloat16", **RANDOM}, 1e-1),
}


@pytest.mark.parametrize("name", CHECKPOINTING)
def test_gradient_checkpointing_keeps_the_gradients(name):
    rates, tolerance = CHECKPOINTING[name]
    # At 32 pixels, GSA has one key and no gradient; of few images, drop path
    # may drop all.
    x = tiny.images(8, 64, 64, 3)
    results = []
    for checkpointing in (False, True):
        keras.utils.set_random_seed(7)
        model = _model(checkpointing, side=64, **rates)
        assert _is_checkpointed(model) == checkpointing
        results.append(weight_gradients(model, x))
    plain, recomputed = results
    assert plain.keys() == recomputed.keys()
    for path, gradient in plain.items():
        assert np.abs(gradient).max() > 0, path
        difference = np.abs(recomputed[path] - gradient).max()
        assert difference < tolerance * np.abs(gradient).max(), path


def _is_checkpointed(model) -> bool:
    blocks = [
        layer
        for layer in model.layers
        if isinstance(layer, keras_twins.layers.TwinsBlock)
    ]
    return all(block.gradient_checkpointing for block in blocks)


def test_gradient_checkpointing_draws_anew_each_step():
    block = keras_twins.layers.TwinsBlock(
        "global", 2, dropout_rate=0.5, gradient_checkpointing=True
    )
    x = tiny.images(4, 4, 4, 8)
    outputs = [tiny.to_numpy(block(x, training=True)) for _ in range(2)]
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-3


@pytest.mark.parametrize(
    "jit_compile, checkpointing", [(False, False), (True, True)]
)
def test_training_lowers_the_loss(jit_compile, checkpointing, backend):
    if jit_compile and backend == "torch":
        pytest.skip("torch compiles for minutes: `make test-slow` does it")
    if backend == "jax" and not jit_compile:
        pytest.skip("JAX compiles each operation: `make test-slow` does it")
    _assert_loss_falls(_model(checkpointing, **RANDOM), jit_compile)


@pytest.mark.slow
def test_training_lowers_the_loss_with_jax_uncompiled(backend):
    if backend != "jax":
        pytest.skip("the other backends are in the quick suite")
    _assert_loss_falls(_model(**RANDOM), False, steps=3, ratio=1.0)


@pytest.mark.slow
# PyTorch's compiler uses what PyTorch has deprecated.
@pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")
@pytest.mark.parametrize("checkpointing", [False, True])
def test_training_lowers_the_loss_compiled_by_torch(checkpointing, backend):
    if backend != "torch":
        pytest.skip("the other backends are in the quick suite")
    _assert_loss_falls(_model(checkpointing, **RANDOM), True)


def _assert_loss_falls(
    model, jit_compile, steps: int = 12, ratio: float = 0.8
) -> None:
    x = tiny.images(12, 32, 32, 3)
    y = np.arange(12) % 3
    x += y[:, None, None, None]
    model.compile(
        optimizer=keras.optimizers.AdamW(3e-3, clipnorm=5.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit_compile,
    )
    build_optimizer(model)
    before = model.evaluate(x, y, verbose=0, batch_size=12)
    model.fit(x, y, epochs=steps, batch_size=12, verbose=0)
    after = model.evaluate(x, y, verbose=0, batch_size=12)
    assert np.isfinite(after) and after < ratio * before


@pytest.mark.parametrize(
    "policy", ["mixed_float16", "mixed_bfloat16", "bfloat16", "float64"]
)
def test_policies(policy):
    """Every sub-layer has the dtypes of the policy, and trains in them."""
    with double_precision(policy):
        model = _model(dtype=policy)
        expected = keras.DTypePolicy(policy)
        for layer in model._flatten_layers(include_self=False):
            if isinstance(layer, keras.layers.InputLayer):
                continue
            assert layer.compute_dtype == expected.compute_dtype, layer.path
            assert layer.variable_dtype == expected.variable_dtype, layer.path
        x, y = tiny.images(4, 32, 32, 3), np.array([0, 1, 2, 0])
        outputs = model.predict_on_batch(x)
        assert str(outputs.dtype) == expected.compute_dtype
        np.testing.assert_allclose(
            outputs.astype("float32"), _model().predict_on_batch(x), atol=0.1
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss=loss)
        scaled = isinstance(
            model.optimizer, keras.optimizers.LossScaleOptimizer
        )
        assert scaled == (policy == "mixed_float16")
        history = model.fit(x, y, epochs=2, verbose=0)
        assert np.isfinite(history.history["loss"]).all()
