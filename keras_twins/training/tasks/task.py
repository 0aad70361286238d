"""What a training needs: a model, its batches, and how it is judged."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import keras

from keras_twins.training.strategies import Distribution

if TYPE_CHECKING:
    import tensorflow as tf

Scores = dict[str, float]
"""Named results of a validation."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """A compiled model with its data, ready for `fit_resumable`.

    Args:
        model: The model, built and compiled in the scope of its distribution.
        batches: From the number of steps so far to an endless data set of
            the batches of this process, from that step on.
        epochs: Number of epochs.
        steps_per_epoch: Number of steps of an epoch.
        images_per_step: Images of a step, over all devices.
        validate: From the model to named scores, with `val_` before them;
            `None` if there is nothing to validate with.
        monitor: Which of the scores says what is best, the more the better.
        report: Writes into a folder how the trained model classifies the
            images that it is validated with, as far as this process is to;
            `None` for other models.
    """

    model: keras.Model
    batches: Callable[[int], "tf.data.Dataset"]
    epochs: int
    steps_per_epoch: int
    images_per_step: int
    validate: Callable[[keras.Model], Scores] | None
    monitor: str
    report: Callable[[pathlib.Path], None] | None = None


def local_batch(batch_size: int, distribution: Distribution) -> int:
    """Returns how many images of a step one process reads.

    Args:
        batch_size: Images of a step, over all devices.
        distribution: Where the model is trained.

    Returns:
        Number of images.

    Raises:
        ValueError: If the devices cannot share the images evenly.
    """
    devices = distribution.num_devices
    if batch_size % devices:
        raise ValueError(
            "`batch_size` must be a multiple of the number of devices, which "
            f"share it. Received: {batch_size=} for {devices} devices; "
            f"{batch_size - batch_size % devices or devices} would do."
        )
    return batch_size // distribution.num_processes


def check_variant(variant: str | None, recipe: str) -> str:
    """Returns the variant that a recipe without one is for.

    Args:
        variant: A key of `keras_twins.VARIANTS`, or `None`.
        recipe: What the recipe is called.

    Returns:
        The variant.

    Raises:
        ValueError: If there is none.
    """
    if variant is None:
        raise ValueError(
            f"The recipe {recipe} is for every variant: name one, by `--model "
            "svt_small` on the command line or "
            '`TrainingOptions(variant="svt_small")`. Received: none'
        )
    return variant


def validates_here(distribution: Distribution) -> bool:
    """Returns whether images of any size can be given to the model.

    Args:
        distribution: Where the model is trained.

    Returns:
        Whether a process computes its own images on one device of its own.
    """
    return distribution.num_devices == 1 or distribution.name == "ddp"
