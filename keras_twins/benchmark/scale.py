"""Cost against resolution: whether it grows with the number of pixels."""

import dataclasses
import math
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from keras_twins.benchmark.machine import join_facts
from keras_twins.benchmark.plan import inference_cases
from keras_twins.benchmark.presets import SHORT
from keras_twins.benchmark.speed import run_speed
from keras_twins.benchmark.speed_report import Row
from keras_twins.benchmark.speed_report import SpeedReport
from keras_twins.benchmark.speed_table import markdown_table
from keras_twins.benchmark.system import System
from keras_twins.benchmark.systems import find_label
from keras_twins.benchmark.systems import select_systems

SCALE_SYSTEMS = ("tensorflow", "jax", "torch", "timm-eager")
"""What is measured where nothing else is asked for."""


@dataclasses.dataclass(frozen=True)
class ScaleReport:
    """Time and memory of one image against its size.

    Args:
        speed: What was measured.
    """

    speed: SpeedReport

    def curves(self) -> dict[tuple[str, str], list[Row]]:
        """Returns the rows of each variant and system, by size."""
        curves: dict[tuple[str, str], list[Row]] = {}
        for row in sorted(self.speed.rows, key=lambda row: row.case):
            curves.setdefault((row.variant, row.system), []).append(row)
        return curves

    def table(self) -> str:
        """Returns a table in Markdown, and what it was measured with."""
        sizes = sorted({row.case.size for row in self.speed.rows})
        header = ["system", *map(str, sizes), "exponent"]
        parts = []
        for variant in dict.fromkeys(key[0] for key in self.curves()):
            curves = {
                system: rows
                for (name, system), rows in self.curves().items()
                if name == variant
            }
            lines = [header, *_lines(curves, sizes)]
            title = f"**{variant}, one image, by its side in pixels**"
            parts += [title, markdown_table(lines, len(sizes) + 1)]
        facts = {**self.speed.machine, **self.speed.versions}
        return "\n\n".join([*parts, *_legend(), join_facts(facts)])

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as a dictionary that JSON can hold."""
        return self.speed.to_dict()


def run_scale(
    systems: Sequence[System] | None = None,
    variants: Sequence[str] = ("svt_small",),
    sizes: Sequence[int] = SHORT.scale_sizes,
    rounds: int = SHORT.scale_rounds,
    *,
    burst: float = 1.0,
    preload: Sequence[str] = (),
    at_once: int | None = None,
    progress: Callable[[str], object] = print,
) -> ScaleReport:
    """Measures forward passes of one image of growing size, in float32.

    Args:
        systems: What is measured; by default, Keras on each backend, and
            timm.
        variants: Keys of `keras_twins.VARIANTS`, or paths of JSON files with
            the fields of a `TwinsConfig`.
        sizes: Sides of the images in pixels.
        rounds: How often each is measured.
        burst: Seconds that one measurement takes, at least one step.
        preload: Modules that the workers of peers import first.
        at_once: Most processes that live at once; see `run_speed`.
        progress: Gets a line for every step on the way.

    Returns:
        A `ScaleReport`.
    """
    if systems is None:
        systems = select_systems(SCALE_SYSTEMS)
    cases = inference_cases((1,), sizes, ("float32",))
    report = run_speed(
        systems,
        variants,
        cases,
        rounds,
        burst=burst,
        preload=preload,
        at_once=at_once,
        progress=progress,
    )
    return ScaleReport(report)


def growth(rows: Sequence[Row], value: Callable[[Row], float]) -> float:
    """Returns the exponent with which something grows with the pixels.

    Args:
        rows: Rows of one system, of at least two sizes.
        value: What grows.

    Returns:
        The slope of its logarithm over that of the number of pixels, by
        least squares: 1 is linear.
    """
    x = [2 * math.log(row.case.size) for row in rows]
    y = [math.log(max(value(row), 1e-12)) for row in rows]
    x_mean, y_mean = sum(x) / len(x), sum(y) / len(y)
    pairs = zip(x, y, strict=True)
    covariance = sum((a - x_mean) * (b - y_mean) for a, b in pairs)
    return covariance / sum((a - x_mean) ** 2 for a in x)


def _lines(
    curves: dict[str, list[Row]], sizes: Sequence[int]
) -> Iterator[list[str]]:
    for system, rows in curves.items():
        found = {row.case.size: row for row in rows}
        for unit, value in (("ms", _milliseconds), ("MB", _megabytes)):
            cells = [
                f"{value(found[size]):.0f}" if size in found else ""
                for size in sizes
            ]
            exponent = f"{growth(rows, value):.2f}" if len(rows) > 1 else ""
            yield [f"{find_label(system)}, {unit}", *cells, exponent]


def _milliseconds(row: Row) -> float:
    return 1e3 * row.median


def _megabytes(row: Row) -> float:
    return row.memory / 1e6


def _legend() -> Iterator[str]:
    yield (
        "Memory is the peak beyond the process without the model, so it "
        "holds the weights too. The exponent is the slope against the number "
        "of pixels on logarithmic scales: 1 is linear."
    )
