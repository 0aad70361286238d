"""Pictures and their annotations: what the files say, checked."""

import dataclasses
import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

IGNORED_LABEL = 255
"""Label of the pixels that neither losses nor metrics count."""

_INDEX_MODES = ("L", "P")
"""Modes of Pillow whose pixels are indices: grey and palette."""


@dataclasses.dataclass(frozen=True)
class LabelRule:
    """How the values of an annotation become labels.

    Args:
        num_classes: Number of classes, 1 to 255.
        reduce_zero_label: Whether 0 stands for what is not annotated: 0
            becomes 255, the other values become one less, 255 stays.

    Raises:
        ValueError: If `num_classes` is out of range.
    """

    num_classes: int = 150
    reduce_zero_label: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.num_classes <= IGNORED_LABEL:
            raise ValueError(
                "`num_classes` must be from 1 to 255: label 255 is ignored. "
                f"Received: num_classes={self.num_classes}"
            )

    def labels(self, values: np.ndarray) -> np.ndarray:
        """Turns values into labels.

        Args:
            values: What the annotation says, `uint8` of any shape.

        Returns:
            Labels from 0 to `num_classes - 1`, or 255 for ignored, `uint8`.

        Raises:
            ValueError: If a value stands for no class.
        """
        ignored = values == IGNORED_LABEL
        first = 1 if self.reduce_zero_label else 0
        last = first + self.num_classes - 1
        wrong = (values > last) & ~ignored
        if wrong.any():
            raise ValueError(
                f"expected values from 0 to {last}, or {IGNORED_LABEL}, for "
                f"{self.num_classes} classes with reduce_zero_label="
                f"{self.reduce_zero_label}. Received: "
                f"{np.unique(values[wrong]).tolist()}"
            )
        # 0 - 1 wraps around to 255, which is what it shall be.
        reduced = values - np.uint8(first)
        return np.where(ignored, np.uint8(IGNORED_LABEL), reduced)


def read_pair(
    image_path: str, mask_path: str, rule: LabelRule
) -> tuple[np.ndarray, np.ndarray]:
    """Reads a picture and its annotation.

    Args:
        image_path: File of the picture; it is turned upright by its EXIF
            orientation.
        mask_path: File of the annotation.
        rule: What the values of the annotation mean.

    Returns:
        Pixels of shape `(height, width, 3)` and labels of shape
        `(height, width)`, both `uint8`.

    Raises:
        ValueError: If a file is broken, if the annotation is coloured or has
            values that stand for no class, or if the sizes differ. The
            message names the file.
    """
    image = _pixels(image_path)
    picture = _open(mask_path)
    if picture.mode not in _INDEX_MODES:
        raise ValueError(
            "An annotation must have one index of 8 bits per pixel "
            f"(Pillow's modes {' and '.join(_INDEX_MODES)}); colours are to be "
            "turned into indices, and other depths to be saved with 8 bits. "
            f"Received: mode {picture.mode} in {mask_path}"
        )
    values = np.asarray(picture)
    if values.shape != image.shape[:2]:
        raise ValueError(
            "A picture and its annotation must have the same size. Received: "
            f"height and width {image.shape[:2]} in {image_path}, "
            f"{values.shape} in {mask_path}"
        )
    try:
        return image, rule.labels(values)
    except ValueError as error:
        raise ValueError(f"Wrong labels in {mask_path}: {error}") from error


def _pixels(path: str) -> np.ndarray:
    from PIL import ImageOps

    picture = ImageOps.exif_transpose(_open(path))
    if picture.mode[0] in "IF":
        # Pillow would clip them.
        raise ValueError(
            "A picture must have 8 bits per channel. Received: mode "
            f"{picture.mode} in {path}"
        )
    if picture.mode == "P":
        # Pillow warns about transparent palettes on the direct way.
        picture = picture.convert("RGBA")
    return np.asarray(picture.convert("RGB"))


def _open(path: str) -> "Image.Image":
    from PIL import Image

    try:
        with open(path, "rb") as file:
            picture = Image.open(io.BytesIO(file.read()))
        picture.load()
    # Decoders raise many kinds of errors on broken files.
    except Exception as error:
        raise ValueError(f"Cannot read {path} as an image: {error}") from error
    return picture
