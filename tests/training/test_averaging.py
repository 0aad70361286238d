import keras
import numpy as np
import pytest

from keras_twins.training.averaging import averaged_weights
from keras_twins.training.optimizer import adamw
from tests.tiny import to_numpy

INPUTS = np.array([[1, 2, 0], [2, -1, 0]], "float32") / 8
TARGETS = np.array([[1], [-1]], "float32")
MOMENTUM = 0.75


@pytest.fixture(params=["float32", "mixed_float16"], autouse=True)
def precision(request):
    keras.config.set_dtype_policy(request.param)


def compiled(**kwargs):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    kwargs = {"use_ema": True, "ema_momentum": MOMENTUM, **kwargs}
    model.compile(
        adamw(0.1, 0.5, **kwargs),
        "mse",
        jit_compile=keras.backend.backend() == "jax",
    )
    return model


def trained(model, steps=4):
    """Returns the values of the weights after each step."""
    values = []
    for _ in range(steps):
        model.train_on_batch(INPUTS, TARGETS)
        values.append(model.get_weights())
    return values


def average(values):
    """As timm's, but that it begins with the weights of the first update."""
    result = values[0]
    for value in values[1:]:
        result = [
            MOMENTUM * old + (1 - MOMENTUM) * new
            for old, new in zip(result, value, strict=True)
        ]
    return result


def assert_weights(model, expected, rtol=0.0):
    for variable, value in zip(model.weights, expected, strict=True):
        np.testing.assert_allclose(to_numpy(variable), value, rtol=rtol)


def test_the_average_is_in_the_model_for_a_while():
    model = compiled()
    values = trained(model)
    expected = average(values)
    with averaged_weights(model):
        assert_weights(model, expected, rtol=1e-6)
        inside = model.predict(INPUTS, verbose=0)
    assert_weights(model, values[-1])
    outside = model.predict(INPUTS, verbose=0)
    assert np.abs(outside - inside).max() > 1e-3
    np.testing.assert_allclose(
        inside, INPUTS @ expected[0] + expected[1], atol=2e-3
    )


def test_training_goes_on_as_if_nothing_was_averaged():
    models = [compiled(), compiled()]
    models[1].set_weights(models[0].get_weights())
    trained(models[0])
    with averaged_weights(models[0]):
        pass
    last = trained(models[0])[-1]
    assert_weights(models[1], trained(models[1], 8)[-1])
    for one, other in zip(last, models[1].get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_predictions_do_not_use_the_average_up():
    model = compiled()
    expected = average(trained(model))
    for _ in range(2):
        with averaged_weights(model):
            model.predict(INPUTS, verbose=0)
            assert_weights(model, expected, rtol=1e-5)


def test_weights_return_after_an_error():
    model = compiled()
    values = trained(model)
    with pytest.raises(KeyError), averaged_weights(model):
        raise KeyError
    assert_weights(model, values[-1])


@pytest.mark.parametrize("kwargs", [{"use_ema": False}, {}], ids=str)
def test_nothing_happens_without_an_average(kwargs, monkeypatch):
    model = compiled(**kwargs)
    if kwargs:
        trained(model, 1)
    else:
        model.optimizer.build(model.trainable_variables)
    before = model.get_weights()
    monkeypatch.delattr(keras.ops, "copy")
    with averaged_weights(model):
        assert_weights(model, before)


def test_models_without_optimizer():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    before = model.get_weights()
    with averaged_weights(model):
        assert_weights(model, before)


def test_parts_of_an_accumulated_batch_count_once():
    model = compiled(gradient_accumulation_steps=3)
    values = trained(model, 8)
    # Before the first update the average is that of no update.
    expected = average([values[2], values[5]])
    with averaged_weights(model):
        assert_weights(model, expected, rtol=1e-6)


def test_the_average_before_the_first_update():
    model = compiled(gradient_accumulation_steps=3)
    values = trained(model, 1)
    with averaged_weights(model):
        assert_weights(model, values[0])
