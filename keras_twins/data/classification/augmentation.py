"""What the augmentation for classification does, in numbers."""

import dataclasses
import math
import numbers
from typing import Any

_INTERPOLATIONS = ("bicubic", "bilinear")
_SHARE = "from 0 to 1"
_AMOUNT = "finite and at least 0"
_COUNT = "a positive integer"


def _require(settings: Any, name: str, holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(
            f"`{name}` must be {what}. Received: "
            f"{name}={getattr(settings, name)!r}"
        )


def _is_share(value: float) -> bool:
    return 0 <= value <= 1


def _is_not_negative(value: float) -> bool:
    return 0 <= value < math.inf


def _is_count(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and int(value) >= 1


def _is_range(value: Any, most: float) -> bool:
    return (
        isinstance(value, tuple | list)
        and len(value) == 2
        and 0 < value[0] <= value[1] <= most
    )


@dataclasses.dataclass(frozen=True)
class RandAugment:
    """How many operations change a picture, and how much.

    The 15 operations are those of `rand-m9-mstd0.5-inc1` in timm, the ones
    that do more at a higher magnitude.

    Args:
        magnitude: Mean of the magnitude, from 0 to 10.
        deviation: Standard deviation of the magnitude, which is cut to 0
            and 10.
        layers: Operations that are chosen for a picture. One may be chosen
            twice.
        rate: Share of the chosen operations that are carried out.

    Raises:
        ValueError: If a value is out of range.

    Reference:
        - [RandAugment](https://arxiv.org/abs/1909.13719)

    Example:

    ```python
    from keras_twins.data.classification.augmentation import RandAugment

    weaker = RandAugment(magnitude=5, layers=1)
    ```
    """

    magnitude: float = 9.0
    deviation: float = 0.5
    layers: int = 2
    rate: float = 0.5

    def __post_init__(self) -> None:
        _require(self, "magnitude", 0 <= self.magnitude <= 10, "from 0 to 10")
        _require(self, "deviation", _is_not_negative(self.deviation), _AMOUNT)
        _require(self, "layers", _is_count(self.layers), _COUNT)
        _require(self, "rate", _is_share(self.rate), _SHARE)


@dataclasses.dataclass(frozen=True)
class ImageAugmentation:
    """Sizes and rates; the defaults are those of the paper, for ImageNet.

    In this order: a random part is cut out and resized, mirrored, changed by
    RandAugment or else by colour jitter, and a rectangle of it is replaced by
    noise. Then pictures of a batch are mixed with each other.

    Args:
        size: Height and width of the result in pixels.
        scale: Smallest and largest area of the part, of the picture's.
        ratio: Smallest and largest width of the part over its height.
        interpolation: `"bicubic"` or `"bilinear"`, for resizing, and for
            turning, shearing and shifting.
        flip_rate: Share of pictures that are mirrored.
        rand_augment: Random operations; `None` for none.
        color_jitter: Largest change of brightness, contrast and saturation,
            as a share. It applies only where `rand_augment` is `None`.
        erasing_rate: Share of pictures in which a rectangle is erased.
        mixup: Both parameters of the beta distribution that the share of a
            picture is drawn from where two are blended; 0 for no blending.
        cutmix: The same where a rectangle of one picture is put into another;
            0 for none of it.
        mix_rate: Share of groups whose pictures are mixed.
        switch_rate: Share of the mixed groups that get `cutmix` where there
            is `mixup` as well.
        label_smoothing: Share of a target that is spread over all classes.
        mix_group: Pictures in a group, whose first is mixed with its last and
            so on, all with one share; by default, what a process has of a
            batch. With a number, the result does not depend on the number of
            processes.

    Raises:
        ValueError: If a value is out of range.

    Reference:
        - [Twins](https://arxiv.org/abs/2104.13840)
        - [DeiT](https://arxiv.org/abs/2012.12877), whose recipe it is.
        - [Random erasing](https://arxiv.org/abs/1708.04896)
        - [mixup](https://arxiv.org/abs/1710.09412)
        - [CutMix](https://arxiv.org/abs/1905.04899)

    Example:

    ```python
    from keras_twins.data.classification.augmentation import ImageAugmentation

    small = ImageAugmentation(size=64, scale=(0.5, 1.0), erasing_rate=0.0)
    ```
    """

    size: int = 224
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    interpolation: str = "bicubic"
    flip_rate: float = 0.5
    rand_augment: RandAugment | None = RandAugment()
    color_jitter: float = 0.4
    erasing_rate: float = 0.25
    mixup: float = 0.8
    cutmix: float = 1.0
    mix_rate: float = 1.0
    switch_rate: float = 0.5
    label_smoothing: float = 0.1
    mix_group: int | None = None

    def __post_init__(self) -> None:
        _require(self, "size", _is_count(self.size), _COUNT)
        for name, most in (("scale", 1), ("ratio", 100)):
            what = f"(low, high), 0 < low <= high <= {most}"
            _require(self, name, _is_range(getattr(self, name), most), what)
        good = self.interpolation in _INTERPOLATIONS
        _require(self, "interpolation", good, " or ".join(_INTERPOLATIONS))
        for name in ("flip_rate", "erasing_rate", "mix_rate", "switch_rate"):
            _require(self, name, _is_share(getattr(self, name)), _SHARE)
        for name in ("color_jitter", "mixup", "cutmix"):
            value = getattr(self, name)
            _require(self, name, _is_not_negative(value), _AMOUNT)
        less = 0 <= self.label_smoothing < 1
        _require(self, "label_smoothing", less, "at least 0 and less than 1")
        good = self.mix_group is None or _is_count(self.mix_group)
        _require(self, "mix_group", good, f"{_COUNT}, or None")

    @property
    def mixes(self) -> bool:
        """Whether pictures are mixed with each other."""
        return self.mix_rate > 0 and (self.mixup > 0 or self.cutmix > 0)


TWINS_IMAGENET = ImageAugmentation(mix_group=128)
"""Of the paper's trainings, which mixed the 128 pictures of each GPU."""

LIGHT = ImageAugmentation(
    rand_augment=None,
    color_jitter=0.0,
    erasing_rate=0.0,
    mixup=0.0,
    cutmix=0.0,
)
"""Random parts, mirrored or not, and smoothed labels: for fine-tuning."""
