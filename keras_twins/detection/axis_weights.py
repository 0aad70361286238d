"""RoIAlign along one axis: the share of every cell in every bin.

The mean over a bin's samples of what is interpolated bilinearly is separable:
each axis has a matrix of its own, bins by cells.

Shape suffixes: N regions, L cells, n bins.
"""

from typing import NamedTuple

from keras import ops

from keras_twins.ops import Size
from keras_twins.ops import Tensor

_NEAR = 5
"""Adaptive samples of a bin that may touch one cell: their step is above 0.5,
a cell reaches 1 to both sides, and one more is for rounding."""


class Axis(NamedTuple):
    """One axis of regions, in cells of a map; each field is of shape `(N,)`.

    Attributes:
        start: Where the first bin begins; cell `i` has its centre at `i`.
        bin_size: Length of a bin.
        samples: Number of samples in a bin, a float.
        side: Number of cells of the map, int32.
        first: First cell that a sample touches, int32.
        cells: Number of cells from there to the last one, int32.
    """

    start: Tensor
    bin_size: Tensor
    samples: Tensor
    side: Tensor
    first: Tensor
    cells: Tensor


def region_axis(
    low_N: Tensor,
    high_N: Tensor,
    side_N: Tensor,
    bins: int,
    sampling_ratio: int = 0,
    aligned: bool = True,
) -> Axis:
    """Returns where regions lie along one axis.

    Args:
        low_N: Where the regions begin, in cells; cell `i` reaches from `i` to
            `i + 1`.
        high_N: Where they end.
        side_N: int32 numbers of cells of the maps.
        bins: Number of bins.
        sampling_ratio: Number of samples in a bin; 0 for one for every cell
            that has begun.
        aligned: Whether the half cell is taken into account. Else regions
            are at least one cell long.

    Returns:
        The axis, its fields of shape `(regions,)`.
    """
    start = low_N - 0.5 if aligned else low_N
    size = ops.maximum(high_N - low_N, 0.0 if aligned else 1.0)
    bin_size = size / bins
    if sampling_ratio:
        samples = ops.full_like(bin_size, sampling_ratio)
    else:
        samples = ops.ceil(bin_size)
    last_cell = ops.cast(side_N - 1, "float32")
    many = ops.maximum(samples, 1.0)
    low = start + 0.5 * bin_size / many
    high = start + (bins - 1) * bin_size + (many - 0.5) * bin_size / many
    first = ops.floor(ops.clip(low, 0.0, last_cell))
    last = ops.floor(ops.clip(high, 0.0, last_cell)) + 1.0
    first = ops.cast(first, "int32")
    last = ops.minimum(ops.cast(last, "int32"), side_N - 1)
    cells = ops.maximum(last - first, 0) + 1
    return Axis(start, bin_size, samples, side_N, first, cells)


def axis_weights(
    axis: Axis, bins: int, length: Size, sampling_ratio: int = 0
) -> Tensor:
    """Returns the share of each cell in the mean of each bin.

    Samples up to one cell outside the map count as if on its border; those
    further outside count as 0.

    Args:
        axis: Regions along the axis.
        bins: Number of bins.
        length: Number of cells, the first being `axis.first`.
        sampling_ratio: As given to `region_axis`.

    Returns:
        float32 shares of shape `(regions, bins, length)`.
    """
    start, bin_size, samples, side = (
        ops.cast(field, "float32")[:, None, None] for field in axis[:4]
    )
    cell = axis.first[:, None, None] + ops.arange(length, dtype="int32")
    cell = ops.cast(cell, "float32")
    count = ops.maximum(samples, 1.0)
    bin_N1n1 = ops.arange(bins, dtype="float32")[:, None]
    begin = start + bin_N1n1 * bin_size
    if sampling_ratio:
        nearest = ops.zeros_like(begin + cell)
    else:
        # The first sample that is less than one cell below this one.
        step = ops.maximum(bin_size / count, 1e-6)
        nearest = ops.floor((cell - 1.0 - begin) / step - 0.5)
        nearest = ops.clip(nearest, 0.0, count - 1.0)
    total = 0.0
    for k in range(sampling_ratio or _NEAR):
        sample = nearest + k
        position = begin + (sample + 0.5) * bin_size / count
        counts = ops.logical_and(position >= -1.0, position <= side)
        counts = ops.logical_and(counts, sample < samples)
        inside = ops.clip(position, 0.0, side - 1.0)
        near = ops.maximum(1.0 - ops.absolute(inside - cell), 0.0)
        total = total + ops.where(counts, near, 0.0)
    return total / count
