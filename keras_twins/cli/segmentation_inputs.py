"""What the commands of segmentation read: models, settings, data."""

import argparse
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import Any

from keras_twins.cli.data_errors import readable_errors
from keras_twins.cli.saved_models import load_saved_model
from keras_twins.segmentation.passes import MULTI_SCALES
from keras_twins.segmentation.passes import InferenceSettings

if TYPE_CHECKING:
    import keras
    import numpy as np

HEADS = ("semantic_fpn", "upernet")
"""What `--head` takes."""

_CLASSES = 150


def inference_settings(arguments: argparse.Namespace) -> InferenceSettings:
    """Returns how images go through the model.

    Args:
        arguments: `mode`, `resize`, `window`, `stride` and `multi_scale`.

    Returns:
        Settings that find out whether the model returns logits.
    """
    return InferenceSettings(
        mode=arguments.mode,
        resize=tuple(arguments.resize),
        size=arguments.window,
        stride=arguments.stride,
        scales=MULTI_SCALES if arguments.multi_scale else (1.0,),
        flip=arguments.multi_scale,
        from_logits=None,
    )


def segmentation_model(arguments: argparse.Namespace) -> "keras.Model":
    """Returns the model that the arguments name.

    Args:
        arguments: `model`, `head`, `weights`, `classes` and `dialect`.

    Returns:
        The model.
    """
    from keras_twins.segmentation import SemanticFPN
    from keras_twins.segmentation import UPerNet

    if isinstance(arguments.model, pathlib.Path):
        return load_saved_model(arguments.model)
    classes = {"semantic_fpn": SemanticFPN, "upernet": UPerNet}
    return classes[arguments.head or "upernet"].from_twins(
        arguments.model,
        arguments.weights or "ade20k",
        arguments.classes or _CLASSES,
        dialect=arguments.dialect,
    )


def class_count(model: "keras.Model") -> int:
    """Returns how many classes a model tells apart.

    Args:
        model: The model.

    Returns:
        Number of channels of its output.

    Raises:
        ValueError: If its output is no map of scores.
    """
    shape = getattr(model, "output_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4 or not shape[-1]:
        raise ValueError(
            "The model must return one map of scores, of shape (batch, "
            "height, width, classes). Received: a model with the output "
            f"{shape}"
        )
    return int(shape[-1])


def class_names_and_colors(
    count: int,
) -> "tuple[tuple[str, ...], np.ndarray]":
    """Returns ADE20K's, or numbers and any colours for another count.

    Args:
        count: Number of classes.

    Returns:
        Names, and colours of shape `(count, 3)`, uint8.
    """
    import numpy as np

    from keras_twins import ade20k

    if count == ade20k.NUM_CLASSES:
        return ade20k.class_names(), ade20k.palette()
    colors = np.random.default_rng(0).integers(40, 256, (count, 3))
    return tuple(f"class {i}" for i in range(count)), colors.astype("uint8")


def examples(
    pairs: list[tuple[str, str]], classes: int, keep_zero_label: bool
) -> Iterator["tuple[np.ndarray, np.ndarray]"]:
    """Yields images and masks.

    Args:
        pairs: Paths of both; see `keras_twins.data.ade20k.list_pairs`.
        classes: Number of classes.
        keep_zero_label: Whether 0 is a class.

    Yields:
        tuple: Pixels of shape `(height, width, 3)` and labels of shape
            `(height, width)`.

    Raises:
        ValueError: If a file is broken, or has wrong labels, or there are too
            many classes for files.
    """
    from keras_twins.data.ade20k import read_pairs
    from keras_twins.data.annotations import LabelRule

    data: Any = read_pairs(pairs, LabelRule(classes, not keep_zero_label))
    with readable_errors():
        for example in data.as_numpy_iterator():
            yield example["image"], example["mask"]
