"""How fast everything was: rows, ratios, and what was asked for."""

import dataclasses
import statistics
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_twins.benchmark.plan import Case
from keras_twins.benchmark.plan import Failure


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A system on a case, measured round after round.

    Args:
        variant: Name of the architecture.
        system: Name of the system.
        case: What was measured.
        group: Number of the group of workers; rounds are comparable within
            one group.
        seconds: Time of a step in each round.
        peaks: Largest memory in each round, in bytes.
        base: Memory of the worker before the model was built, in bytes.
        warmup: Seconds that building and the first step took.
        parameters: Number of the trainable values; 0 where it is unknown.
        device: Where it ran.
    """

    variant: str
    system: str
    case: Case
    group: int
    seconds: tuple[float, ...]
    peaks: tuple[int, ...]
    base: int = 0
    warmup: float = 0.0
    parameters: int = 0
    device: str = "cpu"

    @property
    def median(self) -> float:
        """Median time of a step in seconds."""
        return statistics.median(self.seconds)

    @property
    def throughput(self) -> float:
        """Images a second, from the median."""
        return self.case.batch / self.median

    @property
    def peak(self) -> int:
        """Median of the largest memory, in bytes."""
        return int(statistics.median(self.peaks))

    @property
    def memory(self) -> int:
        """What the model took beyond the worker without it, in bytes."""
        return self.peak - self.base


def find_reference(
    row: Row,
    rows: Iterable[Row],
    references: Sequence[str],
    dtype: str = "float32",
) -> Row | None:
    """Returns what a row is compared with.

    Args:
        row: A row.
        rows: All rows.
        references: Names of the systems that others are compared with.
        dtype: What these compute in.

    Returns:
        Of the references, measured in the same group on as many images of
        the same size, that with the smallest median; `None` if there is none.
    """
    case = dataclasses.replace(row.case, dtype=dtype)
    key = (row.variant, row.group, case)
    found = [
        other
        for other in rows
        if other.system in references
        and (other.variant, other.group, other.case) == key
    ]
    return min(found, key=lambda other: other.median, default=None)


def round_ratios(row: Row, reference: Row) -> tuple[float, ...]:
    """Returns how much faster a row is, round by round.

    Args:
        row: A row.
        reference: A row of the same group.

    Returns:
        For each round, the reference's time over the row's.
    """
    pairs = zip(reference.seconds, row.seconds, strict=True)
    return tuple(slow / fast for slow, fast in pairs)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeedReport:
    """How fast the systems were, and on what.

    Args:
        rows: What was measured.
        failures: What could not be.
        references: Names of the systems that others are compared with.
        machine: What the machine is, by name.
        versions: Versions of the packages, by name.
        notes: How it was measured, as sentences.
    """

    rows: tuple[Row, ...]
    failures: tuple[Failure, ...]
    references: tuple[str, ...]
    machine: Mapping[str, str]
    versions: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def ratios(self, row: Row, dtype: str = "float32") -> tuple[float, ...]:
        """Returns how much faster a row is than the best reference.

        Args:
            row: One of the rows.
            dtype: What the reference computes in.

        Returns:
            A ratio for each round; empty if there is no reference.
        """
        best = find_reference(row, self.rows, self.references, dtype)
        return () if best is None else round_ratios(row, best)

    def ratio(self, row: Row, dtype: str = "float32") -> float | None:
        """Returns the median of the ratios of a row.

        Args:
            row: One of the rows.
            dtype: What the reference computes in.

        Returns:
            The median; `None` if there is no reference.
        """
        ratios = self.ratios(row, dtype)
        return statistics.median(ratios) if ratios else None

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as a dictionary that JSON can hold."""
        content = dataclasses.asdict(self)
        for row, written in zip(self.rows, content["rows"], strict=True):
            written |= {
                "images_per_second": row.throughput,
                "ratio": self.ratio(row),
                "ratios": self.ratios(row),
                "ratio_same_dtype": self.ratio(row, row.case.dtype),
            }
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "SpeedReport":
        """Returns the report that `to_dict` was called on.

        Args:
            content: What it returned, also by way of JSON.

        Returns:
            A `SpeedReport`.
        """
        return cls(
            rows=tuple(map(_read_row, content["rows"])),
            failures=tuple(Failure(**fields) for fields in content["failures"]),
            references=tuple(content["references"]),
            machine=dict(content["machine"]),
            versions=dict(content["versions"]),
            notes=tuple(content["notes"]),
        )


def _read_row(content: Mapping[str, Any]) -> Row:
    fields = {field.name: content[field.name] for field in _FIELDS}
    return Row(
        **{
            **fields,
            "case": Case(**content["case"]),
            "seconds": tuple(content["seconds"]),
            "peaks": tuple(content["peaks"]),
        }
    )


_FIELDS = dataclasses.fields(Row)
