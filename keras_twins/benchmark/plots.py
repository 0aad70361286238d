"""Plots of a benchmark, drawn with matplotlib."""

import importlib
import pathlib
from collections.abc import Sequence
from typing import Any

from keras_twins.benchmark.scale import ScaleReport
from keras_twins.benchmark.speed_report import Row
from keras_twins.benchmark.speed_report import SpeedReport
from keras_twins.benchmark.systems import find_group
from keras_twins.benchmark.systems import find_label
from keras_twins.weights.files import replace_file

_COLORS = {
    "keras": "#3465a4",
    "artifact": "#1b7f4d",
    "timm": "#c22f2f",
    "timm-artifact": "#d9822b",
    "alternative": "#8a8a8a",
}
_CURVES = ("#3465a4", "#d9822b", "#1b7f4d", "#c22f2f", "#75507b", "#8a8a8a")


def require_matplotlib() -> None:
    """Raises an error that names the extra if matplotlib is missing.

    Raises:
        ImportError: If matplotlib is missing.
    """
    try:
        importlib.import_module("matplotlib")
    except ImportError as error:
        raise ImportError(
            "The plots are drawn with matplotlib. Install it with "
            '`pip install "keras-twins[plot]"`.'
        ) from error


def draw_throughput(path: pathlib.Path, report: SpeedReport) -> None:
    """Draws the images a second of every system, an axis for each case.

    Args:
        path: The picture; there is none if nothing was measured.
        report: What was measured.
    """
    if not report.rows:
        return
    keys = [(row.variant, row.case) for row in report.rows]
    cases = {}
    for variant, case in sorted(set(keys)):
        name = (variant, case.training, case.size, case.batch)
        cases.setdefault(name, []).append((variant, case))
    panels = [
        [r for r in report.rows if (r.variant, r.case) in wanted]
        for wanted in cases.values()
    ]
    columns = 2 if len(panels) > 1 else 1
    grid_rows = -(-len(panels) // columns)
    tallest = max(len(_best_rows(panel)) for panel in panels)
    height = grid_rows * (0.8 + 0.24 * tallest)
    figure = _figure(7.5 * columns, max(3.0, height))
    axes = figure.subplots(grid_rows, columns, squeeze=False).flat
    for axis, panel in zip(axes, panels, strict=False):
        _bars(axis, _best_rows(panel), report)
    for axis in list(axes)[len(panels) :]:
        axis.axis("off")
    _save(figure, path)


def draw_resolution(path: pathlib.Path, report: ScaleReport) -> None:
    """Draws time and memory of one image against its number of pixels.

    Args:
        path: The picture; there is none if nothing was measured.
        report: What was measured.
    """
    if not report.speed.rows:
        return
    figure = _figure(11.5, 4.6)
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


def _best_rows(rows: Sequence[Row]) -> list[Row]:
    """Returns a row for each system and dtype, the fastest one first."""
    best: dict[tuple[str, str], Row] = {}
    for row in rows:
        best.setdefault((row.system, row.case.dtype), row)
    return sorted(best.values(), key=lambda row: row.median)


def _bars(axis: Any, rows: Sequence[Row], report: SpeedReport) -> None:
    labels = [
        find_label(row.system)
        + ("" if row.case.dtype == "float32" else f" ({row.case.dtype})")
        for row in rows
    ]
    values = [row.throughput for row in rows]
    colors = [_COLORS.get(find_group(row.system), "#8a8a8a") for row in rows]
    bars = axis.barh(range(len(rows)), values, color=colors)
    ratios = [report.ratio(row) for row in rows]
    axis.bar_label(
        bars,
        [
            f"{value:.1f}" + ("" if ratio is None else f"  ({ratio:.2f} x)")
            for value, ratio in zip(values, ratios, strict=True)
        ],
        padding=3,
        fontsize=7,
    )
    axis.set_yticks(range(len(rows)), labels, fontsize=7)
    axis.invert_yaxis()
    axis.set_xlim(0, 1.3 * max(values))
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_xlabel("images a second (x the best of timm in float32)")
    case = rows[0].case
    what = "training step" if case.training else "inference"
    title = f"{rows[0].variant}, {what}, {case.size} x {case.size}"
    axis.set_title(f"{title}, batch {case.batch}", fontsize=9)


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


def _figure(width: float, height: float) -> Any:
    """Returns a figure of its own, with no state in `pyplot`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, path: pathlib.Path) -> None:
    with replace_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
