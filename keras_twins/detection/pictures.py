"""Boxes, labels and masks drawn over their image, by Pillow."""

import colorsys
import os
import pathlib
import types
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_twins.detection.box_captions import write_captions
from keras_twins.detection.detections import Detections
from keras_twins.pixels import as_visible_pixels
from keras_twins.weights.files import replace_file

if TYPE_CHECKING:
    from PIL import Image

# Smaller pictures are enlarged: no caption would be legible.
_LEAST_SIDE = 512
_GOLDEN_ANGLE = 0.618034
_SHADES = ((0.85, 1.0), (0.6, 0.95), (0.9, 0.75))
_TINT = 0.45


def class_colors(count: int) -> np.ndarray:
    """Returns a colour for each class, always the same.

    Args:
        count: Number of classes.

    Returns:
        Array of shape `(count, 3)`, uint8: red, green and blue. Neighbours
        differ much.
    """
    colors = [
        colorsys.hsv_to_rgb(i * _GOLDEN_ANGLE % 1, *_SHADES[i % len(_SHADES)])
        for i in range(count)
    ]
    return np.rint(255 * np.array(colors).reshape(-1, 3)).astype("uint8")


def draw_detections(
    image: np.ndarray,
    detections: Detections,
    names: Sequence[str],
    score_threshold: float = 0.3,
) -> "Image.Image":
    """Returns an image with the detections drawn over it.

    Names in Latin, Greek and Cyrillic letters need matplotlib's font, which
    comes with the extra `plot`; Chinese and others that it lacks are drawn as
    frames. A name that is wider than the picture is shortened.

    Args:
        image: Pixels of shape `(height, width, 3)` from 0 to 255; grey images
            and those with transparency are converted.
        detections: What was detected in it, such as `detect` returns.
        names: Name of each class.
        score_threshold: The lowest score that is drawn.

    Returns:
        A picture of the size of the image, or a multiple of it where that is
        small.

    Raises:
        ImportError: If Pillow is missing.
        ValueError: If a label has no name, or masks have another size than
            the image.

    Example:

    ```python
    from keras_twins.detection import Detections
    from keras_twins.detection import draw_detections

    found = Detections(
        boxes=numpy.array([[8.0, 8.0, 40.0, 32.0]], "float32"),
        scores=numpy.array([0.9], "float32"),
        labels=numpy.array([0], "int32"),
    )
    image = numpy.full((48, 64, 3), 128, "uint8")
    draw_detections(image, found, ["dog"]).save("dog.png")
    ```
    """
    pil = _pillow()
    pixels = np.rint(as_visible_pixels(image)).astype("uint8")
    _check(detections, names, pixels.shape[:2])
    # The surest are drawn last, above the others.
    shown = detections.above(score_threshold)
    shown = shown.chosen(np.argsort(shown.scores, kind="stable"))
    factor = -(-_LEAST_SIDE // max(pixels.shape[:2]))
    colors = class_colors(len(names))[shown.labels]
    pixels = _enlarged(pixels, factor)
    for mask, color in zip(_masks(shown), colors, strict=False):
        _tint(pixels, _enlarged(mask, factor), color)
    picture = pil.Image.fromarray(pixels)
    boxes = shown.boxes * factor
    canvas = pil.ImageDraw.Draw(picture)
    line = max(2, round(max(picture.size) / 400))
    for box, color in zip(boxes, colors, strict=True):
        _outline(canvas, box, color, line, picture.size)
    captions = [
        (names[int(label)], f"{score:.0%}")
        for label, score in zip(shown.labels, shown.scores, strict=True)
    ]
    write_captions(canvas, picture.size, boxes, captions, colors)
    return picture


def write_detections(
    path: str | os.PathLike[str],
    image: np.ndarray,
    detections: Detections,
    names: Sequence[str],
    score_threshold: float = 0.3,
) -> None:
    """Writes an image with the detections drawn over it.

    Args:
        path: The picture; its suffix says the format, PNG by default.
        image: Pixels of shape `(height, width, 3)` from 0 to 255.
        detections: What was detected in it.
        names: Name of each class.
        score_threshold: The lowest score that is drawn.

    Raises:
        ImportError: If Pillow is missing.
        ValueError: As `draw_detections`, or if the suffix is unknown.
    """
    kind = picture_format(path)
    picture = draw_detections(image, detections, names, score_threshold)
    with replace_file(path) as temporary:
        picture.save(temporary, format=kind)


def picture_format(path: str | os.PathLike[str]) -> str:
    """Returns the format of a picture, which its suffix says.

    Args:
        path: The picture; PNG without a suffix.

    Returns:
        The format as Pillow calls it, such as `"PNG"`.

    Raises:
        ImportError: If Pillow is missing.
        ValueError: If it writes no such format.
    """
    image = _pillow().Image
    suffix = pathlib.Path(path).suffix.lower() or ".png"
    image.init()
    known = {
        ending: kind
        for ending, kind in image.registered_extensions().items()
        if kind in image.SAVE
    }
    if suffix not in known:
        raise ValueError(
            f"`path` must end with one of {sorted(known)}. Received: {path}"
        )
    return known[suffix]


def _pillow() -> types.ModuleType:
    try:
        import PIL.Image
        import PIL.ImageDraw
    except ImportError as error:
        raise ImportError(
            "Detections are drawn with Pillow, which is not installed. "
            'Install it with `pip install "keras-twins[plot]"`.'
        ) from error
    return PIL


def _check(
    detections: Detections, names: Sequence[str], size: tuple[int, ...]
) -> None:
    labels = detections.labels
    wrong = labels[(labels < 0) | (labels >= len(names))]
    if wrong.size:
        raise ValueError(
            f"`names` must have a name for every label. Received: {len(names)} "
            f"names and a detection with label {wrong[0]}"
        )
    masks = detections.masks
    if masks is not None and len(masks) and masks.shape[1:] != size:
        raise ValueError(
            f"`detections` must have masks of the size of the image, {size}. "
            f"Received: masks of size {masks.shape[1:]}"
        )


def _masks(detections: Detections) -> np.ndarray | tuple[()]:
    return () if detections.masks is None else detections.masks


def _enlarged(array: np.ndarray, factor: int) -> np.ndarray:
    if factor == 1:
        return array.copy()
    return array.repeat(factor, axis=0).repeat(factor, axis=1)


def _tint(pixels: np.ndarray, mask: np.ndarray, color: np.ndarray) -> None:
    """Tints the pixels of a mask, and those at its border fully."""
    mixed = (1 - _TINT) * pixels[mask] + _TINT * color
    pixels[mask] = np.rint(mixed).astype("uint8")
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1]
    inner &= padded[1:-1, :-2] & padded[1:-1, 2:]
    pixels[mask & ~inner] = color


def _outline(
    canvas: object,
    box: np.ndarray,
    color: np.ndarray,
    line: int,
    size: tuple[int, int],
) -> None:
    """Draws a box, at least as large as its line, within the picture."""
    limits = np.array(size) - 1
    first = np.clip(np.floor(box[:2]), 0, limits)
    second = np.clip(np.ceil(box[2:]) - 1, first, limits)
    canvas.rectangle(  # type: ignore[attr-defined]
        [*first.tolist(), *second.tolist()],
        outline=tuple(color.tolist()),
        width=line,
    )
