"""The pictures of the demo, drawn with matplotlib."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_twins.canvas import blank_figure
from keras_twins.demo.photographs import Photograph
from keras_twins.weights.files import replace_file

_COLUMNS, _ROWS = 10, 4
_RIGHT, _WRONG = "#1b7f4d", "#c22f2f"
_TRAINING, _TEST = "#3465a4", "#d9822b"


def draw_predictions(
    path: pathlib.Path,
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
) -> None:
    """Draws the images that the model finds hardest, with its answers.

    Args:
        path: The picture.
        images: Pixels of shape `(n, height, width, 3)`.
        labels: True labels of shape `(n,)`.
        probabilities: Predictions of shape `(n, classes)`.
    """
    truth = probabilities[np.arange(len(labels)), labels]
    hardest = np.argsort(truth)[: _COLUMNS * _ROWS]
    predicted = probabilities.argmax(axis=-1)
    errors = int((predicted != labels).sum())
    figure = blank_figure(_COLUMNS * 1.05, _ROWS * 1.25 + 0.7)
    figure.suptitle(
        f"The {len(hardest)} hardest of {len(labels)} held-out digits "
        f"({errors} of {len(labels)} wrong)\n"
        "below each: the answer and the probability of the true digit"
    )
    axes = figure.subplots(_ROWS, _COLUMNS).flat
    for axis, index in zip(axes, hardest, strict=False):
        axis.imshow(images[index])
        answer, label = predicted[index], labels[index]
        text = f"{answer}   {truth[index]:.0%}"
        if answer != label:
            text = f"{answer}, is {label}   {truth[index]:.0%}"
        _frame(axis, text, _RIGHT if answer == label else _WRONG)
    _save(figure, path)


def draw_confusion(
    path: pathlib.Path, labels: np.ndarray, predicted: np.ndarray
) -> None:
    """Draws how often each class was taken for each other.

    Args:
        path: The picture.
        labels: True labels of shape `(n,)`.
        predicted: Predicted labels of shape `(n,)`.
    """
    classes = int(max(labels.max(), predicted.max())) + 1
    counts = np.zeros((classes, classes), dtype=int)
    np.add.at(counts, (labels, predicted), 1)
    figure = blank_figure(6.2, 6.0)
    axis = figure.subplots()
    axis.imshow(np.sqrt(counts), cmap="Blues")
    for (row, column), count in np.ndenumerate(counts):
        if count:
            dark = count > counts.max() / 3
            error = _WRONG if row != column else "black"
            axis.text(
                column,
                row,
                count,
                ha="center",
                va="center",
                color="white" if dark else error,
                weight="bold" if row != column else "normal",
            )
    axis.set_xticks(range(classes))
    axis.set_yticks(range(classes))
    axis.set_xlabel("predicted digit")
    axis.set_ylabel("true digit")
    accuracy = (labels == predicted).mean()
    axis.set_title(f"{accuracy:.2%} of {len(labels)} held-out digits are right")
    _save(figure, path)


def draw_training(path: pathlib.Path, history: dict[str, list[float]]) -> None:
    """Draws loss and accuracy over the epochs.

    Args:
        path: The picture.
        history: What `fit` returned.
    """
    figure = blank_figure(9.5, 3.8)
    left, right = figure.subplots(1, 2)
    epochs = np.arange(1, len(history["loss"]) + 1)
    for axis, key in ((left, "loss"), (right, "accuracy")):
        scale = 100 if key == "accuracy" else 1
        for name, color in ((key, _TRAINING), (f"val_{key}", _TEST)):
            label = "held out" if name != key else "training (augmented)"
            values = scale * np.array(history[name])
            axis.plot(epochs, values, "o-", ms=3.5, color=color, label=label)
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    left.set_ylabel("loss (smoothed labels)")
    right.set_ylabel("accuracy in %")
    right.legend(loc="lower right", frameon=False)
    figure.suptitle("Training of the small Twins-SVT on handwritten digits")
    _save(figure, path)


def draw_photographs(
    path: pathlib.Path, photographs: Sequence[Photograph]
) -> None:
    """Draws photographs beside their five most probable classes.

    Args:
        path: The picture.
        photographs: What was classified.
    """
    figure = blank_figure(9.5, 3.2 * len(photographs))
    grid = figure.subplots(len(photographs), 2, squeeze=False)
    for (left, right), photograph in zip(grid, photographs, strict=True):
        left.imshow(photograph.pixels.clip(0, 255).astype("uint8"))
        left.axis("off")
        names = [name.replace("_", " ") for name, _ in photograph.classes]
        scores = [100 * score for _, score in photograph.classes]
        # By number: two classes of ImageNet may share a name.
        bars = right.barh(range(len(names)), scores, color=_TRAINING)
        right.set_yticks(range(len(names)), names)
        right.bar_label(bars, fmt="%.1f %%", padding=4)
        right.invert_yaxis()
        right.set_xlim(0, 115)
        right.set_xticks([])
        right.spines[["top", "right", "bottom"]].set_visible(False)
    figure.suptitle("What Twins-SVT-S sees")
    _save(figure, path)


def _frame(axis: Any, text: str, color: str) -> None:
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_xlabel(text, color=color, fontsize=9, labelpad=3)
    for spine in axis.spines.values():
        spine.set(color=color, linewidth=2)


def _save(figure: Any, path: pathlib.Path) -> None:
    with replace_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
