"""Rows and reports by hand."""

from keras_twins.benchmark import Case
from keras_twins.benchmark import SpeedReport
from keras_twins.benchmark.plan import Failure
from keras_twins.benchmark.speed_report import Row


def row(system: str, *seconds: float, **changes) -> Row:
    values = {
        "variant": "svt_small",
        "system": system,
        "case": Case(batch=16),
        "group": 0,
        "seconds": seconds,
        "peaks": (3_000_000,) * len(seconds),
        "base": 1_000_000,
    }
    return Row(**{**values, **changes})


def report(*rows: Row, failures: tuple[Failure, ...] = ()) -> SpeedReport:
    return SpeedReport(
        rows=rows,
        failures=failures,
        references=("timm-eager", "timm-compile"),
        machine={"processor": "abacus", "cores": "2"},
        versions={"keras": "3"},
        notes=("Beads were moved.",),
    )
