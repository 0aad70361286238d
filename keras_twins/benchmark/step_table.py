"""Forward passes beside training steps, in Markdown."""

import statistics
from collections.abc import Iterator
from collections.abc import Sequence

from keras_twins.benchmark.speed_report import Row
from keras_twins.benchmark.speed_report import SpeedReport
from keras_twins.benchmark.speed_table import format_failures
from keras_twins.benchmark.speed_table import markdown_table
from keras_twins.benchmark.system import System
from keras_twins.benchmark.systems import find_label

_USUAL_SIZE = 512


def step_tables(
    title: str, report: SpeedReport, systems: Sequence[System]
) -> Iterator[str]:
    """Yields a table for each variant and size, then what is missing.

    Args:
        title: What was measured.
        report: How fast it was.
        systems: The systems that there are.

    Yields:
        str: Markdown.
    """
    header = ["system", "forward", "training step", "memory"]
    panels = dict.fromkeys((r.variant, r.case.size) for r in report.rows)
    for variant, size in panels:
        rows = [
            row
            for row in report.rows
            if (row.variant, row.case.size) == (variant, size)
        ]
        lines = [header, *_lines(report, rows, systems)]
        other = "" if size == _USUAL_SIZE else f", {size} x {size}"
        table = markdown_table(lines, 3)
        yield f"**{title} on {variant}{other}**\n\n{table}"
    if report.failures:
        yield format_failures(report, f"{title}, not measured", systems)


def _lines(
    report: SpeedReport, rows: Sequence[Row], systems: Sequence[System]
) -> Iterator[list[str]]:
    for system in dict.fromkeys(row.system for row in rows):
        mine = [row for row in rows if row.system == system]
        training = [row for row in mine if row.case.training]
        forward = [row for row in mine if not row.case.training]
        peak = f"{training[0].peak / 1e6:.0f}" if training else ""
        cells = [time_cell(report, x) for x in (forward, training)]
        yield [find_label(system, systems), *cells, peak]


def time_cell(
    report: SpeedReport,
    rows: Sequence[Row],
    scale: float = 1.0,
    decimals: int = 2,
) -> str:
    """Returns time and ratio; the groups are taken together.

    Args:
        report: How fast everything was.
        rows: The rows of one system on one case.
        scale: Units of a second.
        decimals: Digits after the point.

    Returns:
        A cell; empty without rows.
    """
    if not rows:
        return ""
    seconds = [value for row in rows for value in row.seconds]
    text = f"{scale * statistics.median(seconds):.{decimals}f}"
    ratios = [ratio for row in rows for ratio in report.ratios(row)]
    return f"{text} ({statistics.median(ratios):.2f})" if ratios else text
