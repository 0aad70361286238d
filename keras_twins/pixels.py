"""What images are taken, and how models get them."""

import os

import numpy as np


def as_pixels(image: np.ndarray) -> np.ndarray:
    """Returns an image as models take it.

    Args:
        image: Pixels of shape `(height, width, channels)` with 3 channels; 1
            or none is repeated, a second or a fourth, which is transparency,
            is dropped. Booleans, integers up to 255, or floats as the model
            takes them: nothing is scaled.

    Returns:
        Array of shape `(height, width, 3)`, float32.

    Raises:
        ValueError: If it is not such an array, is empty or not finite, or has
            integers above 255.
    """
    if not isinstance(image, np.ndarray) or image.dtype.kind not in "buif":
        raise ValueError(_no_array(image))
    pixels = image[..., None] if image.ndim == 2 else image
    if pixels.ndim != 3 or pixels.shape[-1] > 4 or 0 in pixels.shape:
        raise ValueError(
            "`image` must have the shape (height, width, 3), with channels "
            "last, and may be grey or have transparency. Received: "
            f"shape={image.shape}. Images of a batch are passed one by one."
        )
    if image.dtype.kind in "iu" and image.max() > 255:
        raise ValueError(
            "`image` must have pixels from 0 to 255. Received: integers up to "
            f"{image.max()}, of type {image.dtype}. Pixels of 16 bits become "
            "these with `image / 257.0`."
        )
    if pixels.shape[-1] < 3:
        pixels = np.repeat(pixels[..., :1], 3, axis=-1)
    pixels = pixels[..., :3].astype("float32")
    if not np.isfinite(pixels).all():
        raise ValueError(
            "`image` must have finite pixels. Received: "
            f"{np.count_nonzero(~np.isfinite(pixels))} that are NaN or "
            "infinite"
        )
    return pixels


def as_visible_pixels(image: np.ndarray) -> np.ndarray:
    """Returns an image that can be drawn.

    Args:
        image: An image as `as_pixels` takes it, of pixels from 0 to 255.

    Returns:
        Array of shape `(height, width, 3)`, float32.

    Raises:
        ValueError: If it is no image, or its pixels were scaled.
    """
    pixels = as_pixels(image)
    lowest, highest = pixels.min(), pixels.max()
    # As bytes, an image of fractions would be black.
    fractions = image.dtype.kind == "f" and 0 < highest <= 1
    if lowest < 0 or highest > 255 or fractions:
        raise ValueError(
            "`image` must have pixels from 0 to 255. Received: values from "
            f"{lowest:g} to {highest:g}. Undo normalisation and scaling."
        )
    return pixels


def _no_array(image: object) -> str:
    expected = "`image` must be a NumPy array of numbers. Received: "
    if isinstance(image, str | os.PathLike):
        return (
            f"{expected}the name {os.fspath(image)!r}. Read the file with "
            "`keras_twins.preprocessing.read_image`."
        )
    what = getattr(image, "dtype", type(image).__name__)
    return (
        f"{expected}an image of type {what}. Convert it with `numpy.asarray`."
    )
