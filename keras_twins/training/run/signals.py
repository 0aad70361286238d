"""Ending a training at the end of a step."""

import contextlib
import os
import signal
from types import FrameType
from types import TracebackType
from typing import Any

_STDERR = 2
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Notes Ctrl-C and SIGTERM instead of ending at once.

    A context manager. The second signal does what it would have done without
    this. In a thread other than the main one, signals stay as they are.

    Args:
        note: Text for the terminal after the first signal.

    Example:

    ```python
    from keras_twins.training.run import StopSignals

    with StopSignals() as stop:
        while not stop.requested:
            stop.request()
    ```
    """

    def __init__(self, note: str = "") -> None:
        self.requested = False
        self._note = note
        self._before: dict[int, Any] = {}

    def request(self) -> None:
        """Asks for the end, as a signal does."""
        self.requested = True

    def __enter__(self) -> "StopSignals":
        """Takes the signals over."""
        try:
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._handle)
        except ValueError:
            # Only the main thread may handle signals.
            self._before = {}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Gives the signals back."""
        self._give_back()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            self._give_back()
            signal.raise_signal(number)
            return
        self.requested = True
        if self._note:
            # Whatever was being written when the signal came goes on then;
            # `print` may not be entered twice.
            with contextlib.suppress(OSError):
                os.write(_STDERR, f"\n{self._note}\n".encode())

    def _give_back(self) -> None:
        for number, before in self._before.items():
            # It is None where no Python code had set it.
            signal.signal(number, before or signal.SIG_DFL)
        self._before = {}
