"""Pictures of an evaluation, drawn with matplotlib.

Shape suffixes: C classes.
"""

import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_twins.canvas import blank_figure
from keras_twins.canvas import picture_format
from keras_twins.training.evaluation.scores import ClassificationScores
from keras_twins.weights.files import replace_file

_MOST_CELLS = 40
"""Classes up to which a matrix, or a bar for each, can be read."""

_MOST_NUMBERS = 20
_PAIRS = 25
_EXTREMES = 12
_LONGEST_NAME = 28
_RIGHT, _WRONG, _GREY = "#3465a4", "#c22f2f", "#9aa5b1"


def draw_confusion(
    path: str | os.PathLike[str],
    scores: ClassificationScores,
    class_names: Sequence[str] | None = None,
) -> None:
    """Draws how often classes were taken for each other.

    Up to 40 classes stand in a matrix; of more, which no page could show, the
    most frequent errors are drawn.

    Args:
        path: The picture; its suffix says the format, `.png` by default.
        scores: What was counted.
        class_names: Name of each class; by default, its number.

    Raises:
        ImportError: If matplotlib is missing.
        ValueError: If the suffix is unknown, or there are not as many names
            as classes.
    """
    suffix = picture_format(path)
    names = _short(scores.names(class_names))
    draw = _draw_matrix if len(names) <= _MOST_CELLS else _draw_pairs
    _save(draw(scores, names), path, suffix)


def draw_class_accuracy(
    path: str | os.PathLike[str],
    scores: ClassificationScores,
    class_names: Sequence[str] | None = None,
) -> None:
    """Draws the top-1 accuracy of each class, the worst first.

    Up to 40 classes have a bar each; of more, the worst and the best are
    named beside the distribution of all.

    Args:
        path: The picture; its suffix says the format, `.png` by default.
        scores: What was counted.
        class_names: Name of each class; by default, its number.

    Raises:
        ImportError: If matplotlib is missing.
        ValueError: If the suffix is unknown, or there are not as many names
            as classes.
    """
    suffix = picture_format(path)
    names = _short(scores.names(class_names))
    seen = np.flatnonzero(scores.class_images)
    order = seen[np.argsort(scores.class_top1[seen], kind="stable")]
    draw = _draw_bars if len(order) <= _MOST_CELLS else _draw_extremes
    _save(draw(scores, names, order), path, suffix)


def _draw_matrix(scores: ClassificationScores, names: Sequence[str]) -> Any:
    classes = len(names)
    side = max(4.6, 0.42 * classes + 1.6)
    figure = blank_figure(side + 0.4, side)
    axis = figure.subplots()
    shares = scores.confusion / np.maximum(scores.class_images[:, None], 1)
    # Rare errors would be white on a linear scale.
    axis.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    size = 9 if classes <= 12 else 6.5
    if classes <= _MOST_NUMBERS:
        _write_counts(axis, scores.confusion, shares, size)
    turned = 90 if max(map(len, names)) > 3 else 0
    axis.set_xticks(range(classes), names, rotation=turned, fontsize=size)
    axis.set_yticks(range(classes), names, fontsize=size)
    axis.set_xlabel("predicted class")
    axis.set_ylabel("true class")
    axis.set_title(_title(scores), fontsize=10)
    return figure


def _write_counts(
    axis: Any, counts_CC: np.ndarray, shares_CC: np.ndarray, size: float
) -> None:
    for (row, column), count in np.ndenumerate(counts_CC):
        if not count:
            continue
        dark = shares_CC[row, column] > 0.3
        error = row != column
        axis.text(
            column,
            row,
            count,
            ha="center",
            va="center",
            fontsize=size,
            color="white" if dark else _WRONG if error else "black",
            weight="bold" if error else "normal",
        )


