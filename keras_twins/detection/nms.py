"""Non-maximum suppression, exact: of boxes that overlap, the best one stays.

Both functions are loops of few large operations, of static shapes, that stop
as soon as nothing changes any more.

Shape suffixes: B batch, N candidates, D detections.
"""

from collections.abc import Callable

from keras import ops

from keras_twins.detection.boxes import pairwise_iou
from keras_twins.detection.boxes import take_rows
from keras_twins.ops import Tensor

_ABSENT = 0.0
"""The score of what is suppressed; candidates have larger ones."""


def keep_sorted(boxes: Tensor, valid: Tensor, iou_threshold: float) -> Tensor:
    """Returns which of some sorted boxes greedy suppression keeps.

    A box goes if one before it stays and overlaps it by more than the
    threshold. That is a fixed point, and assuming of all boxes that they stay
    leads there: each round settles at least one more box for good, and a few
    rounds settle them all unless the boxes are made to form a chain.

    Args:
        boxes: Boxes of shape `(..., N, 4)`, those of the highest scores
            first. Leading axes do not suppress each other.
        valid: Booleans of shape `(..., N)`; the other boxes neither stay nor
            suppress.
        iou_threshold: Intersection over union above which the later of two
            boxes goes.

    Returns:
        Booleans of shape `(..., N)`. No gradient flows through them.

    Example:

    ```python
    boxes = numpy.array([[0, 0, 9, 9], [0, 0, 9, 8], [20, 0, 29, 9]], "float32")
    keep = keep_sorted(boxes, numpy.ones(3, "bool"), iou_threshold=0.5)
    ```
    """
    boxes = ops.stop_gradient(ops.cast(boxes, "float32"))
    valid = ops.cast(valid, "bool")
    order = ops.arange(ops.shape(boxes)[-2])
    earlier = order < ops.expand_dims(order, -1)
    suppressors = ops.logical_and(
        pairwise_iou(boxes, boxes) > iou_threshold, earlier
    )

    def settle(keep: Tensor, changed: Tensor) -> tuple[Tensor, Tensor]:
        hit = ops.logical_and(suppressors, ops.expand_dims(keep, -2))
        kept = ops.logical_and(valid, ops.logical_not(ops.any(hit, axis=-1)))
        return kept, ops.any(ops.not_equal(kept, keep))

    start = (valid, ops.any(valid))
    return ops.while_loop(lambda keep, changed: changed, settle, start)[0]


def select(
    boxes: Tensor,
    scores: Tensor,
    labels: Tensor,
    iou_threshold: float,
    max_detections: int,
) -> dict[str, Tensor]:
    """Returns the best boxes of each image after suppression by class.

    The best candidate is taken, those of its class that overlap it by more
    than the threshold go, and so on. Of equal scores, the first one counts as
    better.

    Args:
        boxes: Boxes of shape `(B, N, 4)`.
        scores: Scores of shape `(B, N)`. Candidates whose score is not
            positive, or not finite, are absent.
        labels: Classes of shape `(B, N)`; boxes of different classes do not
            suppress each other.
        iou_threshold: Intersection over union above which the worse of two
            boxes of a class goes.
        max_detections: Number of detections of each image, D.

    Returns:
        Dict of `boxes` of shape `(B, D, 4)` and `scores` `(B, D)`, both
        float32, `labels` `(B, D)`, int32, and `valid` `(B, D)`, bool. Scores
        fall; what is not valid comes last and is 0. No gradient flows.

    Example:

    ```python
    boxes = numpy.array([[[0, 0, 9, 9], [0, 0, 9, 8]]], "float32")
    scores = numpy.array([[0.6, 0.7]], "float32")
    labels = numpy.array([[4, 4]])
    detections = select(boxes, scores, labels, 0.5, max_detections=100)
    ```
    """
    boxes, scores = (
        ops.stop_gradient(ops.cast(x, "float32")) for x in (boxes, scores)
    )
    labels = ops.cast(labels, "int32")
    present = ops.logical_and(ops.isfinite(scores), scores > _ABSENT)
    scores = ops.where(present, scores, _ABSENT)
    suppressed = _suppression(boxes, labels, iou_threshold)
    positions_BD, scores_BD = _best(scores, suppressed, max_detections)
    valid_BD = scores_BD > _ABSENT
    chosen = take_rows(boxes, positions_BD)
    return {
        "boxes": ops.where(valid_BD[..., None], chosen, 0.0),
        "scores": scores_BD,
        "labels": ops.where(
            valid_BD, ops.take_along_axis(labels, positions_BD, axis=1), 0
        ),
        "valid": valid_BD,
    }


