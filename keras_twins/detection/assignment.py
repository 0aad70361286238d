"""Which ground truth each anchor answers for, if any.

Shape suffixes: B batch, A anchors, G ground truths with padding.
"""

import dataclasses

from keras import ops

from keras_twins.detection.boxes import pairwise_iou
from keras_twins.ops import Tensor

_LARGE = 2**30


@dataclasses.dataclass(frozen=True)
class MatchSettings:
    """Which overlaps make an anchor positive or negative.

    Args:
        positive_iou: Least intersection over union with its best ground truth
            that makes an anchor positive.
        negative_iou: What that of a negative anchor stays below. Anchors in
            between are ignored.
        min_positive_iou: Least intersection over union at which the best
            anchors of a ground truth become its own anyway.
        match_low_quality: Whether the best anchors of a ground truth become
            its own below `positive_iou`.

    Raises:
        ValueError: If a number is out of range.
    """

    positive_iou: float
    negative_iou: float
    min_positive_iou: float
    match_low_quality: bool = True

    def __post_init__(self):
        if not 0 < self.positive_iou <= 1:
            raise ValueError(
                "`positive_iou` must be above 0 and at most 1. Received: "
                f"positive_iou={self.positive_iou!r}"
            )
        if not 0 <= self.negative_iou <= self.positive_iou:
            raise ValueError(
                "`negative_iou` must be from 0 to `positive_iou`. Received: "
                f"negative_iou={self.negative_iou!r}, "
                f"positive_iou={self.positive_iou!r}"
            )
        if not 0 <= self.min_positive_iou <= 1:
            raise ValueError(
                "`min_positive_iou` must be from 0 to 1. Received: "
                f"min_positive_iou={self.min_positive_iou!r}"
            )


RETINANET_MATCH = MatchSettings(0.5, 0.4, 0.0)
"""Of the anchors of RetinaNet."""

RPN_MATCH = MatchSettings(0.7, 0.3, 0.3)
"""Of the anchors of a region proposal network."""

BOX_HEAD_MATCH = MatchSettings(0.5, 0.5, 0.5)
"""Of the proposals that the box head of Mask R-CNN sees."""


def assign(
    anchors: Tensor,
    boxes: Tensor,
    valid: Tensor,
    settings: MatchSettings,
    anchor_valid: Tensor | None = None,
) -> Tensor:
    """Returns the ground truth of each anchor.

    That of the largest overlap, the first of equal ones, if the overlap is
    large enough. Then each ground truth takes the anchors that overlap it
    most, all that tie; a later one takes from those before. This is what
    mmdetection's `MaxIoUAssigner` does, but for a ground truth that overlaps
    no anchor at all: it has none here, and there it may have all of them.

    Args:
        anchors: Boxes of shape `(A, 4)` or `(B, A, 4)`.
        boxes: Ground truths of shape `(B, G, 4)`.
        valid: Which of them are no padding, bool, of shape `(B, G)`.
        settings: Which overlaps count.
        anchor_valid: Which anchors take part, bool, of shape `(B, A)`;
            `None`: all.

    Returns:
        Int32 tensor of shape `(B, A)`: -1 for ignored anchors, among them
        those that take no part, 0 for background, and k > 0 for ground truth
        k - 1.

    Reference:
        - [Focal Loss for Dense Object Detection](
          https://arxiv.org/abs/1708.02002)

    Example:

    ```python
    from keras_twins.detection.assignment import RETINANET_MATCH
    from keras_twins.detection.assignment import assign

    anchors = numpy.array([[0, 0, 8, 8], [0, 0, 8, 4], [32, 32, 40, 40]])
    boxes = numpy.array([[[0, 0, 8, 7], [0, 0, 0, 0]]])
    valid = numpy.array([[True, False]])
    assign(anchors, boxes, valid, RETINANET_MATCH)  # [[1, 1, 0]]
    ```
    """
    boxes, valid = _at_least_one(boxes, valid)
    overlaps_BAG = pairwise_iou(anchors, boxes)
    counts = ops.expand_dims(valid, axis=1)
    if anchor_valid is not None:
        anchor_valid = ops.convert_to_tensor(anchor_valid)
        counts = ops.logical_and(counts, ops.expand_dims(anchor_valid, -1))
    # As if they lay elsewhere: nothing is matched without an overlap.
    overlaps_BAG = ops.where(counts, overlaps_BAG, 0.0)
    assigned_BA = _by_anchor(overlaps_BAG, settings)
    if settings.match_low_quality:
        taken_BA = _by_ground_truth(overlaps_BAG, settings)
        assigned_BA = ops.where(taken_BA > 0, taken_BA, assigned_BA)
    if anchor_valid is None:
        return assigned_BA
    return ops.where(anchor_valid, assigned_BA, -1)


def _at_least_one(boxes: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the ground truths; one of padding where there is no other."""
    boxes, valid = ops.convert_to_tensor(boxes), ops.convert_to_tensor(valid)
    if boxes.shape[1] != 0:
        return boxes, valid
    batch = ops.shape(boxes)[0]
    return ops.zeros((batch, 1, 4)), ops.zeros((batch, 1), dtype="bool")


def _numbers(overlaps_BAG: Tensor) -> Tensor:
    """Returns 1 to G."""
    return ops.arange(1, ops.shape(overlaps_BAG)[-1] + 1, dtype="int32")


def _by_anchor(overlaps_BAG: Tensor, settings: MatchSettings) -> Tensor:
    """Returns each anchor's best ground truth, 0 or -1."""
    best_BA1 = ops.max(overlaps_BAG, axis=-1, keepdims=True)
    number_G = _numbers(overlaps_BAG)
    # The first of equal ones, by whatever order a backend searches.
    first_BA = ops.min(
        ops.where(overlaps_BAG >= best_BA1, number_G, _LARGE), axis=-1
    )
    best_BA = best_BA1[..., 0]
    others_BA = ops.where(best_BA < settings.negative_iou, 0, -1)
    return ops.where(best_BA >= settings.positive_iou, first_BA, others_BA)


def _by_ground_truth(overlaps_BAG: Tensor, settings: MatchSettings) -> Tensor:
    """Returns the last ground truth that takes each anchor, or 0."""
    best_B1G = ops.max(overlaps_BAG, axis=1, keepdims=True)
    takes_B1G = ops.logical_and(
        best_B1G >= settings.min_positive_iou, best_B1G > 0
    )
    taken_BAG = ops.logical_and(overlaps_BAG >= best_B1G, takes_B1G)
    return ops.max(ops.where(taken_BAG, _numbers(overlaps_BAG), 0), axis=-1)
