"""What a benchmark is doing, how far it is, and when it should end."""

import time
from collections.abc import Callable
from collections.abc import Sequence

from keras_twins.benchmark.plan import Panel


class Progress:
    """Counts starts of workers and turns, and says a line about them.

    Args:
        panels: What is to be measured.
        rounds: Number of rounds.
        say: Gets the lines.
    """

    def __init__(
        self,
        panels: Sequence[Panel],
        rounds: int,
        say: Callable[[str], object],
    ):
        self._say = say
        self._begin = time.perf_counter()
        entries = [entry for panel in panels for entry in panel.entries]
        # What is left, what is done, and the seconds that it took.
        self._starts = [len(entries), 0, 0.0]
        turns = sum(len(entry.batches) for entry in entries) * rounds
        self._turns = [turns, 0, 0.0]

    def started(self, what: str, count: int, seconds: float) -> None:
        """Says that workers are ready, or failed.

        Args:
            what: What happened, in words.
            count: Number of workers.
            seconds: How long it took.
        """
        _count(self._starts, count, seconds)
        self._line(what)

    def measured(self, what: str, count: int, seconds: float) -> None:
        """Says that a round is over.

        Args:
            what: What happened, in words.
            count: Number of turns in it.
            seconds: How long it took.
        """
        _count(self._turns, count, seconds)
        self._line(what)

    def note(self, what: str) -> None:
        """Says something that nothing is counted by.

        Args:
            what: What happened, in words.
        """
        self._line(what)

    def dropped(self, turns: int, starts: int = 0) -> None:
        """Forgets what will not happen.

        Args:
            turns: Number of turns.
            starts: Number of workers.
        """
        self._turns[0] = max(0, self._turns[0] - turns)
        self._starts[0] = max(0, self._starts[0] - starts)

    def _line(self, what: str) -> None:
        elapsed = time.perf_counter() - self._begin
        left = [_seconds_left(kind) for kind in (self._starts, self._turns)]
        text = f"[{elapsed / 60:5.1f} min] {what}"
        # Before the first round, nobody knows.
        if None not in left:
            seconds = sum(filter(None, left))
            end = time.strftime("%H:%M", time.localtime(time.time() + seconds))
            text += f"; about {seconds / 60:.0f} min left, until {end}"
        self._say(text)


def _count(kind: list[float], count: int, seconds: float) -> None:
    kind[0] = max(0, kind[0] - count)
    kind[1] += count
    kind[2] += seconds


def _seconds_left(kind: list[float]) -> float | None:
    left, done, seconds = kind
    if not left:
        return 0.0
    return left * seconds / done if done else None