def _best(
    scores_BN: Tensor,
    suppressed: Callable[[Tensor], Tensor],
    count: int,
) -> tuple[Tensor, Tensor]:
    """Returns the positions and scores of what stays, the best first."""
    places = ops.arange(count)
    last = ops.shape(scores_BN)[1]
    order_N = ops.arange(last)

    def highest(left: Tensor) -> Tensor:
        return ops.max(left, axis=-1, keepdims=True)

    def more(
        step: Tensor, left: Tensor, score_B1: Tensor, *_: Tensor
    ) -> Tensor:
        return ops.logical_and(step < count, ops.any(score_B1 > _ABSENT))

    def take(
        step: Tensor,
        left: Tensor,
        score_B1: Tensor,
        positions: Tensor,
        scores: Tensor,
    ) -> tuple[Tensor, ...]:
        # Not argmax: for it, Keras on TensorFlow looks at the bits of zeros,
        # which neither ONNX nor LiteRT can.
        best_B1 = ops.min(
            ops.where(ops.equal(left, score_B1), order_N, last),
            axis=-1,
            keepdims=True,
        )
        left = ops.where(suppressed(best_B1), _ABSENT, left)
        here = ops.equal(places, step)
        positions = ops.where(here, best_B1, positions)
        scores = ops.where(here, score_B1, scores)
        return step + 1, left, highest(left), positions, scores

    first_B1 = highest(scores_BN)
    # Of the batch's size, be it known or not.
    empty_BD = ops.repeat(ops.zeros_like(first_B1), count, axis=1)
    start = (0, scores_BN, first_B1, ops.cast(empty_BD, "int32"), empty_BD)
    *_, positions_BD, scores_BD = ops.while_loop(more, take, start)
    return positions_BD, scores_BD


def _suppression(
    boxes_BN4: Tensor, labels_BN: Tensor, iou_threshold: float
) -> Callable[[Tensor], Tensor]:
    """Returns what tells which boxes go when one is taken, itself included."""
    batch, candidates = ops.shape(labels_BN)
    order_N = ops.arange(candidates)
    # One row after the other: lookups are quickest along the first axis.
    starts_B1 = ops.expand_dims(ops.arange(batch) * candidates, -1)
    rows = ops.reshape(boxes_BN4, (-1, 4))
    row_labels = ops.reshape(labels_BN, (-1,))
    # The same boxes. On PyTorch, they are columns now, one after the other.
    columns = ops.stack([boxes_BN4[..., i] for i in range(4)])
    boxes_BN4 = ops.moveaxis(columns, 0, -1)

    def suppressed(best_B1: Tensor) -> Tensor:
        box_B14 = ops.take(rows, starts_B1 + best_B1, axis=0)
        label_B1 = ops.take(row_labels, starts_B1 + best_B1, axis=0)
        overlap_BN = pairwise_iou(box_B14, boxes_BN4)[:, 0] > iou_threshold
        rivals_BN = ops.logical_and(ops.equal(labels_BN, label_B1), overlap_BN)
        # Boxes without an area do not even overlap themselves.
        return ops.logical_or(rivals_BN, ops.equal(order_N, best_B1))

    return suppressed