def _draw_pairs(scores: ClassificationScores, names: Sequence[str]) -> Any:
    pairs = scores.most_confused(_PAIRS)
    labels = [f"{names[true]} → {names[found]}" for true, found, _ in pairs]
    shares = [100 * n / scores.class_images[true] for true, _, n in pairs]
    figure = blank_figure(8.6, 1.4 + 0.27 * max(1, len(pairs)))
    axis = figure.subplots()
    _bars(axis, labels, shares, [f"{n} images" for *_, n in pairs], _WRONG)
    axis.set_xlim(0, max([*shares, 1]) * 1.18)
    axis.set_xlabel("% of the images of the true class")
    axis.set_title(
        f"{_title(scores)}\nmost frequent errors: true class → predicted class",
        fontsize=10,
    )
    return figure


def _draw_bars(
    scores: ClassificationScores, names: Sequence[str], order: np.ndarray
) -> Any:
    figure = blank_figure(7.2, 1.4 + 0.27 * len(order))
    axis = figure.subplots()
    _accuracy_bars(axis, scores, names, order)
    axis.set_title(_title(scores), fontsize=10)
    return figure


def _draw_extremes(
    scores: ClassificationScores, names: Sequence[str], order: np.ndarray
) -> Any:
    figure = blank_figure(10.5, 6.4)
    figure.suptitle(_title(scores), fontsize=10)
    parts = figure.subplot_mosaic(
        [["all", "worst"], ["all", "best"]], width_ratios=(1, 1.25)
    )
    values = 100 * scores.class_top1[order]
    parts["all"].hist(values, bins=np.arange(0, 101, 5), color=_GREY)
    parts["all"].axvline(values.mean(), color=_RIGHT)
    parts["all"].set_xlabel("top-1 of a class in %; line: mean")
    parts["all"].set_ylabel("number of classes")
    _hide_frame(parts["all"])
    for name, chosen in (
        ("worst", order[:_EXTREMES]),
        ("best", order[-_EXTREMES:]),
    ):
        _accuracy_bars(parts[name], scores, names, chosen)
        parts[name].set_title(f"the {name} {len(chosen)}", fontsize=9)
    return figure


def _accuracy_bars(
    axis: Any,
    scores: ClassificationScores,
    names: Sequence[str],
    order: np.ndarray,
) -> None:
    values = [100 * float(scores.class_top1[i]) for i in order]
    images = scores.class_images
    texts = [f"{scores.class_top1[i]:.1%} of {images[i]}" for i in order]
    _bars(axis, [names[int(i)] for i in order], values, texts, _RIGHT)
    axis.set_xlim(0, 128)
    axis.set_xticks(range(0, 101, 25))
    axis.set_xlabel("top-1 in %")


def _bars(
    axis: Any,
    labels: Sequence[str],
    values: Sequence[float],
    texts: Sequence[str],
    color: str,
) -> None:
    # By number: two classes of ImageNet share a name.
    bars = axis.barh(range(len(labels)), values, color=color, height=0.72)
    axis.bar_label(bars, texts, padding=3, fontsize=7.5)
    axis.set_yticks(range(len(labels)), labels, fontsize=8)
    axis.invert_yaxis()
    _hide_frame(axis)


def _hide_frame(axis: Any) -> None:
    axis.spines[["top", "right"]].set_visible(False)


def _title(scores: ClassificationScores) -> str:
    return (
        f"{scores.images} images of {np.count_nonzero(scores.class_images)} "
        f"classes: top-1 {scores.top1:.2%}, top-5 {scores.top5:.2%}"
    )


def _short(names: Sequence[str]) -> list[str]:
    """Returns names that fit beside an axis."""
    plain = [name.replace("_", " ") for name in names]
    most = _LONGEST_NAME
    return [x if len(x) <= most else f"{x[: most - 1]}…" for x in plain]


def _save(figure: Any, path: str | os.PathLike[str], suffix: str) -> None:
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path) as temporary:
        figure.savefig(temporary, format=suffix, dpi=120)
