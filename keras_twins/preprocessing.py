"""Pixels: how ImageNet images are resized, cropped and normalised.

The only place that knows ImageNet's mean and standard deviation. Pixels are
RGB in `[0, 255]`, channels last.
"""

import dataclasses
import io
import math
import os
import types
from collections.abc import Mapping
from typing import TYPE_CHECKING

import keras
import numpy as np

if TYPE_CHECKING:
    from PIL import Image

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Mean of red, green and blue, of pixels scaled to `[0, 1]`."""

IMAGENET_STD = (0.229, 0.224, 0.225)
"""Standard deviation of red, green and blue, of pixels scaled to `[0, 1]`."""

CROP_FRACTIONS: Mapping[str, float] = {"timm": 0.9, "official": 0.875}
"""Side of the centre crop over the short side of the resized image."""


def normalization_layer(
    dtype: str | keras.DTypePolicy | None = None, name: str = "normalization"
) -> keras.layers.Layer:
    """Returns the layer that normalises pixels as the weights expect.

    Args:
        dtype: Dtype policy of the layer.
        name: Name of the layer.

    Returns:
        A layer from images of shape `(..., 3)`, integers or floats in
        `[0, 255]`, to the same shape with mean 0 and deviation 1 per channel
        over ImageNet. It has no weights.

    Example:

    ```python
    pixels = keras.random.uniform((1, 224, 224, 3), maxval=255)
    images = keras_twins.preprocessing.normalization_layer()(pixels)
    ```
    """
    channels = list(zip(IMAGENET_MEAN, IMAGENET_STD, strict=True))
    # Lists of floats: what a saved configuration can hold.
    return keras.layers.Rescaling(
        scale=[1 / (255 * std) for _, std in channels],
        offset=[-mean / std for mean, std in channels],
        dtype=dtype,
        name=name,
    )


def normalize(images: np.ndarray) -> np.ndarray:
    """Normalises pixels as `normalization_layer` does, in NumPy.

    Args:
        images: Pixels of shape `(..., 3)`, integers or floats in `[0, 255]`.

    Returns:
        Array of the same shape, float32.

    Raises:
        ValueError: If the last axis does not hold 3 channels.
    """
    images = np.asarray(images, dtype="float32")
    if images.ndim == 0 or images.shape[-1] != 3:
        raise ValueError(
            "`images` must have 3 channels in the last axis. Received: "
            f"shape={images.shape}"
        )
    mean = np.array(IMAGENET_MEAN, dtype="float32")
    std = np.array(IMAGENET_STD, dtype="float32")
    return (images / np.float32(255) - mean) / std


@dataclasses.dataclass(frozen=True)
class EvaluationCrop:
    """How an image is cut to size for evaluation.

    Args:
        resize: Short side in pixels that the image is resized to.
        crop: Side in pixels of the square that is cut from its centre.
    """

    resize: int
    crop: int


def evaluation_crop(crop: str = "timm", size: int = 224) -> EvaluationCrop:
    """Returns the resize and the crop behind published accuracies.

    Args:
        crop: `"timm"` (248 to 224 pixels), or `"official"` (256 to 224
            pixels; OpenMMLab and PaddleClas do the same).
        size: Side of the final image in pixels; the resize grows with it.

    Returns:
        An `EvaluationCrop`.

    Raises:
        ValueError: If `crop` is unknown, or `size` is not positive.
    """
    if crop not in CROP_FRACTIONS:
        raise ValueError(
            f"`crop` must be one of {sorted(CROP_FRACTIONS)}. Received: "
            f"crop={crop!r}"
        )
    if size < 1:
        raise ValueError(
            f"`size` must be a positive number of pixels. Received: size={size}"
        )
    return EvaluationCrop(math.floor(size / CROP_FRACTIONS[crop]), size)


def load_image(
    image: "str | os.PathLike[str] | Image.Image",
    size: int = 224,
    crop: str = "timm",
) -> np.ndarray:
    """Loads an image as published evaluations do.

    The image is turned upright by its EXIF orientation, converted to RGB
    (transparency is dropped), resized with antialiased bicubic interpolation
    and cut to a square at the centre.

    Args:
        image: Path of an image file, or a PIL image.
        size: Side of the result in pixels.
        crop: `"timm"` or `"official"`; see `evaluation_crop`.

    Returns:
        Pixels of shape `(size, size, 3)`, float32 in `[0, 255]`. A model
        with `include_preprocessing=True` takes them as they are; others take
        `normalize(pixels)`.

    Raises:
        ImportError: If Pillow is not installed.
        ValueError: If the file is not a whole image, or `size` or `crop` is
            wrong.

    Example:

    ```python
    from PIL import Image

    photograph = Image.effect_noise((640, 480), 50)
    pixels = keras_twins.preprocessing.load_image(photograph)
    ```
    """
    geometry = evaluation_crop(crop, size)
    pil = _pillow()
    rgb = _to_rgb(_upright(image, pil), pil)
    resized = rgb.resize(
        _resized(rgb.size, geometry.resize), pil.Image.Resampling.BICUBIC
    )
    return np.asarray(_cut_centre(resized, size), dtype="float32")


def read_image(image: "str | os.PathLike[str] | Image.Image") -> np.ndarray:
    """Reads an image at its own size.

    It is turned upright by its EXIF orientation and converted to RGB;
    transparency is dropped.

    Args:
        image: Path of an image file, or a PIL image.

    Returns:
        Pixels of shape `(height, width, 3)`, uint8.

    Raises:
        ImportError: If Pillow is not installed.
        ValueError: If the file is not a whole image.
    """
    pil = _pillow()
    return np.asarray(_to_rgb(_upright(image, pil), pil))


def _pillow() -> types.ModuleType:
    try:
        import PIL.Image
        import PIL.ImageOps
    except ImportError as error:
        raise ImportError(
            "Images are read with Pillow, which is not installed. Install "
            'it with `pip install "keras-twins[plot]"`.'
        ) from error
    return PIL


def _upright(
    image: "str | os.PathLike[str] | Image.Image", pil: types.ModuleType
) -> "Image.Image":
    if isinstance(image, str | os.PathLike):
        image = _open(image, pil)
    if not isinstance(image, pil.Image.Image):
        raise ValueError(
            "`image` must be the path of an image file or a PIL image. "
            f"Received: image of type {type(image).__name__}"
        )
    return pil.ImageOps.exif_transpose(image)


def _open(path: str | os.PathLike[str], pil: types.ModuleType) -> "Image.Image":
    with open(path, "rb") as file:
        content = io.BytesIO(file.read())
    try:
        image = pil.Image.open(content)
        image.load()
    # Decoders raise many kinds of errors on broken files.
    except Exception as error:
        raise ValueError(
            f"Expected an image that can be decoded. Received: {path} ({error})"
        ) from error
    return image


def _to_rgb(image: "Image.Image", pil: types.ModuleType) -> "Image.Image":
    if image.mode.startswith("I"):
        # Pillow clips 16-bit grey to 8 bits where it should scale it.
        grey = np.asarray(image).astype("int64") >> 8
        image = pil.Image.fromarray(grey.clip(0, 255).astype("uint8"))
    if image.mode == "P" and "transparency" in image.info:
        # Pillow warns about the direct way.
        image = image.convert("RGBA")
    return image.convert("RGB")


def _resized(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """Returns width and height that keep the ratio, rounded as timm does."""
    short, long = min(size), max(size)
    long_side = int(short_side * long / short)
    width, height = size
    if width <= height:
        return short_side, long_side
    return long_side, short_side


def _cut_centre(image: "Image.Image", size: int) -> "Image.Image":
    # Halves round to even, as in the references.
    left, top = (round((side - size) / 2) for side in image.size)
    return image.crop((left, top, left + size, top + size))
