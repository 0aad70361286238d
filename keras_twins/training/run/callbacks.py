"""What happens between the steps of a training."""

import math
import time
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_twins.training.run.logs import RunLogs
from keras_twins.training.run.progress import Progress
from keras_twins.training.run.saving import Saver
from keras_twins.training.run.signals import StopSignals
from keras_twins.training.run.state import TrainingState
from keras_twins.training.strategies import Distribution

_AGREEMENT_STEPS = 20
"""Processes ask each other after so many steps at most."""

_AGREEMENT_SECONDS = 5.0
"""Processes ask each other after about this time; launchers that end a
training do not wait for long."""


class TrainingCallback(keras.callbacks.Callback):
    """Saves, logs, validates, and ends a training where it was asked to.

    Args:
        state: Where the training is; it is kept up to date.
        saver: Writes the checkpoints.
        progress: Shows how far the training is.
        logs: Writes tables and pictures.
        stop: Says whether to end.
        distribution: Where the model is trained.
        validate: From the model to scores of held-out data.
        monitor: Which of the scores says what is best.
    """

    def __init__(
        self,
        state: TrainingState,
        saver: Saver,
        progress: Progress,
        logs: RunLogs,
        stop: StopSignals,
        distribution: Distribution,
        validate: Callable[[keras.Model], dict[str, float]] | None,
        monitor: str,
    ) -> None:
        super().__init__()
        self.interrupted = False
        self.restore_metrics: Callable[[], None] | None = None
        self._state = state
        self._saver = saver
        self._progress = progress
        self._logs = logs
        self._stop = stop
        self._distribution = distribution
        self._validate = validate
        self._monitor = monitor
        self._begin_step = 0
        self._begin_time = 0.0
        self._looked = (0, time.monotonic())
        self._next_look = 0

    def on_epoch_begin(
        self, epoch: int, logs: Mapping[str, float] | None = None
    ) -> None:
        """Takes the metrics of a part of an epoch over."""
        if self.restore_metrics is not None:
            # Keras has just reset them.
            self.restore_metrics()
            self.restore_metrics = None
        self._begin_step = self._state.step
        self._begin_time = time.monotonic() - self._state.elapsed
        self._progress.begin()

    def on_train_batch_end(
        self, batch: int, logs: Mapping[str, Any] | None = None
    ) -> None:
        """Counts the step, and looks whether there is anything to do."""
        state = self._state
        state.step = self._begin_step + batch + 1
        if state.step == self._begin_step + 1:
            self._progress.mark()
        # The last step of an epoch is followed by `on_epoch_end`.
        if state.offset < state.steps_per_epoch and self._must_look():
            self._look(logs or {})

    def on_epoch_end(
        self, epoch: int, logs: Mapping[str, float] | None = None
    ) -> None:
        """Ends an epoch, but not one that was broken off."""
        if self.interrupted:
            return
        if self._state.offset != self._state.steps_per_epoch:
            raise ValueError(
                "`batches` must yield batches without end. Received: "
                f"{self._state.offset} of {self._state.steps_per_epoch} steps "
                "of the epoch."
            )
        self._check(logs or {})
        self._state.elapsed = time.monotonic() - self._begin_time
        self._progress.end_steps()
        rate = learning_rate(self.model.optimizer)
        step = float(self._state.step)
        self.finish_epoch({"step": step, "learning_rate": rate, **(logs or {})})

    def finish_epoch(self, row: dict[str, float]) -> None:
        """Validates, logs and saves an epoch whose steps are done.

        Args:
            row: What training measured in it.
        """
        state = self._state
        start = time.monotonic()
        if self._validate is not None:
            # What ends the validation does not cost the steps.
            state.pending = row
            self._saver.save(state)
            if self._agree(self._stop.requested):
                self._interrupt()
                return
            row = {**row, **self._validate(self.model)}
        self._add_row(row, state.elapsed + time.monotonic() - start)
        self._saver.save(state, is_best=self._is_best(row))
        self._logs.add_epoch(state)
        self._progress.end(row, state.times[-1]["seconds"])
        if self._agree(self._stop.requested):
            self._interrupt()

    def _must_look(self) -> bool:
        """Returns whether to wait for the numbers of this step."""
        if self._distribution.num_processes > 1:
            # All of them, or none: they wait for each other.
            return self._state.step >= self._next_look
        return (
            self._stop.requested
            or self._saver.is_due(self._state.step)
            or self._progress.is_due()
        )

    def _look(self, logs: Mapping[str, Any]) -> None:
        state = self._state
        numbers = {name: _number(value) for name, value in logs.items()}
        self._check(numbers)
        self._progress.step(numbers)
        self._plan_next_look()
        asked = self._stop.requested
        due = self._saver.is_due(state.step)
        stop, save = self._agree(asked), self._agree(asked or due)
        if save:
            state.elapsed = time.monotonic() - self._begin_time
            # On JAX, this takes the values out of the loop of the steps.
            _ = self.model
            self._saver.save(state)
        if stop:
            self._interrupt()

    def _plan_next_look(self) -> None:
        """Finds the next step in which all processes ask each other."""
        number = self._distribution.num_processes
        if number == 1:
            return
        (step, before), now = self._looked, time.monotonic()
        self._looked = (self._state.step, now)
        own = (now - before) / max(self._state.step - step, 1)
        total = self._distribution.sum_arrays([np.array([own])])[0][0]
        steps = int(_AGREEMENT_SECONDS * number / max(total, 1e-3))
        self._next_look = self._state.step + min(
            max(steps, 1), _AGREEMENT_STEPS
        )

    def _interrupt(self) -> None:
        self.interrupted = True
        self.model.stop_training = True

    def _check(self, logs: Mapping[str, float]) -> None:
        """Raises an error if a process has a loss that is not finite."""
        broken = not math.isfinite(logs.get("loss", 0.0))
        if self._agree(broken):
            raise self._saver.non_finite("The loss", self._state)

    def _agree(self, wish: bool) -> bool:
        """Returns whether any process wishes it."""
        if self._distribution.num_processes == 1:
            return wish
        flag = np.array([wish], "int32")
        return bool(self._distribution.sum_arrays([flag])[0][0])

    def _add_row(self, row: dict[str, float], seconds: float) -> None:
        state = self._state
        speed = self._progress.images_per_second()
        state.rows.append({name: float(value) for name, value in row.items()})
        state.times.append(
            {"seconds": seconds, "images_per_second": speed or 0.0}
        )
        state.pending = None
        state.elapsed = 0.0

    def _is_best(self, row: Mapping[str, float]) -> bool:
        """Returns whether the newest row is the best one so far."""
        value = row.get(self._monitor)
        if value is None or not math.isfinite(value):
            return False
        best = self._state.best
        sign = -1 if self._monitor.endswith("loss") else 1
        if best is not None and sign * value <= sign * best["value"]:
            return False
        self._state.best = {
            "value": value,
            "epoch": self._state.epoch,
            "step": self._state.step,
        }
        return True


def learning_rate(optimizer: keras.optimizers.Optimizer) -> float:
    """Returns the rate of the last step.

    Args:
        optimizer: The optimizer of a model; one that scales the loss holds
            another one.

    Returns:
        The rate; `optimizer.learning_rate` is that of the next step.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    rate = inner._learning_rate
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        done = int(keras.ops.convert_to_numpy(inner._iterations))
        rate = rate(max(0, done - 1))
    return _number(rate)


def _number(value: Any) -> float:
    return float(keras.ops.convert_to_numpy(value))
