"""Workers that live at the same time, and their turns."""

import concurrent.futures
import contextlib
import dataclasses
import time
from collections.abc import Mapping
from typing import Any

from keras_twins.benchmark.machine import count_cores
from keras_twins.benchmark.memory import available_memory
from keras_twins.benchmark.plan import Case
from keras_twins.benchmark.plan import Entry
from keras_twins.benchmark.plan import Failure
from keras_twins.benchmark.plan import Panel
from keras_twins.benchmark.process import Worker
from keras_twins.benchmark.process import WorkerError
from keras_twins.benchmark.progress import Progress
from keras_twins.benchmark.speed_report import Row

_MOST_STARTS = 4
_MOST_STEPS = 1000
_UNKNOWN_MEMORY = 2 * 1024**3

Answer = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """How a benchmark measures.

    Args:
        rounds: How often each system is measured.
        burst: Seconds that one measurement takes, at least one step.
        pause: Seconds between two measurements.
        preload: Modules that the workers of peers import first.
        at_once: Most workers of a group; `None`: as many as fit into memory.
    """

    rounds: int
    burst: float
    pause: float
    preload: tuple[str, ...] = ()
    at_once: int | None = None


@dataclasses.dataclass
class LiveWorker:
    """A worker that is ready, and what it has measured."""

    entry: Entry
    worker: Worker
    built: Answer
    prepared: Mapping[int, Answer]
    steps: dict[int, int] = dataclasses.field(default_factory=dict)
    answers: dict[int, list[Answer]] = dataclasses.field(default_factory=dict)


class Group:
    """Workers of a panel that live at the same time.

    Args:
        panel: What they compute.
        number: Number of the group.
        settings: How it is measured.
        progress: Is told what happens.
        stack: Ends the workers.
    """

    def __init__(
        self,
        panel: Panel,
        number: int,
        settings: Settings,
        progress: Progress,
        stack: contextlib.ExitStack,
    ):
        self._panel = panel
        self._number = number
        self._settings = settings
        self._progress = progress
        self._stack = stack
        self._together = min(_MOST_STARTS, count_cores())
        self._largest = _UNKNOWN_MEMORY
        self._live: list[LiveWorker] = []
        self.failures: list[Failure] = []

    def start(self, queue: list[Entry], least: int = 1) -> list[Entry]:
        """Starts workers while they fit into memory.

        Args:
            queue: What to start; what was tried is taken out.
            least: How many start whatever memory there is.

        Returns:
            What is ready.
        """
        ready, tried = [], 0
        while queue and (tried < least or self._fits()):
            chunk, queue[: self._together] = queue[: self._together], []
            ready += self._start_together(chunk)
            tried += len(chunk)
        return [worker.entry for worker in ready]

    def take_turns(self) -> None:
        """Measures every worker in every round."""
        if not self._live:
            return
        # A step for each, alone: how many fill a burst?
        self._round(0)
        for number in range(1, self._settings.rounds + 1):
            start = time.perf_counter()
            turns = self._round(number)
            self._progress.measured(
                f"{self._panel.label}: round {number} of "
                f"{self._settings.rounds}, {len(self._live)} systems",
                turns,
                time.perf_counter() - start,
            )

    def rows(self) -> list[Row]:
        """Returns what was measured, a row for each system and case."""
        return [
            _row(self._panel, self._number, live, batch)
            for live in self._live
            for batch in live.entry.batches
            if live.answers.get(batch)
        ]

    def _fits(self) -> bool:
        """Whether there is memory for some workers and the one that runs."""
        available, most = available_memory(), self._settings.at_once
        if most is None and available is None:
            most = _MOST_STARTS
        if most is not None and len(self._live) + self._together > most:
            return False
        if available is None:
            return True
        return available > (self._together + 1) * self._largest

    def _start_together(self, chunk: list[Entry]) -> list[LiveWorker]:
        start = time.perf_counter()
        workers = [
            self._stack.enter_context(Worker(entry.system.environment))
            for entry in chunk
        ]
        with concurrent.futures.ThreadPoolExecutor(len(chunk)) as pool:
            results = list(pool.map(self._make_ready, chunk, workers))
        ready = [live for live in results if live is not None]
        self._live += ready
        for live in ready:
            peaks = [answer["peak"] for answer in live.prepared.values()]
            self._largest = max(self._largest, *peaks)
        said = ", ".join(map(_outcome, chunk, results))
        self._progress.started(
            f"{self._panel.label}: {said}",
            len(chunk),
            time.perf_counter() - start,
        )
        return ready

    def _make_ready(self, entry: Entry, worker: Worker) -> LiveWorker | None:
        system = entry.system
        try:
            built = worker.ask(
                "build",
                function=system.function,
                task=self._panel.task(entry.dtype, entry.artifacts),
                options=dict(system.options),
                preload=self._settings.preload if not system.ours else (),
            )
            prepared = {
                batch: worker.ask("prepare", batch=batch)
                for batch in entry.batches
            }
        except WorkerError as error:
            self._fail(entry, error)
            worker.stop()
            return None
        return LiveWorker(entry, worker, built, prepared)

    def _round(self, number: int) -> int:
        """Has every worker take its turns; returns how many there were."""
        turns = [
            (live, batch) for live in self._live for batch in live.entry.batches
        ]
        # There and back, so that nobody always follows the same one.
        for live, batch in turns if number % 2 else reversed(turns):
            if live not in self._live:
                continue
            time.sleep(self._settings.pause)
            try:
                answer = live.worker.ask(
                    "measure", batch=batch, steps=live.steps.get(batch, 1)
                )
            except WorkerError as error:
                self._drop(live, error)
                continue
            if number:
                live.answers.setdefault(batch, []).append(answer)
            else:
                steps = round(self._settings.burst / answer["seconds"])
                live.steps[batch] = max(1, min(_MOST_STEPS, steps))
        return len(turns)

    def _drop(self, live: LiveWorker, error: WorkerError) -> None:
        self._live.remove(live)
        self._fail(live.entry, error)
        live.worker.stop()

    def _fail(self, entry: Entry, error: WorkerError) -> None:
        self.failures.append(self._panel.failure(entry, str(error)))
        turns = len(entry.batches) * self._settings.rounds
        self._progress.dropped(turns)


def _outcome(entry: Entry, live: LiveWorker | None) -> str:
    outcome = "failed" if live is None else "ready"
    return f"{entry.system.name} {entry.dtype} {outcome}"


def _row(panel: Panel, number: int, live: LiveWorker, batch: int) -> Row:
    answers = live.answers[batch]
    return Row(
        variant=panel.variant,
        system=live.entry.system.name,
        case=Case(
            training=panel.training,
            size=panel.size,
            dtype=live.entry.dtype,
            batch=batch,
        ),
        group=number,
        seconds=tuple(answer["seconds"] for answer in answers),
        peaks=tuple(answer["peak"] for answer in answers),
        base=live.built["base"],
        warmup=live.built["seconds"] + live.prepared[batch]["seconds"],
        parameters=live.built["parameters"],
        device=live.built["device"],
    )
