"""Measures systems in turn, each in a worker of its own."""

import contextlib
import dataclasses
import importlib.util
import pathlib
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence

from keras_twins.benchmark.artifacts import ArtifactStore
from keras_twins.benchmark.group import Group
from keras_twins.benchmark.group import Settings
from keras_twins.benchmark.machine import describe_machine
from keras_twins.benchmark.machine import describe_versions
from keras_twins.benchmark.plan import Case
from keras_twins.benchmark.plan import Entry
from keras_twins.benchmark.plan import Panel
from keras_twins.benchmark.plan import inference_cases
from keras_twins.benchmark.plan import make_panels
from keras_twins.benchmark.plan import read_variants
from keras_twins.benchmark.process import WorkerError
from keras_twins.benchmark.progress import Progress
from keras_twins.benchmark.speed_report import Failure
from keras_twins.benchmark.speed_report import Row
from keras_twins.benchmark.speed_report import SpeedReport
from keras_twins.benchmark.system import System
from keras_twins.benchmark.systems import select_systems


def run_speed(
    systems: Sequence[System] | None = None,
    variants: Sequence[str] = ("svt_small",),
    cases: Sequence[Case] | None = None,
    rounds: int = 5,
    *,
    burst: float = 1.0,
    pause: float = 0.1,
    preload: Sequence[str] = (),
    at_once: int | None = None,
    progress: Callable[[str], object] = print,
) -> SpeedReport:
    """Measures systems in turn, so that noise meets all of them.

    Each system has a process of its own. In every round each computes for a
    short while, the others being idle; what counts are ratios within a
    round. As many processes live at once as fit into memory; the systems
    that others are compared with are part of every such group.

    Args:
        systems: What is measured; by default, everything.
        variants: Keys of `keras_twins.VARIANTS`, or paths of JSON files with
            the fields of a `TwinsConfig`.
        cases: What is measured of them; by default, forward passes of 1 and
            of 16 images in float32.
        rounds: How often each is measured.
        burst: Seconds that one measurement takes, at least one step.
        pause: Seconds between two measurements, in which threads fall
            asleep.
        preload: Modules that the workers of peers import first.
        at_once: Most processes that live at once; by default, as many as
            fit into memory. The memory of accelerators is not looked at.
        progress: Gets a line for every step on the way.

    Returns:
        A `SpeedReport`.

    Raises:
        ValueError: If `rounds` is not positive, or a variant is unknown.
    """
    if rounds < 1:
        raise ValueError(f"`rounds` must be at least 1. Received: {rounds=}")
    systems = select_systems() if systems is None else tuple(systems)
    cases = inference_cases() if cases is None else tuple(cases)
    panels = list(make_panels(systems, read_variants(variants), cases))
    settings = Settings(
        rounds=rounds,
        burst=burst,
        pause=pause,
        preload=tuple(preload),
        at_once=at_once,
    )
    counter = Progress(panels, rounds, progress)
    with tempfile.TemporaryDirectory() as folder:
        store = ArtifactStore(pathlib.Path(folder), preload, counter)
        run = _Run(settings, store, counter)
        for panel in panels:
            run.measure(panel)
    return SpeedReport(
        rows=tuple(run.rows),
        failures=tuple(run.failures),
        references=tuple(s.name for s in systems if s.reference),
        machine=describe_machine(),
        versions=describe_versions(
            sorted({name for system in systems for name in system.packages})
        ),
        notes=_notes(settings),
    )


class _Run:
    """Measures panels, and keeps what came of them."""

    def __init__(
        self, settings: Settings, store: ArtifactStore, progress: Progress
    ):
        self._settings = settings
        self._store = store
        self._progress = progress
        self._groups = 0
        self.rows: list[Row] = []
        self.failures: list[Failure] = []

    def measure(self, panel: Panel) -> None:
        """Measures a panel, in as many groups as fit into memory."""
        entries = list(self._possible(panel))
        anchors = [entry for entry in entries if entry.anchor]
        queue = [entry for entry in entries if not entry.anchor]
        while anchors or queue:
            with contextlib.ExitStack() as stack:
                group = Group(
                    panel, self._groups, self._settings, self._progress, stack
                )
                # What failed once would fail again.
                anchors = group.start(list(anchors), len(anchors))
                group.start(queue)
                group.take_turns()
                self.rows += group.rows()
                self.failures += group.failures
            self._groups += 1
            if not queue:
                break

    def _possible(self, panel: Panel) -> Iterator[Entry]:
        """Yields what has all it needs; notes what lacks something."""
        for entry in panel.entries:
            try:
                _require(entry.system.packages)
                artifacts = self._store.provide(panel, entry)
            except WorkerError as error:
                self.failures.append(panel.failure(entry, str(error)))
                turns = len(entry.batches) * self._settings.rounds
                self._progress.dropped(turns, starts=1)
            else:
                yield dataclasses.replace(entry, artifacts=artifacts)


def _require(packages: Sequence[str]) -> None:
    missing = [x for x in packages if importlib.util.find_spec(x) is None]
    if missing:
        raise WorkerError(f"not installed: {', '.join(missing)}")


def _notes(settings: Settings) -> tuple[str, ...]:
    return (
        f"Rounds: {settings.rounds}. In each, every system computed for about "
        f"{settings.burst:g} s, in turn. Ratios are medians of the ratios "
        "within a round.",
    )
