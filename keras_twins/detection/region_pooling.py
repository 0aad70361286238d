"""Regions of flattened maps, pooled in chunks of static shapes.

A region is one matrix product: the shares of the cells of its window in each
bin, by these cells. Regions are sorted by the size of their windows and
computed in chunks, each at the smallest of a few static sizes that has room
for it, so that programs have static shapes, are exact for boxes of any shape,
and take bounded memory.

Shape suffixes: X cells of all maps, C channels, N regions of the batch, n
regions of a chunk, Q cells of a window, P bins.
"""

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass

from keras import ops

from keras_twins.detection.axis_weights import Axis
from keras_twins.detection.axis_weights import axis_weights
from keras_twins.detection.roi_levels import LINE
from keras_twins.detection.roi_levels import Regions
from keras_twins.detection.roi_levels import window_sizes
from keras_twins.ops import Size
from keras_twins.ops import Tensor
from keras_twins.ops.rows import add_rows
from keras_twins.ops.tensors import widened

_SIZES = (144, 324, 576, 900)
"""Cells of a window; the last size follows from the maps. Each is compiled."""

_BUDGET = 2**23
"""Numbers that a chunk may hold at once."""

_MOST = 64
"""Most regions of a chunk."""

_DYNAMIC = 16
"""Regions of a chunk where the sizes of the maps are unknown."""


