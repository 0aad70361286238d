import keras
import pytest

from keras_twins.training.run.building import build_for_training
from keras_twins.training.run.building import check_model
from tests.training.run import small


def model(optimizer, **kwargs):
    found = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    found.compile(optimizer, "mse", **kwargs)
    return found


@pytest.mark.parametrize("scaled", [False, True])
def test_optimizer_that_overwrites_weights_is_refused(scaled):
    optimizer = keras.optimizers.SGD(0.1, use_ema=True)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    with pytest.raises(ValueError, match="SGD.*adamw"):
        check_model(model(optimizer), 5)


def test_optimizer_that_does_not_overwrite_weights_is_taken():
    check_model(model(keras.optimizers.SGD(0.1)), 5)
    check_model(small.model(), 5)


def test_model_must_be_built_and_compiled():
    with pytest.raises(ValueError, match="optimizer=None"):
        check_model(keras.Sequential([keras.Input((2,))]), 5)
    empty = keras.Sequential([keras.layers.Dense(1)])
    empty.compile("sgd", "mse")
    with pytest.raises(ValueError, match="built=False"):
        check_model(empty, 5)


def test_groups_of_steps_must_fill_an_epoch():
    grouped = model("sgd", steps_per_execution=2)
    check_model(grouped, 4)
    with pytest.raises(ValueError, match="steps_per_execution=2"):
        check_model(grouped, 5)


def test_everything_is_built_before_the_first_step():
    fresh = small.model()
    assert len(fresh.metrics_variables) < 4
    build_for_training(fresh, small.batches)
    assert len(fresh.metrics_variables) == 4
    assert fresh.optimizer.built
