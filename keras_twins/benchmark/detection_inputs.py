"""The batches that every detector gets.

Shape suffixes: B batch, G boxes.
"""

import numpy as np

from keras_twins.benchmark.inputs import random_images
from keras_twins.benchmark.task import Task

CLASSES = 80
"""Number of classes of every detector that is measured."""

_OBJECTS = 8
"""Boxes of an image, about as many as COCO has."""


def random_truth(task: Task, batch: int) -> dict[str, np.ndarray]:
    """Returns boxes and their labels, the same for every system.

    Args:
        task: Gives the size of the images.
        batch: Number of images.

    Returns:
        `"boxes"` of shape `(batch, boxes, 4)` in pixels, float32; `"labels"`,
        int32, and `"valid"` of shape `(batch, boxes)`.
    """
    generator = np.random.default_rng(1)
    shape = (batch, _OBJECTS)
    return {
        "boxes": random_boxes(generator, shape, task.size, smallest=1 / 16),
        "labels": generator.integers(0, CLASSES, shape, "int32"),
        "valid": np.ones(shape, "bool"),
    }


def training_batch(
    task: Task, batch: int, masks: bool
) -> dict[str, np.ndarray]:
    """Returns a batch as the package's detectors train on it.

    Args:
        task: Gives the size of the images.
        batch: Number of images.
        masks: Whether there are masks: here, all of a box.

    Returns:
        A batch; see `keras_twins.detection.as_batch`.
    """
    data = {"images": random_images(task, batch), **random_truth(task, batch)}
    if masks:
        data["masks"] = _filled(data["boxes"], task.size)
    return data


def _filled(boxes_BG4: np.ndarray, size: int) -> np.ndarray:
    x1, y1, x2, y2 = np.moveaxis(boxes_BG4[..., None, None, :], -1, 0)
    columns, rows = np.arange(size)[None], np.arange(size)[:, None]
    return (columns >= x1) & (columns < x2) & (rows >= y1) & (rows < y2)


def random_boxes(
    generator: np.random.Generator,
    shape: tuple[int, ...],
    size: int,
    smallest: float = 1 / 32,
) -> np.ndarray:
    """Returns boxes within an image, small ones as likely as large ones.

    Args:
        generator: Where they come from.
        shape: Shape of the result but for its last axis.
        size: Side of the image in pixels.
        smallest: Side of the smallest boxes, as a share of the image's.

    Returns:
        Boxes of shape `(*shape, 4)`: x1, y1, x2, y2 in pixels, float32.
    """
    share = np.exp(generator.uniform(np.log(smallest), np.log(0.75), shape))
    aspect = np.exp(generator.uniform(-0.35, 0.35, shape))
    sides = np.stack([share * aspect, share / aspect], -1).clip(None, 1) * size
    first = generator.uniform(0, 1, sides.shape) * (size - sides)
    return np.concatenate([first, first + sides], -1).astype("float32")
