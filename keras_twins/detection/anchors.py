"""Anchors: boxes of a few sizes and shapes around each cell of each level.

Shape suffixes: B batch, A anchors of all levels.
"""

import dataclasses
import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_twins.ops import Size
from keras_twins.ops import Tensor

_SIZE_DIVISOR = 32


def _check_positive(name: str, values: Any) -> None:
    if not values or not all(0 < value < math.inf for value in values):
        raise ValueError(
            f"`{name}` must be one or more positive numbers. Received: "
            f"{name}={values!r}"
        )


@dataclasses.dataclass(frozen=True)
class AnchorSpec:
    """Which anchors stand at each cell of each level of a pyramid.

    An anchor's centre is the upper left corner of its cell, its area the
    square of stride times scale. To the last bit those of mmdetection.

    Args:
        strides: Pixels between neighbouring cells, one number per level.
        scales: Sides of square anchors, in strides.
        ratios: Heights over widths.

    Raises:
        ValueError: If a number is not positive, or a stride not an integer.

    Example:

    ```python
    from keras_twins.detection.anchors import RPN_ANCHORS

    sizes = [(64, 80), (32, 40), (16, 20), (8, 10), (4, 5)]
    anchors = RPN_ANCHORS.grid(sizes)  # (15360, 4), (3840, 4), ...
    ```
    """

    strides: tuple[int, ...]
    scales: tuple[float, ...]
    ratios: tuple[float, ...]

    def __post_init__(self):
        for name in ("strides", "scales", "ratios"):
            _check_positive(name, getattr(self, name))
        if not all(isinstance(n, numbers.Integral) for n in self.strides):
            raise ValueError(
                "`strides` must be integers of pixels, such as (8, 16). "
                f"Received: strides={self.strides!r}"
            )

    @property
    def per_cell(self) -> int:
        """Number of anchors at each cell."""
        return len(self.scales) * len(self.ratios)

    def base_anchors(self) -> list[np.ndarray]:
        """Returns the anchors of each level's first cell.

        Returns:
            Float32 arrays of shape `(per_cell, 4)`: all scales of the first
            ratio, then those of the next.
        """
        heights = np.sqrt(np.asarray(self.ratios, dtype="float32"))
        widths = np.float32(1) / heights
        scales = np.asarray(self.scales, dtype="float32")
        return [
            _centered(
                np.float32(stride) * widths[:, None] * scales,
                np.float32(stride) * heights[:, None] * scales,
            )
            for stride in self.strides
        ]

    def grid(self, level_sizes: Sequence[tuple[Size, Size]]) -> list[Any]:
        """Returns the anchors of each level.

        Args:
            level_sizes: Height and width of each level in cells.

        Returns:
            Boxes of shape `(height * width * per_cell, 4)` per level, row by
            row, in float32: arrays where the sizes are integers, else
            tensors.

        Raises:
            ValueError: If there are not as many sizes as strides.
        """
        self._check_levels(level_sizes)
        levels = zip(
            self.base_anchors(), self.strides, level_sizes, strict=True
        )
        return [_shifted(*level) for level in levels]

    def joined(self, level_sizes: Sequence[tuple[Size, Size]]) -> Tensor:
        """Returns the anchors of all levels, one level after another.

        Args:
            level_sizes: Height and width of each level in cells.

        Returns:
            Tensor of shape `(anchors, 4)`.
        """
        return ops.concatenate(
            [ops.convert_to_tensor(x) for x in self.grid(level_sizes)]
        )

    def inside(
        self,
        level_sizes: Sequence[tuple[Size, Size]],
        image_sizes: Tensor,
        divisor: int = _SIZE_DIVISOR,
    ) -> Tensor:
        """Returns which anchors belong to cells of an image.

        Images of a batch are padded to the size of the largest. Cells whose
        corner is in that padding take no part in training, as in mmdetection;
        anchors that jut out of the image do.

        Args:
            level_sizes: Height and width of each level in cells.
            image_sizes: Height and width of each image in pixels, of shape
                `(B, 2)`.
            divisor: What an image's own sizes are rounded up to multiples of.

        Returns:
            Bool tensor of shape `(B, A)`, in the order of `grid`.

        Raises:
            ValueError: If there are not as many sizes as strides.
        """
        self._check_levels(level_sizes)
        sizes = ops.cast(ops.convert_to_tensor(image_sizes), "int32")
        sizes = (sizes + (divisor - 1)) // divisor * divisor
        flags = []
        for stride, (height, width) in zip(
            self.strides, level_sizes, strict=True
        ):
            rows = ops.arange(height, dtype="int32") * stride < sizes[:, :1]
            columns = ops.arange(width, dtype="int32") * stride < sizes[:, 1:]
            cells = ops.logical_and(rows[:, :, None], columns[:, None, :])
            cells = ops.reshape(cells, (-1, height * width))
            flags.append(ops.repeat(cells, self.per_cell, axis=1))
        return ops.concatenate(flags, axis=1)

    def _check_levels(self, level_sizes: Sequence[tuple[Size, Size]]) -> None:
        if len(level_sizes) != len(self.strides):
            raise ValueError(
                "`level_sizes` must have a height and a width for each of the "
                f"{len(self.strides)} strides {self.strides}. Received: "
                f"level_sizes={level_sizes!r}"
            )


RETINANET_ANCHORS = AnchorSpec(
    strides=(8, 16, 32, 64, 128),
    scales=tuple(4 * 2 ** (i / 3) for i in range(3)),
    ratios=(0.5, 1.0, 2.0),
)
"""Nine anchors per cell on levels P3 to P7."""

RPN_ANCHORS = AnchorSpec(
    strides=(4, 8, 16, 32, 64), scales=(8.0,), ratios=(0.5, 1.0, 2.0)
)
"""Three anchors per cell on levels P2 to P6."""


def _centered(widths: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Returns boxes around the origin."""
    half = np.stack([widths.ravel(), heights.ravel()], axis=1) * np.float32(0.5)
    return np.concatenate([-half, half], axis=1)


def _shifted(
    base: np.ndarray, stride: int, size: tuple[Size, Size]
) -> np.ndarray | Tensor:
    """Returns the base anchors at each cell."""
    known = all(isinstance(side, numbers.Integral) for side in size)
    library: Any = np if known else ops
    rows, columns = (
        # Integers until here: nothing is rounded twice.
        library.arange(side, dtype="int32") * stride
        for side in size
    )
    x, y = library.meshgrid(columns, rows)
    shifts = library.stack([x, y, x, y], axis=-1)[:, :, None]
    shifts = shifts.astype("float32") if known else ops.cast(shifts, "float32")
    return library.reshape(shifts + base, (-1, 4))
