"""Where regions lie in the maps of a pyramid, and how much they touch.

Shape suffixes: B batch, R regions of an image, N regions of the batch.
"""

from collections.abc import Sequence
from typing import NamedTuple

from keras import ops

from keras_twins.detection.axis_weights import Axis
from keras_twins.detection.axis_weights import region_axis
from keras_twins.ops import Size
from keras_twins.ops import Tensor

FINEST = 56
"""Regions below twice this side in pixels are read from the finest map."""

LINE = 8
"""Windows of `n` cells have room for rows and columns of `n / LINE` cells."""


class Regions(NamedTuple):
    """Regions in the flattened maps of a batch.

    Attributes:
        offset: Row of the flattened maps where the region's map begins,
            int32 of shape `(N,)`.
        y: The regions along the height.
        x: The regions along the width.
    """

    offset: Tensor
    y: Axis
    x: Axis


def region_levels(boxes_BR4: Tensor, levels: int) -> Tensor:
    """Returns the map that each region is read from.

    Level `k` takes regions of a geometric mean side of `56 * 2**k` to
    `56 * 2**(k + 1)` pixels; the first and the last take what is beyond.

    Args:
        boxes_BR4: Boxes of shape `(batch, regions, 4)` in pixels.
        levels: Number of maps.

    Returns:
        int32 levels of shape `(batch, regions)`.
    """
    width = ops.maximum(boxes_BR4[..., 2] - boxes_BR4[..., 0], 0.0)
    height = ops.maximum(boxes_BR4[..., 3] - boxes_BR4[..., 1], 0.0)
    # Small numbers are added, and limits compared, as mmdetection rounds.
    scale = ops.sqrt(width * height) / FINEST + 1e-6
    level = ops.zeros_like(scale, dtype="int32")
    for k in range(1, levels):
        level = level + ops.cast(scale >= 2.0**k, "int32")
    return level


def locate(
    boxes_BR4: Tensor,
    level_BR: Tensor,
    sizes: Sequence[tuple[Size, Size]],
    scales: Sequence[float],
    bins: int,
    sampling_ratio: int = 0,
    aligned: bool = True,
) -> Regions:
    """Returns where boxes lie in maps that are flattened into one matrix.

    Args:
        boxes_BR4: Boxes of shape `(batch, regions, 4)` in pixels.
        level_BR: int32 map of each box.
        sizes: Height and width of each map in cells.
        scales: Cells per pixel of each map.
        bins: Height and width of the result.
        sampling_ratio: Number of samples of a bin along an axis, or 0.
        aligned: Whether the half cell is taken into account.

    Returns:
        The regions of the whole batch.
    """
    areas = [height * width for height, width in sizes]
    level_N = ops.reshape(level_BR, (-1,))

    def chosen(values: Sequence[Size | float], dtype: str) -> Tensor:
        result = ops.zeros_like(level_N, dtype=dtype)
        for level, value in enumerate(values):
            value = ops.cast(value, dtype)
            result = ops.where(level_N == level, value, result)
        return result

    image_B1 = ops.arange(ops.shape(level_BR)[0], dtype="int32")[:, None]
    image_N = ops.reshape(image_B1 + ops.zeros_like(level_BR), (-1,))
    begin = [sum(areas[:level]) for level in range(len(areas))]
    scale_N1 = chosen(scales, "float32")[:, None]
    x1, y1, x2, y2 = ops.unstack(
        ops.reshape(boxes_BR4, (-1, 4)) * scale_N1, 4, axis=1
    )
    heights = chosen([size[0] for size in sizes], "int32")
    widths = chosen([size[1] for size in sizes], "int32")
    how = (bins, sampling_ratio, aligned)
    return Regions(
        image_N * sum(areas) + chosen(begin, "int32"),
        region_axis(y1, y2, heights, *how),
        region_axis(x1, x2, widths, *how),
    )


def window_sizes(regions: Regions) -> Tensor:
    """Returns the number of cells that there must be room for.

    Args:
        regions: The regions.

    Returns:
        int32 numbers of shape `(N,)`: cells touched, more for long windows.
    """
    rows, columns = regions.y.cells, regions.x.cells
    return ops.maximum(rows * columns, LINE * ops.maximum(rows, columns))


def largest_window(
    sizes: Sequence[tuple[Size, Size]], strides: Sequence[float] | None = None
) -> int | None:
    """Returns the most that `window_sizes` can say.

    All maps but the last have regions of a limited area; a long one touches
    more cells than a square one, so every length is tried.

    Args:
        sizes: Height and width of each map in cells.
        strides: Pixels per cell of each map; without, regions are of any
            area.

    Returns:
        Number of cells, or None if a size is unknown.
    """
    if not all(isinstance(side, int) for size in sizes for side in size):
        return None
    largest = 0
    for level, (height, width) in enumerate(sizes):
        area = height * width
        if strides is not None and level + 1 < len(sizes):
            limit = (FINEST * 2 ** (level + 1) / strides[level]) ** 2
            area = max(
                min(_touched(limit / max(columns, 1e-3)), height)
                * min(_touched(columns), width)
                for columns in range(width + 1)
            )
        largest = max(largest, area, LINE * max(height, width))
    return largest


def _touched(length: float) -> int:
    """Returns the most cells that a length, or less than one more, touches."""
    return int(length + 1e-3) + 3
