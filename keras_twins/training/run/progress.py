"""How far a training is, in a terminal or in a log."""

import math
import shutil
import time
from collections.abc import Mapping
from typing import TextIO

from keras_twins.training.run.state import TrainingState

_INTERVAL = 1.0
_BAR = 20
_LINE_SECONDS = 120.0


class Progress:
    """Shows speed, losses and the time that is left.

    In a terminal, a line that is written anew once a second; elsewhere, a
    line for each epoch, and one every two minutes within it.

    Args:
        state: Where the training is.
        epochs: Number of epochs of the whole training.
        images_per_step: Images of a step, over all devices.
        stream: Where to write; `None` for nowhere.
    """

    def __init__(
        self,
        state: TrainingState,
        epochs: int,
        images_per_step: int,
        stream: TextIO | None = None,
    ) -> None:
        self._state = state
        self._epochs = epochs
        self._images_per_step = images_per_step
        self._stream = stream
        self._shown_at = time.monotonic()
        self._speed = Speed()
        # Seconds and number of ends of epochs, which also validate and save.
        self._ends = [0.0, 0]
        self._epoch_end = time.monotonic()
        self._has_bar = False
        self._line_at = time.monotonic()

    def is_due(self) -> bool:
        """Returns whether it is time to look at the numbers."""
        return time.monotonic() - self._shown_at >= _INTERVAL

    def begin(self) -> None:
        """Begins an epoch, or the rest of one."""
        self._shown_at = time.monotonic()
        self._speed.pause()

    def mark(self) -> None:
        """Begins to measure the speed, after the step that compiles."""
        self._speed.measure(self._state.step)

    def step(self, logs: Mapping[str, float]) -> None:
        """Shows how far the epoch is; to be called after `float` of the logs.

        On accelerators, only what waited for the numbers knows the time.

        Args:
            logs: What was measured so far.
        """
        self._shown_at = time.monotonic()
        self._speed.measure(self._state.step)
        if self._stream is None:
            return
        if self._stream.isatty():
            self._show_bar(logs)
        elif self._shown_at - self._line_at >= _LINE_SECONDS:
            self.note(self._status(logs))

    def end_steps(self) -> None:
        """Ends the steps of an epoch; validation may follow."""
        self._speed.measure(self._state.step)
        self._epoch_end = time.monotonic()

    def end(self, row: Mapping[str, float], seconds: float) -> None:
        """Ends an epoch, which is counted in the state by now.

        Args:
            row: What was measured in it.
            seconds: How long it took.
        """
        self._ends[0] += time.monotonic() - self._epoch_end
        self._ends[1] += 1
        text = f"epoch {self._state.epoch}/{self._epochs}: {_numbers(row)}"
        speed = self.images_per_second()
        if speed:
            text += f", {_count(speed)} images/s"
        text += f", {format_seconds(seconds)}"
        if self._state.epoch < self._epochs:
            text += f", {self._left(self._epochs)} left"
        self.note(text)

    def note(self, text: str) -> None:
        """Writes a line.

        Args:
            text: The line.
        """
        if self._stream is None:
            return
        self._line_at = time.monotonic()
        start = "\r\x1b[K" if self._has_bar else ""
        self._has_bar = False
        self._stream.write(f"{start}{text}\n")
        self._stream.flush()

    def images_per_second(self) -> float | None:
        """Returns the speed of late, or `None` before it is known."""
        seconds = self._speed.seconds_per_step
        return self._images_per_step / seconds if seconds else None

    def _show_bar(self, logs: Mapping[str, float]) -> None:
        text = self._status(logs)
        # A line that breaks could not be written anew.
        width = shutil.get_terminal_size().columns - 1
        self._stream.write(f"\r\x1b[K{text[:width]}")  # pyright: ignore
        self._stream.flush()  # pyright: ignore
        self._has_bar = True

    def _status(self, logs: Mapping[str, float]) -> str:
        """Returns how far the epoch is."""
        state = self._state
        total = state.steps_per_epoch
        done = min(state.offset, total)
        text = f"epoch {state.epoch + 1}/{self._epochs} "
        text += f"[{'=' * (_BAR * done // total):<{_BAR}}] {done}/{total}"
        speed = self.images_per_second()
        if speed:
            text += f" {_count(speed)} images/s"
            text += f", {self._left(state.epoch + 1)} for the epoch"
            text += f", {self._left(self._epochs)} in all"
        return f"{text}, {_numbers(logs)}"

    def _left(self, epochs: int) -> str:
        """Returns the time until so many epochs are over."""
        state = self._state
        steps = epochs * state.steps_per_epoch - state.step
        seconds = steps * (self._speed.seconds_per_step or 0.0)
        total, count = self._ends
        if count:
            seconds += (epochs - state.epoch) * total / count
        return format_seconds(seconds)


class Speed:
    """Measures the time of a step, without the first ones.

    The first step compiles, and what happens between epochs is not a step.
    """

    def __init__(self) -> None:
        self.seconds_per_step: float | None = None
        self._mark: tuple[int, float] | None = None

    def pause(self) -> None:
        """Forgets the time since the last measurement."""
        self._mark = None

    def measure(self, step: int) -> None:
        """Takes the steps since the last measurement into account.

        Args:
            step: Number of steps so far.
        """
        now = time.monotonic()
        if self._mark is not None and step > self._mark[0]:
            seconds = (now - self._mark[1]) / (step - self._mark[0])
            before = self.seconds_per_step
            late = seconds if before is None else 0.7 * before + 0.3 * seconds
            self.seconds_per_step = late
        self._mark = (step, now)


def format_seconds(seconds: float) -> str:
    """Returns a time as people read it, such as `2 d 3:04 h` or `4:05 min`.

    Args:
        seconds: The time.

    Returns:
        The text.
    """
    whole = max(0, round(seconds))
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    if days:
        return f"{days} d {hours}:{minutes:02d} h"
    if hours:
        return f"{hours}:{minutes:02d} h"
    if minutes:
        return f"{minutes}:{rest:02d} min"
    return f"{rest} s" if seconds >= 10 else f"{seconds:.1f} s"


def _numbers(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {_number(name, x)}" for name, x in values.items())


def _number(name: str, value: float) -> str:
    # A score can be unknown, such as that of large objects where there are
    # none; a loss that is NaN is a fault.
    unknown = math.isnan(value) and not name.endswith("loss")
    return "-" if unknown else f"{value:.4g}"


def _count(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
