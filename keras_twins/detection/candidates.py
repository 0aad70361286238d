"""The anchors and classes of the highest scores, level by level.

Shape suffixes: B batch, A anchors, K classes, N candidates.
"""

import math
from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_twins.detection.boxes import ANCHOR_CODER
from keras_twins.detection.boxes import take_rows
from keras_twins.ops import Tensor


def best_candidates(
    logits: Sequence[Tensor],
    deltas: Sequence[Tensor],
    anchors: Sequence[Any],
    image_sizes: Tensor,
    count: int,
) -> tuple[tuple[Tensor, ...], ...]:
    """Returns the best pairs of an anchor and a class of each level.

    Args:
        logits: Tensor of shape `(B, A, K)` for each level. The number of
            anchors may be unknown until the model runs.
        deltas: Offsets from the anchors of shape `(B, A, 4)` for each level.
        anchors: Boxes of shape `(A, 4)` for each level.
        image_sizes: Height and width of each image in pixels, of shape `(B,
            2)`, to clip boxes to.
        count: Largest number of pairs of a level, N.

    Returns:
        Boxes of shape `(B, N, 4)` for each level, logits of shape `(B, N)`
        for each level, in float32 and falling, and classes of shape `(B, N)`
        for each level. Fewer than `count` if it is known that there are no
        more. What is absent, or not finite, has a logit of minus infinity. No
        gradient flows.
    """
    levels = zip(logits, deltas, anchors, strict=True)
    parts = [_of_level(*level, image_sizes, count) for level in levels]
    return tuple(zip(*parts, strict=True))


def has_area(boxes: Tensor) -> Tensor:
    """Returns which boxes have a width and a height, however small.

    Args:
        boxes: Boxes of shape `(..., 4)`.

    Returns:
        Booleans of shape `(...)`.
    """
    sides = boxes[..., 2:] - boxes[..., :2]
    return ops.all(sides > 0, axis=-1)


def _of_level(
    logits_BAK: Tensor,
    deltas_BA4: Tensor,
    anchors_A4: Any,
    sizes_B2: Tensor,
    count: int,
) -> tuple[Tensor, Tensor, Tensor]:
    logits_BAK, deltas_BA4 = (
        ops.stop_gradient(ops.convert_to_tensor(x))
        for x in (logits_BAK, deltas_BA4)
    )
    rows_BN, labels, ranks = _best_pairs(logits_BAK, count)
    boxes = ANCHOR_CODER.decode(
        ops.take(ops.convert_to_tensor(anchors_A4), rows_BN, axis=0),
        take_rows(deltas_BA4, rows_BN),
        sizes_B2,
    )
    return boxes, ranks, labels


def _best_pairs(
    logits_BAK: Tensor, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the anchors, classes and logits of the best pairs."""
    last, classes = ops.shape(logits_BAK)[1] - 1, logits_BAK.shape[2]
    # An anchor that is not among the best by its best class has no pair that
    # is among the best: few anchors need all their classes looked at.
    _, rows = _top(_present(ops.max(logits_BAK, axis=-1)), count)
    # In their order: of equal scores, the first pair comes first.
    rows = ops.sort(rows, axis=-1)
    real, rows = rows <= last, ops.minimum(rows, last)
    few = take_rows(logits_BAK, rows)
    few = ops.where(real[..., None], _present(few), -math.inf)
    pairs = ops.reshape(few, (-1, rows.shape[1] * classes))
    ranks, places = _top(pairs, count)
    rows = ops.take_along_axis(rows, places // classes, axis=1)
    return rows, places % classes, ranks


def _top(values_BN: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Returns the largest values and their places.

    Where the number of values is not known, as many are added as make sure
    that there are enough: their places are beyond the last.
    """
    known = values_BN.shape[1]
    if known is None:
        values_BN = ops.pad(
            values_BN, ((0, 0), (0, count)), constant_values=-math.inf
        )
    return ops.top_k(values_BN, count if known is None else min(count, known))


def _present(logits: Tensor) -> Tensor:
    """Returns logits in float32, minus infinity for those that are none."""
    logits = ops.cast(logits, "float32")
    return ops.where(ops.isfinite(logits), logits, -math.inf)
