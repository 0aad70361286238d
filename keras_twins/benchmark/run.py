"""Measures in fresh processes, one after the other."""

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

from keras_twins.benchmark import child
from keras_twins.benchmark.machine import describe_machine
from keras_twins.benchmark.machine import describe_versions
from keras_twins.benchmark.process import worker_environment
from keras_twins.benchmark.report import BenchmarkReport
from keras_twins.benchmark.report import Measurement

BACKENDS = ("tensorflow", "jax", "torch")
"""The backends that the package supports."""

_BUILT = "svt_base"
_LOADED = "svt_large"

Values = Mapping[str, float]
"""What a process measured, by name."""


@dataclasses.dataclass(frozen=True)
class Quantity:
    """A value that a process measures, as a row of the report.

    Args:
        name: What it is.
        key: Its name in what the process prints.
        unit: Its unit.
        target: What it should be below, if anything.
    """

    name: str
    key: str
    unit: str
    target: float | None = None


@dataclasses.dataclass(frozen=True)
class Measure:
    """A kind of process, and what it gives.

    Args:
        command: Name of a function in `child`, and its arguments.
        quantities: The rows that it gives.
    """

    command: tuple[str, ...]
    quantities: tuple[Quantity, ...]


def installed_backends() -> tuple[str, ...]:
    """Returns the backends that can be imported."""
    return tuple(x for x in BACKENDS if importlib.util.find_spec(x))


def run_benchmark(
    backends: Sequence[str] | None = None,
    repeats: int = 5,
    measures: Sequence[str] = ("import", "build", "load"),
) -> BenchmarkReport:
    """Measures import, building and loading, each in fresh processes.

    The processes of the measures and backends take turns, so that what else
    happens on the machine meets all of them.

    Args:
        backends: Keras backends; by default, those that are installed.
        repeats: Number of processes for each measure and backend.
        measures: Which to run: `"import"`: what `import keras_twins` adds to
            `import keras`. `"build"`: Twins-SVT-B with random weights.
            `"load"`: a safetensors file of Twins-SVT-L into a model that is
            built.

    Returns:
        A `BenchmarkReport`.

    Raises:
        ValueError: If a backend or a measure is unknown, or `repeats` is not
            positive.
        ChildProcessError: If a process fails.

    Example:

    ```python
    from keras_twins.benchmark import run_benchmark

    report = run_benchmark(
        [keras.backend.backend()], repeats=1, measures=["import"]
    )
    print(report.table())
    ```
    """
    backends = installed_backends() if backends is None else tuple(backends)
    _check("backends", backends, BACKENDS)
    if repeats < 1:
        raise ValueError(f"`repeats` must be at least 1. Received: {repeats=}")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "weights.safetensors")
        known = _measures(path)
        _check("measures", measures, tuple(known))
        chosen = {name: known[name] for name in measures}
        if "load" in chosen:
            _run(("write_weights", _LOADED, path), backends[0])
        runs = _take_turns(chosen, backends, repeats)
    return BenchmarkReport(
        rows=tuple(_rows(chosen, backends, runs)),
        machine=describe_machine(),
        versions=describe_versions(backends),
        notes=tuple(_notes(runs)),
    )


def _check(name: str, given: Sequence[str], known: Sequence[str]) -> None:
    if not given or not set(given) <= set(known):
        raise ValueError(
            f"`{name}` must hold some of {tuple(known)}. Received: "
            f"{name}={tuple(given)}"
        )


def _measures(path: str) -> dict[str, Measure]:
    load = (
        Quantity("load Twins-SVT-L", "seconds", "s"),
        Quantity("peak memory of loading", "peak", "x size of the file", 2.5),
    )
    return {
        "import": Measure(
            ("measure_import",),
            (Quantity("import, beyond that of keras", "seconds", "s", 0.3),),
        ),
        "build": Measure(
            ("measure_build", _BUILT),
            (Quantity("build Twins-SVT-B", "seconds", "s", 4.0),),
        ),
        "load": Measure(("measure_load", _LOADED, path), load),
    }


Runs = Mapping[tuple[str, str], Sequence[Values]]
"""What the processes of a measure and a backend gave."""


def _take_turns(
    measures: Mapping[str, Measure], backends: Sequence[str], repeats: int
) -> Runs:
    runs = {(name, backend): [] for name in measures for backend in backends}
    for _ in range(repeats):
        for (name, backend), values in runs.items():
            values.append(_run(measures[name].command, backend))
    return runs


def _run(command: Sequence[str], backend: str) -> Values:
    """Runs one process and returns what it measured."""
    done = subprocess.run(
        # -P: the folder of the script is no place to import from.
        [sys.executable, "-P", child.__file__, *command],
        env=worker_environment({"KERAS_BACKEND": backend}),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ChildProcessError(
            f"`{' '.join(command)}` with the backend {backend} ended with "
            f"exit code {done.returncode}: {reason}"
        )
    return json.loads(done.stdout.splitlines()[-1])


def _rows(
    measures: Mapping[str, Measure], backends: Sequence[str], runs: Runs
) -> Iterator[Measurement]:
    for name, measure in measures.items():
        for quantity in measure.quantities:
            for backend in backends:
                yield Measurement(
                    name=quantity.name,
                    backend=backend,
                    unit=quantity.unit,
                    runs=tuple(v[quantity.key] for v in runs[name, backend]),
                    target=quantity.target,
                )


def _notes(runs: Runs) -> Iterator[str]:
    loads = [v for values in runs.values() for v in values if "peak" in v]
    if not loads:
        return
    reset = all(v["reset"] for v in loads)
    yield (
        f"Loading: a safetensors file of {loads[0]['bytes'] / 1e6:.1f} MB. "
        "Memory: the largest resident memory "
        f"(`{'VmHWM' if reset else 'ru_maxrss'}`) while loading, less that of "
        "the built model."
    )
    if not reset:
        yield (
            "The system keeps the peak of the building: where that was "
            "higher, the peak of loading is a lower bound."
        )
