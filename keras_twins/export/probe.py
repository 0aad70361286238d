"""Images on which an export is compared with Keras when none are given."""

import math
from collections.abc import Iterator

import keras
import numpy as np

from keras_twins.data import load_digits
from keras_twins.data import load_photographs
from keras_twins.data.digits import require

_UNKNOWN_SIDE = 96
"""Pixels where the model leaves its size open."""

_MANY = 32
_FEW = 8

_COST = 24e6 * 224**2
"""Parameters times pixels of a model that is worth `_MANY` images."""

_SMALLEST_CROP = 0.3
_DIGIT_SIDE = 32


def probe_images(model: keras.Model) -> np.ndarray:
    """Returns real images that fit a model, the same every time.

    Models of one channel get handwritten digits. Others get crops of two
    photographs, from all over them and of many scales, the channels repeated
    as often as the model needs.

    Args:
        model: Model with one image input.

    Returns:
        Pixels from 0 to 255 of shape `(n, height, width, channels)` and the
        dtype of the model's input: 32 images, fewer for models that are
        large or take large images. An unknown height or width is 96.

    Raises:
        ImportError: If scikit-learn or Pillow is missing.
        ValueError: If the model takes no images.
    """
    source = model.inputs[0]
    if len(source.shape) != 4 or source.shape[-1] is None:
        raise ValueError(
            "`model` must take images of shape (batch, height, width, "
            f"channels). Received: a model with input shape {source.shape}; "
            "pass `images=`."
        )
    height, width = (side or _UNKNOWN_SIDE for side in source.shape[1:3])
    channels = source.shape[-1]
    count = _count(model, height * width)
    try:
        pixels = _pixels(count, height, width, channels)
    except ImportError as error:
        raise ImportError(
            f"{error} An export is compared with Keras on these images; to "
            "do without them, pass your own as `images=`."
        ) from error
    return pixels.astype(keras.backend.standardize_dtype(source.dtype))


def describe_probe(model: keras.Model) -> str:
    """Returns what `probe_images` gives, in a few words.

    Args:
        model: The same model.

    Returns:
        The words.
    """
    if model.inputs[0].shape[-1] == 1:
        return "handwritten digits"
    return "crops of two photographs"


def _count(model: keras.Model, pixels: int) -> int:
    cost = max(model.count_params(), 1) * pixels
    return min(max(math.ceil(_MANY * _COST / cost), _FEW), _MANY)


def _pixels(count: int, height: int, width: int, channels: int) -> np.ndarray:
    image_module = require("PIL.Image", "Pillow")
    grey = channels == 1
    parts = _digits(count) if grey else _crops(count, height, width)
    images = [image_module.fromarray(x).resize((width, height)) for x in parts]
    stacked = np.stack([np.asarray(image) for image in images])
    stacked = stacked.reshape(count, height, width, -1)
    return stacked[..., np.arange(channels) % stacked.shape[-1]]


def _digits(count: int) -> np.ndarray:
    _, (images, _) = load_digits(_DIGIT_SIDE, channels=1)
    return images[:count, ..., 0]


def _crops(count: int, height: int, width: int) -> Iterator[np.ndarray]:
    """Yields parts of the photographs in turn, of the shape's aspect."""
    photographs = list(load_photographs().values())
    rng = np.random.default_rng(0)
    for number in range(count):
        image = photographs[number % len(photographs)]
        largest = min(image.shape[0] / height, image.shape[1] / width)
        scale = largest * rng.uniform(_SMALLEST_CROP, 1)
        rows, columns = (max(1, int(scale * x)) for x in (height, width))
        top = rng.integers(0, image.shape[0] - rows + 1)
        left = rng.integers(0, image.shape[1] - columns + 1)
        yield image[top : top + rows, left : left + columns]
