"""The images and labels that every system gets."""

import numpy as np

from keras_twins.benchmark.task import CLASSES
from keras_twins.benchmark.task import Task


def random_images(task: Task, batch: int) -> np.ndarray:
    """Returns normal values, the same for every system.

    Args:
        task: Gives the size of the images.
        batch: Number of images.

    Returns:
        Array of shape `(batch, size, size, 3)`, float32.
    """
    generator = np.random.default_rng(0)
    shape = (batch, *task.image_shape())
    return generator.standard_normal(shape, dtype=np.float32)


def random_labels(batch: int) -> np.ndarray:
    """Returns class indices, the same for every system.

    Args:
        batch: Number of labels.

    Returns:
        Array of shape `(batch,)`, int64.
    """
    return np.random.default_rng(1).integers(0, CLASSES, batch)
