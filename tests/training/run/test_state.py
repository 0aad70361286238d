import keras
import numpy as np
import pytest

from keras_twins.training.run import CheckpointMismatchError
from keras_twins.training.run.building import build_for_training
from keras_twins.training.run.state import TrainingState
from keras_twins.training.run.state import TrainingVariables
from keras_twins.training.run.state import is_finite
from keras_twins.training.strategies import SingleDevice
from tests.training.run import small


class TwoProcesses:
    """One of two processes; the other one's values are added to its own."""

    def __init__(self, index, other=None):
        self.shard = (2, index)
        self._other = other or []
        self.sent = []
        self._device = SingleDevice()
        self.read = self._device.read
        self.write = self._device.write

    def sum_arrays(self, arrays):
        self.sent.append(arrays)
        others = self._other.pop(0) if self._other else [0] * len(arrays)
        return [x + y for x, y in zip(arrays, others, strict=True)]


@pytest.fixture(scope="module")
def trained():
    model = small.model()
    build_for_training(model, small.batches)
    return model


def test_everything_that_changes_is_read(trained):
    arrays = TrainingVariables(trained, SingleDevice()).read()
    groups = [name.split("/")[0] for name in arrays]
    # Three layers of two and a batch norm of four; for each of eight trainable
    # ones, two moments and an average, and the number of steps.
    assert groups.count("model") == 10
    assert groups.count("optimizer") == 8 * 3 + 1
    # Keras' own generator, those of the random depth and of the dropout.
    assert groups.count("seeds") == 3
    torch = keras.backend.backend() == "torch"
    assert groups.count("generators") == (1 if torch else 0)
    # Sum and count of the loss and the accuracy.
    assert groups.count("metrics") == 4
    assert len(set(arrays)) == len(groups)


def test_values_are_written_back(trained):
    variables = TrainingVariables(trained, SingleDevice())
    before = variables.read()
    # Not every array of bytes is the state of a generator.
    before = {k: v for k, v in before.items() if "generators" not in k}
    variables.write({name: array + 1 for name, array in before.items()})
    for name, array in before.items():
        np.testing.assert_array_equal(variables.read()[name], array + 1)
    metrics = variables.metrics_of(before)
    variables.write(metrics)
    after = variables.read()
    for name, array in before.items():
        change = 0 if name in metrics else 1
        np.testing.assert_array_equal(after[name], array + change)
    variables.write(before)


def test_processes_have_seeds_and_metrics_of_their_own(trained):
    alone = TrainingVariables(trained, SingleDevice()).read()
    first = TwoProcesses(0)
    TrainingVariables(trained, first).read()
    names = [name for name in alone if name.startswith("seeds")]
    variables = TrainingVariables(trained, SingleDevice())
    variables.write({name: alone[name] + 5 for name in names})
    second = TwoProcesses(1, first.sent)
    saved = TrainingVariables(trained, second).read()
    for name in names:
        np.testing.assert_array_equal(saved[name][0], alone[name][0])
        np.testing.assert_array_equal(saved[name][1], alone[name][0] + 5)
    TrainingVariables(trained, TwoProcesses(0)).write(saved)
    now = variables.read()
    for name in names:
        np.testing.assert_array_equal(now[name], alone[name])


def test_other_model_is_refused(trained):
    arrays = TrainingVariables(trained, SingleDevice()).read()
    other = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2)])
    other.compile("sgd", "mse")
    other.optimizer.build(other.trainable_variables)
    before = other.get_weights()
    with pytest.raises(CheckpointMismatchError, match="model has 10.*: 2"):
        TrainingVariables(other, SingleDevice()).write(arrays)
    np.testing.assert_array_equal(other.get_weights()[0], before[0])


def test_other_shape_is_refused(trained):
    variables = TrainingVariables(trained, SingleDevice())
    arrays = variables.read()
    name = next(name for name in arrays if name.endswith("last/kernel"))
    arrays[name] = np.zeros((8, 4), "float32")
    with pytest.raises(CheckpointMismatchError, match="last/kernel.*8, 4"):
        variables.write(arrays)


def test_scale_of_the_loss_is_part_of_the_state():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    scaled = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1), initial_scale=64.0
    )
    model.compile(scaled, "mse")
    model.optimizer.build(model.trainable_variables)
    arrays = TrainingVariables(model, SingleDevice()).read()
    assert [x for x in arrays.values() if x.size == 1 and x == 64]


@pytest.mark.parametrize("name", ["model/0/kernel", "optimizer/3/momentum"])
def test_values_that_are_not_finite_are_found(name):
    arrays = {"model/1/a": np.ones(3), "seeds/0": np.array([1, 2])}
    assert is_finite(arrays)
    assert not is_finite({**arrays, name: np.array([0, np.inf])})
    # A metric may be anything.
    assert is_finite({**arrays, "metrics/0": np.array(np.nan)})


def test_place_in_the_training():
    state = TrainingState(steps_per_epoch=5, step=12)
    state.rows = [{"loss": 2.0}, {"loss": 1.0, "val_top1": 0.5}]
    assert (state.epoch, state.offset) == (2, 2)
    history = state.history
    assert history["loss"] == [2.0, 1.0]
    assert np.isnan(history["val_top1"][0])
    assert TrainingState.from_json(state.to_json()) == state


def test_state_of_another_kind_is_refused():
    with pytest.raises(CheckpointMismatchError, match="of another kind"):
        TrainingState.from_json({"step": 3, "steps_per_epoch": 2, "other": 1})
