"""How the speed of training grows with the number of devices."""

import dataclasses
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras

from keras_twins.benchmark.machine import describe_machine
from keras_twins.benchmark.machine import describe_versions
from keras_twins.benchmark.machine import join_facts
from keras_twins.benchmark.process import worker_environment
from keras_twins.benchmark.speed_table import markdown_table

STRATEGIES: Mapping[str, str] = {
    "tensorflow": "mirrored",
    "jax": "data_parallel",
    "torch": "ddp",
}
"""Data parallelism on one machine, by backend."""

_CHILD = "keras_twins.benchmark.scaling_child"
_LIMIT = 1800


@dataclasses.dataclass(frozen=True)
class ScalingRow:
    """Steps of training on a number of devices.

    Args:
        devices: Number of devices.
        batch: Images of a step, over all devices.
        seconds: Of a step, in each measurement.
        shared: Whether the devices are virtual ones on the same cores.
    """

    devices: int
    batch: int
    seconds: tuple[float, ...]
    shared: bool

    @property
    def images_per_second(self) -> float:
        """Throughput over all devices."""
        return self.batch / statistics.median(self.seconds)


@dataclasses.dataclass(frozen=True)
class ScalingReport:
    """What several devices gain.

    Args:
        backend: Keras backend.
        variant: The model that was trained.
        size: Side of the images in pixels.
        fixed_global: Rows of the same global batch.
        fixed_local: Rows of the same batch for each device.
        failures: Why a number of devices was not measured, by number.
        machine: What it ran on.
        versions: Versions by name.
    """

    backend: str
    variant: str
    size: int
    fixed_global: tuple[ScalingRow, ...]
    fixed_local: tuple[ScalingRow, ...]
    failures: Mapping[int, str]
    machine: Mapping[str, str]
    versions: Mapping[str, str]

    def table(self) -> str:
        """Returns tables in Markdown, and what they were measured with."""
        title = f"**{self.variant}, training step, {self.size} x {self.size}"
        parts = []
        for kind, rows in (
            ("the same global batch", self.fixed_global),
            ("the same batch for each device", self.fixed_local),
        ):
            if rows:
                lines = [["devices", "batch", "ms", "images/s", "efficiency"]]
                lines += _lines(rows)
                name = f"{title}, {self.backend}, {kind}**"
                parts.append(f"{name}\n\n{markdown_table(lines, 5)}")
        parts += [
            f"Not measured on {devices} devices: {reason}"
            for devices, reason in self.failures.items()
        ]
        facts = {**self.machine, **self.versions}
        return "\n\n".join([*parts, self._legend(), join_facts(facts)])

    def _legend(self) -> str:
        if any(row.shared for row in self.fixed_global + self.fixed_local):
            return (
                "Efficiency: images a second over those of one device. The "
                "devices are virtual and share the cores of one processor: "
                "what is below 100% is what their cooperation costs."
            )
        return (
            "Efficiency: images a second of each device over those of one "
            "device alone."
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as a dictionary that JSON can hold."""
        return dataclasses.asdict(self)


def run_scaling(
    devices: Sequence[int] = (1, 2),
    variant: str = "svt_small",
    size: int = 224,
    batch: int = 8,
    steps: int = 3,
    rounds: int = 3,
    *,
    backend: str | None = None,
    progress: Callable[[str], object] = print,
) -> ScalingReport:
    """Measures training on growing numbers of devices of this machine.

    Each number gets a process of its own (on PyTorch, one for each device).
    Where there is no accelerator, the devices are virtual ones on the cores
    of the processor.

    Args:
        devices: Numbers of devices, beginning with 1.
        variant: A key of `keras_twins.VARIANTS`.
        size: Side of the images in pixels.
        batch: Images of a step: over all devices in the one table, for each
            device in the other. The largest of `devices` must divide it.
        steps: Steps of a measurement.
        rounds: Number of measurements.
        backend: Keras backend; by default, the running one.
        progress: Gets a line for every step on the way.

    Returns:
        A `ScalingReport`.

    Raises:
        ValueError: If `devices` does not begin with 1, or some do not divide
            `batch`.
        ChildProcessError: If one device cannot do it.
    """
    if not devices or devices[0] != 1 or any(batch % n for n in devices):
        raise ValueError(
            "`devices` must begin with 1, and each divide `batch`. Received: "
            f"devices={tuple(devices)}, batch={batch}"
        )
    backend = backend or keras.backend.backend()
    case = {"variant": variant, "size": size, "steps": steps, "rounds": rounds}
    rows: dict[tuple[int, int], ScalingRow] = {}
    failures: dict[int, str] = {}
    for number in devices:
        for total in dict.fromkeys((batch, batch * number)):
            progress(f"{backend}: {number} devices, batch {total}")
            try:
                answer = _measure(backend, number, {**case, "batch": total})
            except ChildProcessError as error:
                if number == 1:
                    raise
                failures[number] = str(error)
                continue
            rows[number, total] = ScalingRow(
                number, total, tuple(answer["seconds"]), answer["shared"]
            )
    return ScalingReport(
        backend=backend,
        variant=variant,
        size=size,
        fixed_global=_select(rows, [(n, batch) for n in devices]),
        fixed_local=_select(rows, [(n, n * batch) for n in devices]),
        failures=failures,
        machine=describe_machine(),
        versions=describe_versions([backend]),
    )


def _select(
    rows: Mapping[tuple[int, int], ScalingRow],
    keys: Sequence[tuple[int, int]],
) -> tuple[ScalingRow, ...]:
    return tuple(rows[key] for key in keys if key in rows)


def _measure(
    backend: str, devices: int, case: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns what a child process says, or raises what it said last."""
    launcher = ["-m"]
    if backend == "torch":
        launcher += ["torch.distributed.run", "--standalone"]
        launcher += [f"--nproc-per-node={devices}", "-m"]
    given = {"strategy": STRATEGIES[backend], "devices": devices, **case}
    done = subprocess.run(
        [sys.executable, *launcher, _CHILD, json.dumps(given)],
        env=worker_environment(_environment(backend, devices)),
        capture_output=True,
        text=True,
        timeout=_LIMIT,
    )
    said = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not said:
        errors = [line for line in done.stderr.splitlines() if line.strip()]
        raise ChildProcessError(errors[-1] if errors else "it said nothing")
    return json.loads(said[-1])


def _environment(backend: str, devices: int) -> dict[str, str]:
    environment = {"KERAS_BACKEND": backend}
    if backend == "jax":
        flag = f"--xla_force_host_platform_device_count={devices}"
        flags = f"{os.environ.get('XLA_FLAGS', '')} {flag}"
        environment["XLA_FLAGS"] = flags.strip()
    if backend == "torch":
        cores = os.cpu_count() or 1
        environment["OMP_NUM_THREADS"] = str(max(1, cores // devices))
    return environment


def _lines(rows: Sequence[ScalingRow]) -> Iterator[list[str]]:
    alone = rows[0].images_per_second
    for row in rows:
        ideal = alone if row.shared else alone * row.devices
        yield [
            str(row.devices),
            str(row.batch),
            f"{1e3 * statistics.median(row.seconds):.1f}",
            f"{row.images_per_second:.1f}",
            f"{row.images_per_second / ideal:.0%}",
        ]
