"""Label maps laid over their images."""

import os
import pathlib
from collections.abc import Sequence

import numpy as np

from keras_twins.canvas import picture_format
from keras_twins.pixels import as_visible_pixels
from keras_twins.segmentation.figures import add_legend
from keras_twins.segmentation.figures import legend_entries
from keras_twins.segmentation.figures import new_figure
from keras_twins.weights.files import replace_file

# A legend of more entries is longer than most pictures are high.
_LEGEND = 12


def overlay(
    image: np.ndarray,
    labels: np.ndarray,
    palette: np.ndarray,
    alpha: float = 0.5,
    ignore_class: int | None = 255,
) -> np.ndarray:
    """Returns an image with its pixels tinted by their classes.

    Args:
        image: Pixels of shape `(height, width, 3)` from 0 to 255; grey images
            and those with transparency are converted.
        labels: Labels of shape `(height, width)`.
        palette: Colours of shape `(classes, 3)` from 0 to 255.
        alpha: Share of the colours, from 0 to 1.
        ignore_class: Label of pixels that stay as they are; `None` if there
            are none, as in predictions, where 255 may be a class.

    Returns:
        Pixels of shape `(height, width, 3)`, uint8.

    Raises:
        ValueError: If the sizes differ, `palette` is none, or a label has no
            colour in it.

    Example:

    ```python
    from keras_twins.ade20k import palette
    from keras_twins.segmentation import overlay

    image = numpy.full((2, 2, 3), 128, "uint8")
    labels = numpy.array([[0, 2], [12, 255]])
    picture = overlay(image, labels, palette())
    ```
    """
    pixels = as_visible_pixels(image)
    colors = _colors(palette)
    if not 0 <= alpha <= 1:
        raise ValueError(
            f"`alpha` must be from 0 to 1. Received: alpha={alpha}"
        )
    labels = _checked(labels, pixels.shape[:2], len(colors), ignore_class)
    ignored = _ignored(labels, ignore_class)
    tints = colors[np.where(ignored, 0, labels)].astype("float32")
    mixed = pixels + np.float32(alpha) * (tints - pixels)
    mixed = np.where(ignored[..., None], pixels, mixed)
    return np.rint(mixed).clip(0, 255).astype("uint8")


def write_overlay(
    path: str | os.PathLike[str],
    image: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    palette: np.ndarray,
    alpha: float = 0.5,
    max_legend: int = _LEGEND,
    ignore_class: int | None = 255,
) -> None:
    """Draws an image tinted by its classes, with the largest ones named.

    Args:
        path: The picture; its suffix says the format, `.png` by default.
        image: Pixels of shape `(height, width, 3)` from 0 to 255.
        labels: Labels of shape `(height, width)`.
        names: Name of each class.
        palette: Colours of shape `(classes, 3)` from 0 to 255.
        alpha: Share of the colours, from 0 to 1.
        max_legend: Number of classes that are named, the largest first.
        ignore_class: Label of pixels that stay as they are; `None` if there
            are none, as in predictions, where 255 may be a class.

    Raises:
        ImportError: If matplotlib is missing.
        ValueError: As `overlay`, or if there are not as many names as
            colours, or the suffix is unknown.
    """
    path, suffix = pathlib.Path(path), picture_format(path)
    colors = _colors(palette)
    if len(names) != len(colors):
        raise ValueError(
            "`names` must have as many entries as `palette`. Received: "
            f"{len(names)} names, {len(colors)} colours"
        )
    picture = overlay(image, labels, palette, alpha, ignore_class)
    figure = new_figure(*picture.shape[:2])
    axis = figure.subplots()
    axis.imshow(picture)
    axis.axis("off")
    labels = np.asarray(labels)
    known = labels[~_ignored(labels, ignore_class)].astype("int64")
    if entries := legend_entries(known, names, max_legend):
        add_legend(figure, entries, colors)
    with replace_file(path) as temporary:
        figure.savefig(temporary, format=suffix, dpi=120)


def _colors(palette: np.ndarray) -> np.ndarray:
    colors = np.asarray(palette)
    whole = colors.dtype.kind in "iu"
    if not whole or colors.ndim != 2 or colors.shape[1] != 3 or not len(colors):
        raise ValueError(
            "`palette` must have the shape (classes, 3) and hold integers. "
            f"Received: shape={colors.shape}, dtype={colors.dtype}"
        )
    if colors.min() < 0 or colors.max() > 255:
        raise ValueError(
            "`palette` must hold colours from 0 to 255. Received: values from "
            f"{colors.min()} to {colors.max()}"
        )
    return colors


def _checked(
    labels: np.ndarray,
    size: tuple[int, ...],
    classes: int,
    ignore_class: int | None,
) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape != size or labels.dtype.kind not in "iu":
        raise ValueError(
            "`labels` must be integers of the size of the image, "
            f"{size[0]}x{size[1]}. Received: shape={labels.shape}, "
            f"dtype={labels.dtype}"
        )
    labels = labels.astype("int64")
    values = np.unique(labels[~_ignored(labels, ignore_class)])
    wrong = values[(values < 0) | (values >= classes)]
    if len(wrong):
        raise ValueError(
            f"`labels` must be from 0 to {classes - 1}, as `palette` has "
            f"{classes} colours, or {ignore_class} where ignored. Received: "
            f"{len(wrong)} other values, such as {wrong[:5].tolist()}"
        )
    return labels


def _ignored(labels: np.ndarray, ignore_class: int | None) -> np.ndarray:
    if ignore_class is None:
        return np.zeros(labels.shape, dtype=bool)
    return labels == ignore_class