def pool_flat(
    features_XC: Tensor,
    regions: Regions,
    bins: int,
    largest: int | None,
    sampling_ratio: int = 0,
) -> Tensor:
    """Returns what lies in regions of flattened maps.

    The gradient by the maps keeps the regions alone, and is computed in
    chunks as well; there is none by the regions.

    Args:
        features_XC: All cells of all maps, of shape `(cells, channels)`.
        regions: The regions, at least one.
        bins: Height and width of the result.
        largest: The most that `window_sizes` can say, or None if unknown.
        sampling_ratio: Number of samples of a bin along an axis, or 0.

    Returns:
        Tensor of shape `(regions, bins * bins, channels)`.
    """
    channels = features_XC.shape[-1]
    chunk = _DYNAMIC
    sizes: tuple[int, ...] = ()
    if largest is not None:
        each = largest * (channels + 2 * bins**2)
        chunk = min(max(_BUDGET // each, 1), _MOST)
        sizes = (*(size for size in _SIZES if size < largest), largest)
    number = ops.shape(regions.offset)[0]
    if isinstance(number, int):
        chunk = max(min(chunk, number), 1)
    plan = _Plan(bins, sampling_ratio, chunk, sizes)
    return plan.pool(features_XC, regions)


@dataclass(frozen=True)
class _Plan:
    """How regions are pooled: `chunk` at once, at one of the `sizes`.

    Without sizes, each chunk has the size of its largest window.
    """

    bins: int
    sampling_ratio: int
    chunk: int
    sizes: tuple[int, ...]

    def pool(self, features_XC: Tensor, regions: Regions) -> Tensor:
        """Returns the regions of flattened maps, `(N, P, C)`."""
        channels = features_XC.shape[-1]
        size_N = window_sizes(regions)
        order_N = ops.argsort(size_N)
        rank_N = ops.argsort(order_N)
        number = ops.shape(size_N)[0]
        padding = -number % self.chunk
        first = ops.broadcast_to(order_N[:1], (padding,))
        order = ops.concatenate([first, order_N])
        fields = [
            self._cut(ops.take(field, order, axis=0))
            for field in (regions.offset, *regions.y, *regions.x)
        ]

        # The gradient needs no more of the maps than their shape.
        @ops.custom_gradient
        def run(features: Tensor, order: Tensor, rank: Tensor, *fields: Tensor):
            def gradients(*args: Tensor, upstream: Tensor | None = None):
                dy_NPC = args[0] if upstream is None else upstream
                dy = ops.take(dy_NPC, order[padding:], axis=0)
                zeros = ops.zeros((padding, self.bins**2, channels), dy.dtype)
                dy = self._cut(ops.concatenate([zeros, dy]))
                dx = self._scatter(features, fields, dy)
                return dx, None, None, *[None] * len(fields)

            y = self._gather(features, fields)
            y = ops.reshape(y, (-1, self.bins**2, channels))
            return ops.take(y, rank + padding, axis=0), gradients

        return run(features_XC, order, rank_N, *fields)

    def _cut(self, x: Tensor) -> Tensor:
        return ops.reshape(x, (-1, self.chunk, *x.shape[1:]))

    def _gather(self, features: Tensor, fields: Sequence[Tensor]) -> Tensor:
        """Returns the pooled regions, `(chunks, n, P, C)`."""

        def pool(fields: Sequence[Tensor]) -> Tensor:
            regions = _regions(fields)

            def at(size: Size) -> Tensor:
                index_nQ, share_nPQ = self._shares(regions, size)
                share_nPQ = ops.cast(share_nPQ, features.dtype)
                return share_nPQ @ ops.take(features, index_nQ, axis=0)

            return self._at_size(at, regions)

        return ops.map(pool, tuple(fields))

    def _scatter(
        self, features: Tensor, fields: Sequence[Tensor], dy: Tensor
    ) -> Tensor:
        """Returns the gradient by the flattened maps."""
        channels = features.shape[-1]

        def add(chunk: Tensor, total: Tensor) -> Tensor:
            regions = _regions([field[chunk] for field in fields])
            dy_nPC = widened(dy[chunk])

            def at(size: Size) -> Tensor:
                index_nQ, share_nPQ = self._shares(regions, size)
                rows_nQC = ops.transpose(share_nPQ, (0, 2, 1)) @ dy_nPC
                rows = ops.reshape(rows_nQC, (-1, channels))
                return add_rows(total, ops.reshape(index_nQ, (-1,)), rows)

            return self._at_size(at, regions)

        zeros = ops.zeros_like(features, dtype=widened(dy).dtype)
        total = ops.fori_loop(0, ops.shape(dy)[0], add, zeros)
        return ops.cast(total, features.dtype)

    def _at_size(
        self, function: Callable[[Size], Tensor], regions: Regions
    ) -> Tensor:
        """Calls a function with a size that has room for all windows."""
        largest = ops.max(window_sizes(regions))
        if not self.sizes:
            return function(largest)
        limits = ops.convert_to_tensor(self.sizes[:-1], "int32")
        index = ops.sum(ops.cast(largest > limits, "int32"))
        return ops.switch(index, [_bound(function, n) for n in self.sizes])

    def _shares(self, regions: Regions, size: Size) -> tuple[Tensor, Tensor]:
        """Returns the cells of windows, and their shares in each bin."""
        length = (size + LINE - 1) // LINE
        how = (self.bins, length, self.sampling_ratio)
        columns = regions.x.cells[:, None]
        cells = regions.y.cells[:, None] * columns
        index = ops.arange(size, dtype="int32")[None]
        # What there is too much room for is the last cell, with no share.
        cell = ops.minimum(index, cells - 1)
        row, column = cell // columns, cell % columns
        y = ops.take_along_axis(axis_weights(regions.y, *how), row[:, None], 2)
        y = ops.where((index < cells)[:, None], y, 0.0)
        x = axis_weights(regions.x, *how)
        x = ops.take_along_axis(x, column[:, None], 2)
        shares = ops.reshape(
            y[:, :, None] * x[:, None], (self.chunk, self.bins**2, -1)
        )
        row = row + regions.y.first[:, None]
        column = column + regions.x.first[:, None]
        row = row * regions.x.side[:, None] + regions.offset[:, None]
        return row + column, shares


def _regions(fields: Sequence[Tensor]) -> Regions:
    count = len(Axis._fields)
    y, x = Axis(*fields[1 : count + 1]), Axis(*fields[count + 1 :])
    return Regions(fields[0], y, x)


def _bound(
    function: Callable[[Size], Tensor], size: int
) -> Callable[[], Tensor]:
    return lambda: function(size)
