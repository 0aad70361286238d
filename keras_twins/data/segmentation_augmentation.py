"""What the augmentation for segmentation does, in numbers."""

import dataclasses
import numbers
from typing import Any


@dataclasses.dataclass(frozen=True)
class SegmentationAugmentation:
    """Sizes and rates of the augmentation; the defaults are for ADE20K.

    Reference:
        - [Twins](https://arxiv.org/abs/2104.13840), which trains with the
          pipeline of mmsegmentation.

    Args:
        scale: Long and short side that a picture is resized into, keeping its
            ratio, before they are multiplied by a factor from `ratio_range`.
        ratio_range: Smallest and largest factor.
        crop_size: Height and width of what is cut out; smaller pictures are
            padded to it.
        cat_max_ratio: Another place is tried where one class takes this share
            of the pixels that are not ignored, or more; 1 takes any place.
        crop_tries: Number of places that are examined.
        flip_rate: Share of pictures that are mirrored.
        distortion_rate: Share of pictures for each of the changes below.
        brightness_delta: Largest change of the pixels, of 255.
        contrast_range: Smallest and largest factor of the pixels.
        saturation_range: Smallest and largest factor of the saturation.
        hue_delta: Largest change of the hue, of 180.

    Raises:
        ValueError: If a value is out of range.
    """

    scale: tuple[int, int] = (2048, 512)
    ratio_range: tuple[float, float] = (0.5, 2.0)
    crop_size: tuple[int, int] = (512, 512)
    cat_max_ratio: float = 0.75
    crop_tries: int = 10
    flip_rate: float = 0.5
    distortion_rate: float = 0.5
    brightness_delta: float = 32.0
    contrast_range: tuple[float, float] = (0.5, 1.5)
    saturation_range: tuple[float, float] = (0.5, 1.5)
    hue_delta: int = 18

    def __post_init__(self) -> None:
        for name in ("scale", "crop_size"):
            self._require(
                name, is_size(getattr(self, name)), "two positive integers"
            )
        for name in ("flip_rate", "distortion_rate", "cat_max_ratio"):
            share = 0 <= getattr(self, name) <= 1
            self._require(name, share, "from 0 to 1")
        for name in ("ratio_range", "contrast_range", "saturation_range"):
            low, high = getattr(self, name)
            self._require(name, 0 < low <= high, "(low, high), 0 < low <= high")
        for name in ("crop_tries", "brightness_delta"):
            self._require(name, getattr(self, name) >= 0, "at least 0")
        self._require("hue_delta", 0 <= self.hue_delta <= 90, "from 0 to 90")

    def _require(self, name: str, holds: bool, what: str) -> None:
        if not holds:
            raise ValueError(
                f"`{name}` must be {what}. Received: "
                f"{name}={getattr(self, name)}"
            )


def is_size(sides: Any) -> bool:
    """Returns whether a value is two positive integers.

    Args:
        sides: The value.

    Returns:
        Whether it can be the sides of a picture in pixels.
    """
    return (
        isinstance(sides, tuple | list)
        and len(sides) == 2
        and all(
            isinstance(side, numbers.Integral) and int(side) >= 1
            for side in sides
        )
    )
