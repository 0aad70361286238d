"""Tables and event files of what each epoch measured."""

import contextlib
import csv
import os
import pathlib
import time
import warnings
from collections.abc import Callable
from collections.abc import Iterator

from keras_twins.training.run.curves import draw_curves
from keras_twins.training.run.event_file import EventFile
from keras_twins.training.run.state import TrainingState
from keras_twins.weights.files import replace_file

_DRAWING_INTERVAL = 300.0


class RunLogs:
    """Writes `log.csv`, `curves.png` and event files for TensorBoard.

    They are made of the state alone: a training that is resumed goes on with
    the rows of its checkpoint, and has none twice. A disk that is full does
    not end the training.

    Args:
        folder: Folder of the training.
        tensorboard: Whether to write event files, to `tensorboard` in it.
        enabled: Whether to write at all; one process does.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        tensorboard: bool = True,
        enabled: bool = True,
    ) -> None:
        self._enabled = enabled
        self._folder = pathlib.Path(folder)
        self._tensorboard = tensorboard
        self._events: EventFile | None = None
        self._drawn_at = time.monotonic()

    @contextlib.contextmanager
    def of(self, state: TrainingState) -> Iterator[None]:
        """Begins with the rows so far; what was logged beyond is dropped.

        Args:
            state: Where the training is; at the end, its curves are drawn.

        Yields:
            None: Nothing.
        """
        if not self._enabled:
            yield
            return
        _try(lambda: self._begin_events(state))
        _try(lambda: self._write_csv(state))
        try:
            yield
            self._draw(state)
        finally:
            if self._events is not None:
                self._events.close()

    def add_epoch(self, state: TrainingState) -> None:
        """Writes the row of the epoch that has ended.

        Args:
            state: Where the training is.
        """
        if not self._enabled:
            return
        _try(lambda: self._write_csv(state))
        events = self._events
        if events is not None:
            row = {**state.rows[-1], **state.times[-1]}
            _try(lambda: events.add(state.epoch, row))
        if time.monotonic() - self._drawn_at >= _DRAWING_INTERVAL:
            self._draw(state)

    def _draw(self, state: TrainingState) -> None:
        self._drawn_at = time.monotonic()
        path = self._folder / "curves.png"
        # Whoever trains need not draw.
        with contextlib.suppress(ImportError):
            _try(lambda: draw_curves(path, state.history))

    def _begin_events(self, state: TrainingState) -> None:
        if not self._tensorboard:
            return
        folder = self._folder / "tensorboard"
        folder.mkdir(parents=True, exist_ok=True)
        old = list(folder.glob("events.out.tfevents.*.keras_twins"))
        events = EventFile(folder)
        for row in _table(state):
            events.add(int(row.pop("epoch")), row)
        self._events = events
        for path in old:
            path.unlink(missing_ok=True)

    def _write_csv(self, state: TrainingState) -> None:
        rows = _table(state)
        self._folder.mkdir(parents=True, exist_ok=True)
        names = list(dict.fromkeys(name for row in rows for name in row))
        with (
            replace_file(self._folder / "log.csv") as temporary,
            open(temporary, "w", newline="") as file,
        ):
            table = csv.DictWriter(file, names or ["epoch"])
            table.writeheader()
            table.writerows(rows)


def _table(state: TrainingState) -> list[dict[str, float]]:
    """Returns a row for each epoch."""
    return [
        {"epoch": epoch, **row, **times}
        for epoch, (row, times) in enumerate(
            zip(state.rows, state.times, strict=True), start=1
        )
    ]


def _try(write: Callable[[], object]) -> None:
    try:
        write()
    except OSError as error:
        warnings.warn(
            f"A log could not be written: {error}. The training goes on.",
            stacklevel=3,
        )
