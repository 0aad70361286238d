"""A speed report in Markdown."""

import statistics
import textwrap
from collections.abc import Sequence

from keras_twins.benchmark.machine import join_facts
from keras_twins.benchmark.speed_report import Row
from keras_twins.benchmark.speed_report import SpeedReport
from keras_twins.benchmark.system import System
from keras_twins.benchmark.systems import SYSTEMS
from keras_twins.benchmark.systems import find_label
from keras_twins.benchmark.targets import TARGETS
from keras_twins.benchmark.targets import Target
from keras_twins.benchmark.targets import judge

_LEGEND = (
    "Images a second (x the faster of timm eager and timm compiled, in "
    "float32; after a slash: in the dtype of the line). Memory: peak of the "
    "process with the largest batch, in MB, and of it what it took before the "
    "model was built; on accelerators, peak of the device."
)
_REASON = 200
"""Most characters that tables give of a reason; the JSON file has all."""


def format_speed(report: SpeedReport) -> str:
    """Returns what was measured as tables.

    Args:
        report: What was measured.

    Returns:
        Markdown: a table for each variant, mode and size, the targets, what
        could not be measured, machine and versions.
    """
    panels = dict.fromkeys(
        (row.variant, row.case.training, row.case.size) for row in report.rows
    )
    parts = [_panel(report, *panel) for panel in panels]
    parts = [part for part in parts if part]
    if report.rows:
        parts.append(_LEGEND)
    parts += [
        format_targets(report),
        format_failures(report),
        *report.notes,
    ]
    parts.append(join_facts({**report.machine, **report.versions}))
    return "\n\n".join(part for part in parts if part)


def markdown_table(lines: Sequence[Sequence[str]], numbers: int) -> str:
    """Returns a table.

    Args:
        lines: The cells; the first line is the header.
        numbers: How many columns, counted from the right, hold numbers.

    Returns:
        Markdown.
    """
    words = len(lines[0]) - numbers
    rule = ["---"] * words + ["--:"] * numbers
    table = [lines[0], rule, *lines[1:]]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in table)


def _panel(report: SpeedReport, variant: str, training: bool, size: int) -> str:
    rows = [
        row
        for row in report.rows
        if (row.variant, row.case.training, row.case.size)
        == (variant, training, size)
    ]
    batches = sorted({row.case.batch for row in rows})
    header = ["system", "dtype", *(f"batch {x}" for x in batches), "memory"]
    lines = [header]
    # Workers start in another order than that of the table of systems.
    names = [system.name for system in SYSTEMS]
    rows.sort(key=lambda r: names.index(r.system) if r.system in names else -1)
    for system, dtype in dict.fromkeys((r.system, r.case.dtype) for r in rows):
        mine = [r for r in rows if (r.system, r.case.dtype) == (system, dtype)]
        cells = [_speed(report, mine, batch) for batch in batches]
        largest = max(mine, key=lambda row: row.case.batch)
        memory = f"{largest.peak / 1e6:.0f} ({largest.base / 1e6:.0f})"
        lines.append([find_label(system), dtype, *cells, memory])
    what = "training step" if training else "inference"
    title = f"**{variant}, {what}, {size} x {size}**"
    return f"{title}\n\n{markdown_table(lines, len(batches) + 1)}"


def _speed(report: SpeedReport, rows: Sequence[Row], batch: int) -> str:
    """Returns throughput and ratios; the groups are taken together."""
    rows = [row for row in rows if row.case.batch == batch]
    if not rows:
        return ""
    seconds = [value for row in rows for value in row.seconds]
    text = f"{batch / statistics.median(seconds):.1f}"
    dtypes = dict.fromkeys(["float32", rows[0].case.dtype])
    ratios = [
        [ratio for row in rows for ratio in report.ratios(row, dtype)]
        for dtype in dtypes
    ]
    medians = [f"{statistics.median(r):.2f}" for r in ratios if r]
    return f"{text} ({' / '.join(medians)})" if medians else text


def format_targets(
    report: SpeedReport, targets: Sequence[Target] = TARGETS
) -> str:
    """Returns what was asked of the systems, and whether it was met.

    Args:
        report: What was measured.
        targets: What was asked.

    Returns:
        Markdown: a table; empty if nothing was asked of what was measured.
    """
    lines = [["target", "variant", "case", "by", "asked", "reached", "met"]]
    for verdict in judge(report, targets):
        target = verdict.target
        lines.append(
            [
                target.title,
                verdict.variant,
                target.case.label,
                verdict.system,
                f"{target.minimum:.2f}",
                f"{verdict.ratio:.2f}",
                "yes" if verdict.met else "NO",
            ]
        )
    return markdown_table(lines, 3) if len(lines) > 1 else ""


def format_failures(
    report: SpeedReport,
    title: str = "Not measured",
    table: Sequence[System] = SYSTEMS,
) -> str:
    """Returns what could not be measured, and why.

    Args:
        report: What was measured.
        title: What stands above it.
        table: The systems that there are.

    Returns:
        Markdown: a list; empty if everything was measured.
    """
    if not report.failures:
        return ""
    found: dict[tuple[str, str], list[str]] = {}
    for failure in report.failures:
        reason = textwrap.shorten(failure.reason, _REASON, placeholder=" ...")
        key = (find_label(failure.system, table), reason)
        found.setdefault(key, []).append(failure.what)
    lines = [
        f"- {label}: {reason} ({'; '.join(dict.fromkeys(what))})"
        for (label, reason), what in found.items()
    ]
    return "\n".join([f"{title}:", "", *lines])
