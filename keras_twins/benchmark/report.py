"""What a benchmark measured, as a table and as JSON."""

import dataclasses
import json
import os
import pathlib
import statistics
from collections.abc import Mapping
from typing import Any

from keras_twins.benchmark.machine import join_facts
from keras_twins.weights.files import replace_file

_HEADER = ("measure", "backend", "median", "range", "unit", "target", "met")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurement:
    """One quantity, measured in several processes.

    Args:
        name: What was measured.
        backend: The Keras backend.
        unit: Unit of the values.
        runs: The value of each process.
        target: What the median should be below; `None` if there is no
            target.
    """

    name: str
    backend: str
    unit: str
    runs: tuple[float, ...]
    target: float | None = None

    @property
    def value(self) -> float:
        """The median of the runs."""
        return statistics.median(self.runs)

    @property
    def met(self) -> bool | None:
        """Whether the value is below the target; `None` without one."""
        return None if self.target is None else self.value < self.target

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as a dictionary that JSON can hold."""
        content = dataclasses.asdict(self)
        return content | {"value": self.value, "met": self.met}


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchmarkReport:
    """What a benchmark measured, and on what.

    Args:
        rows: The measurements.
        machine: What the machine is, by name.
        versions: Versions of the packages, by name.
        notes: How something was measured, as sentences.
    """

    rows: tuple[Measurement, ...]
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def table(self) -> str:
        """Returns the measurements as a table in Markdown."""
        lines = [_HEADER, ("---",) * len(_HEADER), *map(_cells, self.rows)]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        facts = join_facts({**self.machine, **self.versions})
        return "\n\n".join([table, *self.notes, facts])

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as a dictionary that JSON can hold."""
        return {
            "rows": [row.to_dict() for row in self.rows],
            "machine": dict(self.machine),
            "versions": dict(self.versions),
            "notes": list(self.notes),
        }

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes everything as JSON.

        Args:
            path: The file; its folder is made where it is missing.
        """
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        with replace_file(path) as temporary:
            content = {**self.to_dict(), "markdown": self.table()}
            temporary.write_text(json.dumps(content, indent=2) + "\n")


def _cells(row: Measurement) -> tuple[str, ...]:
    target = "" if row.target is None else f"< {row.target:g}"
    met = {None: "", True: "yes", False: "NO"}[row.met]
    spread = f"{min(row.runs):.3f} to {max(row.runs):.3f}"
    return (
        row.name,
        row.backend,
        f"{row.value:.3f}",
        spread,
        row.unit,
        target,
        met,
    )
