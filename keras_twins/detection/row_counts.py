"""Work on as many rows as are needed, in static shapes.

Shape suffixes: B batch, R rows.
"""

import functools
from collections.abc import Callable
from collections.abc import Sequence

from keras import ops

from keras_twins.ops import Tensor
from keras_twins.ops import runs_at_once


def first_rows(
    function: Callable[[int], Tensor],
    needed_R: Tensor,
    shares: Sequence[float],
) -> Tensor:
    """Computes the rows that are needed, at the smallest size that has room.

    A program has a branch for each size, all of static shapes, and computes
    one of them. Where operations run when they are called, every number of
    rows is a size.

    Args:
        function: From a number of rows, at least 1, to these rows, the first
            ones, of shape `(batch, number, ...)`.
        needed_R: Which rows are needed, a bool tensor of shape `(rows,)`; all
            up to the last of them are computed, and at least one.
        shares: Shares of the rows that there are to be branches for, rising,
            beside one for all rows.

    Returns:
        Tensor of shape `(batch, rows, ...)`, zeros in rows that were not
        computed.
    """
    rows = needed_R.shape[0]
    if runs_at_once():
        sizes = list(range(1, rows + 1))
    else:
        few = {max(1, round(share * rows)) for share in shares}
        sizes = sorted(few | {rows})
    positions_R = ops.arange(1, rows + 1, dtype="int32")
    last = ops.max(ops.where(needed_R, positions_R, 0))
    limits = ops.convert_to_tensor(sizes, "int32")
    index = ops.sum(ops.cast(last > limits, "int32"))
    branches = [
        functools.partial(_padded, function, size, rows) for size in sizes
    ]
    return ops.switch(index, branches)


def _padded(function: Callable[[int], Tensor], size: int, rows: int) -> Tensor:
    y = function(size)
    if size == rows:
        return y
    padding = [(0, 0), (0, rows - size)] + [(0, 0)] * (len(y.shape) - 2)
    return ops.pad(y, padding)
