"""The checks of `keras.applications`, and where Twins can do more.

Twins has no weights that depend on the image size, so a classifier works at
any size from 32 pixels up, static or not, with and without pretrained
weights; and its stem can be adapted to any number of channels.
"""

import numbers
import os
import pathlib
import warnings

import keras

from keras_twins.config import TwinsConfig
from keras_twins.ops import Tensor

DEFAULT_SIZE = 224
IMAGENET_CLASSES = 1000

Weights = str | os.PathLike | None
ImageShape = tuple[int | None, int | None, int]


def check_weights(
    weights: Weights, variant: str | None, include_top: bool, classes: int
) -> None:
    """Raises if `weights` is no source, or does not fit `classes`.

    Args:
        weights: Argument of the constructor.
        variant: The published variant that is built, if it is one.
        include_top: Argument of the constructor.
        classes: Argument of the constructor.

    Raises:
        ValueError: If the arguments do not fit.
    """
    named = weights is None or weights == "imagenet"
    if not named and not _is_file(weights):
        raise ValueError(
            "The `weights` argument should be either `None` (random "
            "initialization), `imagenet` (pre-training on ImageNet), or the "
            "path to the weights file to be loaded. Received: "
            f"weights={weights}, which is no file."
        )
    if weights == "imagenet" and variant is None:
        raise ValueError(
            '`weights="imagenet"` belongs to a published variant. Received a '
            "config: pass the path of a weights file, or use a constructor "
            "such as `keras_twins.TwinsSVTSmall`."
        )
    integer = isinstance(classes, numbers.Integral)
    if include_top and not (integer and classes >= 1):
        raise ValueError(
            f"`classes` must be a positive integer. Received: {classes=}"
        )
    if weights == "imagenet" and include_top and classes != IMAGENET_CLASSES:
        raise ValueError(
            'If using `weights="imagenet"` with `include_top=True`, '
            f"`classes` should be {IMAGENET_CLASSES}. Received "
            f"classes={classes}. For other classes use `include_top=False`, "
            "or give the model a new head: `keras_twins.reset_classifier("
            "model, classes)`."
        )


def _is_file(weights: object) -> bool:
    is_path = isinstance(weights, str | os.PathLike)
    return is_path and pathlib.Path(weights).is_file()


def check_head(
    weights: Weights,
    include_top: bool,
    pooling: str | None,
    classifier_activation: object,
) -> None:
    """Raises if the arguments of the head do not fit each other.

    Args:
        weights: Argument of the constructor.
        include_top: Argument of the constructor.
        pooling: Argument of the constructor.
        classifier_activation: Argument of the constructor.

    Raises:
        ValueError: If the arguments do not fit.
    """
    if pooling not in (None, "avg", "max"):
        raise ValueError(
            "`pooling` should be `None`, 'avg' or 'max'. Received: "
            f"pooling={pooling!r}"
        )
    if weights is None or not include_top:
        return
    get = keras.activations.get
    if get(classifier_activation) not in (get("softmax"), get(None)):
        raise ValueError(
            "Only `None` and `softmax` activations are allowed for the "
            "`classifier_activation` argument when using pretrained weights, "
            "with `include_top=True`; Received: "
            f"classifier_activation={classifier_activation}"
        )


def obtain_input(
    config: TwinsConfig,
    input_shape: ImageShape | None,
    input_tensor: Tensor | None,
    include_top: bool,
    weights: Weights,
) -> Tensor:
    """Returns the tensor that the model starts from.

    Args:
        config: The architecture.
        input_shape: Argument of the constructor.
        input_tensor: Argument of the constructor.
        include_top: Argument of the constructor.
        weights: Argument of the constructor.

    Returns:
        A `KerasTensor` of shape `(batch, height, width, channels)`.

    Raises:
        ValueError: If the shape does not fit.
    """
    if input_tensor is not None:
        if not isinstance(input_tensor, keras.KerasTensor):
            raise ValueError(
                "`input_tensor` should be a KerasTensor, as `keras.Input()` "
                "or a layer gives it. Received: "
                f"input_tensor of type {type(input_tensor)}"
            )
        if input_shape is not None:
            _check_same(input_shape, tuple(input_tensor.shape[1:]))
        return input_tensor
    side = DEFAULT_SIZE if include_top else None
    shape = (side, side, 3) if input_shape is None else input_shape
    _check_shape(config, shape, weights)
    return keras.Input([None if s is None else int(s) for s in shape])


def _check_same(shape: ImageShape, found: tuple[int | None, ...]) -> None:
    if tuple(shape) != found:
        raise ValueError(
            "`input_shape` must be that of `input_tensor`; it can be left "
            f"out. Received: input_shape={shape}, but the tensor has {found}"
        )


def _check_shape(
    config: TwinsConfig, shape: ImageShape, weights: Weights
) -> None:
    triple = isinstance(shape, tuple | list) and len(shape) == 3
    sizes = [s for s in shape if s is not None] if triple else []
    integers = all(isinstance(s, numbers.Integral) and s > 0 for s in sizes)
    if not triple or not integers:
        raise ValueError(
            "`input_shape` must be a tuple of three integers. Received: "
            f"input_shape={shape}"
        )
    if shape[-1] is None:
        raise ValueError(
            "The number of channels must be known. Received: "
            f"input_shape={shape}"
        )
    minimum = config.min_size()
    if any(size is not None and size < minimum for size in shape[:2]):
        raise ValueError(
            f"Input size must be at least {minimum}x{minimum}; Received: "
            f"input_shape={shape}"
        )
    if weights != "imagenet" and shape[-1] not in (1, 3):
        warnings.warn(
            "This model usually expects 1 or 3 input channels. However, it "
            f"was passed an input_shape with {shape[-1]} input channels.",
            stacklevel=5,
        )
