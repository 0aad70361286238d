"""When a training writes checkpoints, and what if it cannot."""

import contextlib
import time
import warnings

import numpy as np

from keras_twins.training.run.checkpoints import CheckpointFolder
from keras_twins.training.run.errors import CheckpointWriteError
from keras_twins.training.run.errors import NonFiniteLossError
from keras_twins.training.run.state import TrainingState
from keras_twins.training.run.state import TrainingVariables
from keras_twins.training.run.state import is_finite
from keras_twins.training.strategies import Distribution


class Saver:
    """Writes the checkpoints of a training.

    A disk that is full does not end the training: there is a warning, and the
    next attempt when the next checkpoint is due.

    Args:
        folder: Where they go.
        variables: What changes.
        distribution: Where the model is trained; its chief writes.
        save_seconds: Time between two checkpoints within an epoch.
        save_steps: Steps between two checkpoints within an epoch.
    """

    def __init__(
        self,
        folder: CheckpointFolder,
        variables: TrainingVariables,
        distribution: Distribution,
        save_seconds: float | None = None,
        save_steps: int | None = None,
    ) -> None:
        self.folder = folder
        self._variables = variables
        self._distribution = distribution
        self._save_seconds = save_seconds
        self._save_steps = save_steps
        self._saved_at = time.monotonic()
        self._tried_step = 0
        self._error: OSError | None = None

    def begin(self, step: int) -> None:
        """Counts from here.

        Args:
            step: Number of steps so far.
        """
        self._saved_at = time.monotonic()
        self._tried_step = step

    def is_due(self, step: int) -> bool:
        """Returns whether it is time for a checkpoint.

        Args:
            step: Number of steps so far.

        Returns:
            False directly after one.
        """
        steps, seconds = self._save_steps, self._save_seconds
        if steps is not None and step - self._tried_step >= steps:
            return True
        if seconds is None or step == self._tried_step:
            return False
        return time.monotonic() - self._saved_at >= seconds

    def save(self, state: TrainingState, is_best: bool = False) -> None:
        """Writes a checkpoint; every process must call it.

        Args:
            state: Where the training is.
            is_best: Whether it is the best one so far.

        Raises:
            NonFiniteLossError: If the weights are no longer finite.
        """
        arrays = self._variables.read()
        if not is_finite(arrays):
            raise self.non_finite(
                "A weight or a moment of the optimizer", state
            )
        if self._distribution.is_chief:
            self._try_to_write(arrays, state, is_best)
        self.begin(state.step)

    def mark_again(self, state: TrainingState) -> None:
        """Marks the checkpoint that a training goes on from, if it is best.

        A training may be killed between writing it and marking it.

        Args:
            state: Where the training is.
        """
        best = state.best is not None and state.best["step"] == state.step
        if best and self._distribution.is_chief:
            with contextlib.suppress(OSError):
                self.folder.mark_best(state.step)

    def finish(self, state: TrainingState) -> None:
        """Sees to it that the last state is on the disk.

        Args:
            state: Where the training is.

        Raises:
            CheckpointWriteError: If it could not be written.
        """
        failed = np.array([self._error is not None], "int32")
        if self._distribution.sum_arrays([failed])[0][0]:
            raise CheckpointWriteError(
                "The last checkpoint could not be written: "
                f"{self._error or 'another process says why'}. "
                f"{self._newest()} Make room on the disk and train again with "
                "the same arguments; the training goes on from there."
            ) from self._error

    def non_finite(self, what: str, state: TrainingState) -> NonFiniteLossError:
        """Returns the error of a training that diverged.

        Args:
            what: What is not finite.
            state: Where the training is.

        Returns:
            The error, which names the checkpoint before.
        """
        return NonFiniteLossError(
            f"{what} is NaN or infinite at step {state.step} (epoch "
            f"{state.epoch + 1}), which no checkpoint has. {self._newest()} A "
            "lower learning rate, clipped gradients, a longer warm-up or "
            "another precision may help."
        )

    def _newest(self) -> str:
        newest = self.folder.newest()
        if newest is None:
            return "There is no checkpoint yet."
        return f"The newest checkpoint is {newest}."

    def _try_to_write(
        self,
        arrays: dict[str, np.ndarray],
        state: TrainingState,
        is_best: bool,
    ) -> None:
        try:
            self.folder.write(state.step, arrays, state.to_json())
            if is_best:
                self.folder.mark_best(state.step)
        except OSError as error:
            self._error = error
            warnings.warn(
                f"The checkpoint of step {state.step} could not be written: "
                f"{error}. {self._newest()} The training goes on.",
                stacklevel=2,
            )
        else:
            self._error = None
