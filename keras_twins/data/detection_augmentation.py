"""Random resizing, cropping and mirroring for detection, as in mmdetection."""

import dataclasses

import numpy as np

from keras_twins.bilinear import keep_ratio_size
from keras_twins.data.detection_example import DetectionExample
from keras_twins.data.segmentation_augmentation import is_size


@dataclasses.dataclass(frozen=True)
class DetectionAugmentation:
    """Sizes and rates; the defaults are those of a short training on COCO.

    A share of the pictures is resized and cropped first. Then every picture
    is resized, keeping its ratio, so that its short side is one of
    `short_sides` unless its long side would be too long, and a share is
    mirrored.

    Args:
        short_sides: Short sides in pixels; each is as probable.
        max_long_side: Largest long side in pixels.
        flip_rate: Share of pictures that are mirrored.
        crop_rate: Share of pictures of which a part is cut out first.
        crop_short_sides: Short sides in pixels that those are resized to
            before.
        crop_range: Smallest and largest side of the part in pixels. Height and
            width are drawn apart from each other; a picture is cut no smaller
            than it is. Parts without objects are taken as well.

    Raises:
        ValueError: If a value is out of range.

    Reference:
        - [Twins](https://arxiv.org/abs/2104.13840), which trains with the
          pipelines of mmdetection.

    Example:

    ```python
    from keras_twins.data import DetectionAugmentation

    small = DetectionAugmentation(short_sides=(96, 128), max_long_side=160)
    ```
    """

    short_sides: tuple[int, ...] = (800,)
    max_long_side: int = 1333
    flip_rate: float = 0.5
    crop_rate: float = 0.0
    crop_short_sides: tuple[int, ...] = (400, 500, 600)
    crop_range: tuple[int, int] = (384, 600)

    def __post_init__(self) -> None:
        longest = self.max_long_side
        self._require(
            "max_long_side", is_size((longest, longest)), "a positive integer"
        )
        for name in ("flip_rate", "crop_rate"):
            share = 0 <= getattr(self, name) <= 1
            self._require(name, share, "from 0 to 1")
        for name, used in (
            ("short_sides", True),
            ("crop_short_sides", self.crop_rate > 0),
        ):
            sides = getattr(self, name)
            self._require(
                name,
                isinstance(sides, tuple | list)
                and len(sides) > 0
                and all(is_size((side, longest)) for side in sides)
                and not (used and max(sides) > longest),
                f"positive integers, at most max_long_side={longest}",
            )
        self._require(
            "crop_range",
            is_size(self.crop_range)
            and self.crop_range[0] <= self.crop_range[1],
            "two positive integers in ascending order",
        )

    def _require(self, name: str, holds: bool, what: str) -> None:
        if not holds:
            raise ValueError(
                f"`{name}` must be {what}. Received: "
                f"{name}={getattr(self, name)}"
            )


COCO_1X = DetectionAugmentation()
"""Of the paper's trainings of 12 epochs: 800 pixels, mirroring."""

COCO_3X = DetectionAugmentation(
    short_sides=tuple(range(480, 801, 32)), crop_rate=0.5
)
"""Of the paper's trainings of 36 epochs: 480 to 800 pixels, half with crops."""


def augment(
    example: DetectionExample,
    augmentation: DetectionAugmentation,
    rng: np.random.Generator,
) -> DetectionExample:
    """Augments a picture and its objects.

    Args:
        example: The picture.
        augmentation: Sizes and rates.
        rng: Source of the random numbers.

    Returns:
        The new example. Boxes are cut to the picture, and objects whose boxes
        lose all their area are left out.
    """
    rules = augmentation
    if rng.random() < rules.crop_rate:
        short = int(rng.choice(rules.crop_short_sides))
        example = fit(example, (rules.max_long_side, short))
        example = _random_crop(example, rules.crop_range, rng)
    short = int(rng.choice(rules.short_sides))
    example = fit(example, (rules.max_long_side, short))
    return example.flipped() if rng.random() < rules.flip_rate else example


def fit(
    example: DetectionExample, scale: tuple[int, int] | None
) -> DetectionExample:
    """Resizes to the largest size within a scale that keeps the ratio.

    Args:
        example: The picture.
        scale: Long and short side in pixels, or none for the size it has.

    Returns:
        The example, boxes cut to the picture.
    """
    size = example.size
    return example.resized(
        size if scale is None else keep_ratio_size(*size, scale)
    )


def _random_crop(
    example: DetectionExample, sides: tuple[int, int], rng: np.random.Generator
) -> DetectionExample:
    least, most = sides
    height, width = (
        int(rng.integers(min(side, least), min(side, most), endpoint=True))
        for side in example.size
    )
    top = int(rng.integers(example.size[0] - height, endpoint=True))
    left = int(rng.integers(example.size[1] - width, endpoint=True))
    return example.cropped(top, left, height, width)
