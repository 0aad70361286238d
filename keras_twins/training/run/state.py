"""Everything that a training is at one step."""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras.src.random.seed_generator import global_seed_generator

from keras_twins.ops import generator_states
from keras_twins.ops import set_generator_states
from keras_twins.training.run.errors import CheckpointMismatchError
from keras_twins.training.strategies import Distribution

_GENERATORS = "generators"
# They differ between the processes of a training.
_LOCAL = frozenset({"seeds", "metrics", _GENERATORS})
_SEED_NAME = "seed_generator_state"


@dataclasses.dataclass(kw_only=True)
class TrainingState:
    """Where a training is, and what it has measured.

    Args:
        steps_per_epoch: Number of steps of an epoch.
        step: Number of steps so far.
        rows: What was measured after each epoch, by name.
        times: Seconds of each epoch, and images a second in it.
        best: The best row so far, with its value and step.
        pending: What training measured in an epoch that is not validated yet.
        elapsed: Seconds of the current epoch so far.
        configuration: What the training does, as its caller describes it.
    """

    steps_per_epoch: int
    step: int = 0
    rows: list[dict[str, float]] = dataclasses.field(default_factory=list)
    times: list[dict[str, float]] = dataclasses.field(default_factory=list)
    best: dict[str, float] | None = None
    pending: dict[str, float] | None = None
    elapsed: float = 0.0
    configuration: Mapping[str, Any] | None = None

    @property
    def epoch(self) -> int:
        """Number of epochs that are over, validation included."""
        return len(self.rows)

    @property
    def offset(self) -> int:
        """Number of steps of the current epoch so far."""
        return self.step - self.epoch * self.steps_per_epoch

    @property
    def history(self) -> dict[str, list[float]]:
        """What was measured, a list over the epochs for each name.

        An epoch without a value has NaN.
        """
        names = dict.fromkeys(name for row in self.rows for name in row)
        return {
            name: [row.get(name, float("nan")) for row in self.rows]
            for name in names
        }

    def to_json(self) -> dict[str, Any]:
        """Returns the state as JSON can hold it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> "TrainingState":
        """Returns the state that `to_json` described.

        Args:
            state: The description.

        Returns:
            The state.

        Raises:
            CheckpointMismatchError: If it is not a description of this kind.
        """
        try:
            return cls(**state)
        except TypeError as error:
            raise CheckpointMismatchError(
                f"The checkpoint is of another kind: {error}."
            ) from error


class TrainingVariables:
    """The variables that a training changes.

    These are the weights, moments of batch norms, states of random
    generators, everything that the optimizer has (moving averages and the
    scale of the loss included) and the metrics.

    Args:
        model: A compiled model whose optimizer and metrics are built.
        distribution: Where it is trained.
    """

    def __init__(self, model: keras.Model, distribution: Distribution) -> None:
        self._distribution = distribution
        # Keras' own generator serves random operations without a seed.
        seeds = [global_seed_generator().state]
        weights = []
        for variable in model.variables:
            found = seeds if variable.name == _SEED_NAME else weights
            found.append(variable)
        self._groups: Mapping[str, Sequence[keras.Variable]] = {
            "model": weights,
            "seeds": seeds,
            "optimizer": model.optimizer.variables,
            "metrics": model.metrics_variables,
        }

    def read(self) -> dict[str, np.ndarray]:
        """Returns the values by name; every process must call it."""
        found: dict[str, np.ndarray] = {}
        for group, variables in self._groups.items():
            arrays = self._distribution.read(variables)
            if group in _LOCAL:
                arrays = self._of_all_processes(arrays)
            for index, array in enumerate(arrays):
                path = variables[index].path
                found[f"{group}/{index:05d}/{path}"] = array
        for index, array in enumerate(
            self._of_all_processes(generator_states())
        ):
            found[f"{_GENERATORS}/{index:05d}/state"] = array
        return found

    def write(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Assigns values; every process must call it.

        With another number of processes than before, seeds and metrics of the
        current epoch are those of the processes that there were.

        Args:
            arrays: What `read` returned, or all of some groups of it.

        Raises:
            CheckpointMismatchError: If they are those of another model or
                optimizer; nothing has been assigned then.
        """
        values = {}
        for group in dict.fromkeys(name.partition("/")[0] for name in arrays):
            values[group] = self._of_group(arrays, group)
        states = values.pop(_GENERATORS, [])
        for group, found in values.items():
            _check(group, self._groups.get(group, ()), found)
        set_generator_states(states)
        for group, found in values.items():
            self._distribution.write(self._groups[group], found)

    def metrics_of(
        self, arrays: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Returns the metrics alone.

        Args:
            arrays: What `read` returned.

        Returns:
            Arrays that `write` takes.
        """
        return {
            name: array
            for name, array in arrays.items()
            if name.startswith("metrics/")
        }

    def _of_group(
        self, arrays: Mapping[str, np.ndarray], group: str
    ) -> list[np.ndarray]:
        # The numbers in the names have leading zeros.
        names = sorted(name for name in arrays if name.startswith(f"{group}/"))
        found = [arrays[name] for name in names]
        if group not in _LOCAL:
            return found
        _, index = self._distribution.shard
        return [array[index % len(array)] for array in found]

    def _of_all_processes(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """Returns arrays with a leading axis of processes."""
        number, index = self._distribution.shard
        slots = []
        for array in arrays:
            slot = np.zeros((number, *array.shape), array.dtype)
            slot[index] = array
            slots.append(slot)
        return self._distribution.sum_arrays(slots)


def is_finite(arrays: Mapping[str, np.ndarray]) -> bool:
    """Returns whether weights and optimizer have finite values only.

    Args:
        arrays: What `TrainingVariables.read` returned.

    Returns:
        False if there is a NaN or an infinity.
    """
    return all(
        bool(np.isfinite(array).all())
        for name, array in arrays.items()
        if not name.startswith("metrics/") and array.dtype.kind not in "iub"
    )


def _check(
    group: str, variables: Sequence[keras.Variable], arrays: list[np.ndarray]
) -> None:
    if len(variables) != len(arrays):
        raise CheckpointMismatchError(
            f"The checkpoint is of another model or optimizer: its {group} has "
            f"{len(arrays)} arrays. Expected: {len(variables)}. Resume with "
            "the arguments it was trained with, or train in another folder."
        )
    for variable, array in zip(variables, arrays, strict=True):
        if tuple(variable.shape) != array.shape:
            raise CheckpointMismatchError(
                "The checkpoint is of another model or optimizer: "
                f"{variable.path} has the shape {array.shape} in it. Expected: "
                f"{tuple(variable.shape)}. Resume with the arguments it was "
                "trained with, or train in another folder."
            )
