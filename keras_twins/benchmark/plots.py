"""Plots of a benchmark, drawn with matplotlib."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from keras_twins.benchmark.plan import Case
from keras_twins.benchmark.scale import ScaleReport
from keras_twins.benchmark.speed_report import Row
from keras_twins.benchmark.speed_report import SpeedReport
from keras_twins.benchmark.systems import find_group
from keras_twins.benchmark.systems import find_label
from keras_twins.canvas import blank_figure
from keras_twins.weights.files import replace_file

_COLORS = {
    "keras": "#3465a4",
    "artifact": "#1b7f4d",
    "timm": "#c22f2f",
    "timm-artifact": "#d9822b",
    "alternative": "#8a8a8a",
}
_OTHER = "#8a8a8a"
_GROUPS = {
    "keras": "keras_twins",
    "artifact": "keras_twins, exported",
    "timm": "timm",
    "timm-artifact": "timm, exported",
    "alternative": "other models of Keras",
}
_CURVES = ("#3465a4", "#d9822b", "#1b7f4d", "#c22f2f", "#75507b", "#8a8a8a")


def draw_throughput(path: pathlib.Path, report: SpeedReport) -> None:
    """Draws the images a second of every system.

    A column for each variant, a row for each case.

    Args:
        path: The picture; there is none if nothing was measured.
        report: What was measured.
    """
    if not report.rows:
        return
    variants = list(dict.fromkeys(row.variant for row in report.rows))
    panels = [
        [_panel_rows(report.rows, variant, case) for variant in variants]
        for case in _cases(report.rows)
    ]
    heights = [0.9 + 0.2 * max(map(len, panel)) for panel in panels]
    figure = blank_figure(7.5 * len(variants), 0.5 + sum(heights))
    grid = figure.subplots(
        len(panels), len(variants), squeeze=False, height_ratios=heights
    )
    for axes, panel in zip(grid, panels, strict=True):
        for axis, rows in zip(axes, panel, strict=True):
            _bars(axis, rows, report)
    _name_colors(figure, report.rows)
    _save(figure, path)


def draw_resolution(path: pathlib.Path, report: ScaleReport) -> None:
    """Draws time and memory of one image against its number of pixels.

    Args:
        path: The picture; there is none if nothing was measured.
        report: What was measured.
    """
    if not report.speed.rows:
        return
    figure = blank_figure(11.5, 4.6)
    left, right = figure.subplots(1, 2)
    for axis, value, label in (
        (left, lambda row: row.median, "seconds for one image"),
        (right, lambda row: row.memory / 1e9, "memory in GB"),
    ):
        curves = report.curves()
        for number, ((variant, system), rows) in enumerate(curves.items()):
            pixels = [row.case.size**2 for row in rows]
            axis.loglog(
                pixels,
                [value(row) for row in rows],
                "o-",
                ms=4,
                color=_CURVES[number % len(_CURVES)],
                label=f"{variant}, {find_label(system)}",
            )
        _slope(axis, [row for rows in curves.values() for row in rows], value)
        _name_sizes(axis, report.speed.rows)
        axis.set_ylabel(label)
    left.legend(frameon=False, fontsize=8)
    figure.suptitle("Cost of a forward pass against the size of the image")
    _save(figure, path)


def _cases(rows: Sequence[Row]) -> list[Case]:
    """Returns what is compared, whatever the dtype: inference first."""
    cases = {dataclasses.replace(row.case, dtype="float32") for row in rows}
    return sorted(cases)


def _panel_rows(rows: Sequence[Row], variant: str, case: Case) -> list[Row]:
    """Returns a row for each system and dtype, the fastest one first."""
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        alike = dataclasses.replace(row.case, dtype="float32")
        if (row.variant, alike) == (variant, case):
            found.setdefault((row.system, row.case.dtype), row)
    return sorted(found.values(), key=lambda row: row.median)


def _bars(axis: Any, rows: Sequence[Row], report: SpeedReport) -> None:
    if not rows:
        axis.axis("off")
        return
    values = [row.throughput for row in rows]
    colors = [_COLORS.get(find_group(row.system), _OTHER) for row in rows]
    bars = axis.barh(range(len(rows)), values, color=colors)
    texts = [_bar_label(row, report.ratio(row)) for row in rows]
    axis.bar_label(bars, texts, padding=3, fontsize=7)
    axis.set_yticks(range(len(rows)), map(_name, rows), fontsize=7)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_xlim(0, 1.3 * max(values))
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_xlabel("images a second (x the best of timm in float32)")
    case = rows[0].case
    what = "training step" if case.training else "inference"
    title = f"{rows[0].variant}, {what}, {case.size} x {case.size}"
    axis.set_title(f"{title}, batch {case.batch}", fontsize=9)


def _bar_label(row: Row, ratio: float | None) -> str:
    text = f"{row.throughput:.1f}"
    return text if ratio is None else f"{text}  ({ratio:.2f} x)"


def _name(row: Row) -> str:
    label, dtype = find_label(row.system), row.case.dtype
    return label if dtype == "float32" else f"{label} ({dtype})"


def _name_colors(figure: Any, rows: Sequence[Row]) -> None:
    from matplotlib.patches import Patch

    groups = dict.fromkeys(find_group(row.system) for row in rows)
    figure.legend(
        handles=[
            Patch(color=_COLORS[group], label=_GROUPS[group])
            for group in groups
            if group in _GROUPS
        ],
        loc="outside upper center",
        ncols=len(_GROUPS),
        frameon=False,
    )


def _slope(axis: Any, rows: Sequence[Row], value: Any) -> None:
    """Draws what growth with the number of pixels looks like."""
    sides = sorted({row.case.size for row in rows})
    start = min(value(row) for row in rows if row.case.size == sides[0])
    line = [start * (side / sides[0]) ** 2 for side in sides]
    axis.loglog(
        [side**2 for side in sides],
        line,
        "--",
        color="black",
        lw=1,
        label="proportional to H x W",
    )


def _name_sizes(axis: Any, rows: Sequence[Row]) -> None:
    sides = sorted({row.case.size for row in rows})
    axis.set_xticks([side**2 for side in sides], [f"{side}²" for side in sides])
    axis.minorticks_off()
    axis.set_xlabel("pixels")
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


def _save(figure: Any, path: pathlib.Path) -> None:
    with replace_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
