"""Figures with a legend, drawn by matplotlib."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_twins.canvas import blank_figure

_LONG_SIDE = 8.0
_LEGEND_WIDTH = 2.6


def new_figure(height: int, width: int) -> Any:
    """Returns a figure of its own, with no state in `pyplot`.

    Args:
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.

    Returns:
        A figure with room for the legend.

    Raises:
        ImportError: If matplotlib is missing.
    """
    scale = _LONG_SIDE / max(height, width)
    return blank_figure(width * scale + _LEGEND_WIDTH, max(height * scale, 3.2))


def legend_entries(
    labels: np.ndarray, names: Sequence[str], max_legend: int
) -> list[tuple[str, int | None]]:
    """Returns texts and classes, the largest first, then what is left.

    Args:
        labels: Labels that count, of shape `(pixels,)`.
        names: Name of each class.
        max_legend: Number of classes that are named.

    Returns:
        Pairs of a text and its class; `None` for all others.
    """
    counts = np.bincount(labels, minlength=len(names))
    order = [int(i) for i in np.argsort(-counts, kind="stable") if counts[i]]
    shown, others = order[:max_legend], order[max_legend:]
    entries: list[tuple[str, int | None]] = [
        (f"{names[i]}  {counts[i] / max(len(labels), 1):.1%}", i) for i in shown
    ]
    if others:
        share = counts[others].sum() / len(labels)
        entries.append((f"{len(others)} more  {share:.1%}", None))
    return entries


def add_legend(
    figure: Any, entries: Sequence[tuple[str, int | None]], colors: np.ndarray
) -> None:
    """Draws a legend beside the picture.

    Args:
        figure: The figure.
        entries: Texts and their classes.
        colors: Colours of shape `(classes, 3)` from 0 to 255.
    """
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor="none", label=text)
        if index is None
        else Patch(
            facecolor=tuple(colors[index] / 255), edgecolor="0.4", label=text
        )
        for text, index in entries
    ]
    figure.legend(
        handles=handles,
        loc="outside right upper",
        frameon=False,
        title="share of the labelled pixels",
        alignment="left",
    )
