"""The losses of anchors: RetinaNet's, and those of the proposals.

Shape suffixes: B batch, A anchors of all levels, G boxes, K classes, S samples.
"""

import keras

from keras_twins.detection.boxes import ANCHOR_CODER
from keras_twins.detection.boxes import take_rows
from keras_twins.detection.losses import binary_cross_entropy
from keras_twins.detection.losses import l1_loss
from keras_twins.detection.losses import sigmoid_focal_loss
from keras_twins.detection.sampling import Sample
from keras_twins.ops import Tensor


def retinanet_losses(
    logits_BAK: Tensor,
    deltas_BA4: Tensor,
    anchors_A4: Tensor,
    assigned_BA: Tensor,
    boxes_BG4: Tensor,
    labels_BG: Tensor,
) -> dict[str, Tensor]:
    """Returns the focal loss of the classes and the L1 loss of the boxes.

    Both are sums over the anchors of the batch, divided by the number of
    positive ones; an image without any counts as one.

    Args:
        logits_BAK: Scores of the anchors, of shape `(batch, anchors,
            classes)`.
        deltas_BA4: Deltas of shape `(batch, anchors, 4)`.
        anchors_A4: Anchors of shape `(anchors, 4)`, in pixels.
        assigned_BA: What `assign` returned, of shape `(batch, anchors)`.
        boxes_BG4: Boxes of shape `(batch, boxes, 4)`, in pixels.
        labels_BG: Labels of shape `(batch, boxes)`.

    Returns:
        `"class_loss"` and `"box_loss"`, scalars.

    Reference:
        - [Focal Loss](https://arxiv.org/abs/1708.02002), Section 3 and 4.1
    """
    positive_BA = assigned_BA > 0
    owners_BA = keras.ops.maximum(assigned_BA - 1, 0)
    labels_BA = keras.ops.take_along_axis(labels_BG, owners_BA, axis=1)
    labels_BA = keras.ops.where(positive_BA, labels_BA, -1)
    focal_BA = keras.ops.sum(sigmoid_focal_loss(logits_BAK, labels_BA), -1)
    counted_BA = keras.ops.cast(assigned_BA >= 0, "float32")
    count = keras.ops.sum(_at_least_one(positive_BA))
    distance_BA = _box_distance(
        deltas_BA4, anchors_A4[None], boxes_BG4, owners_BA, positive_BA
    )
    return {
        "class_loss": keras.ops.sum(focal_BA * counted_BA) / count,
        "box_loss": keras.ops.sum(distance_BA) / count,
    }


def proposal_losses(
    logits_BA: Tensor,
    deltas_BA4: Tensor,
    anchors_A4: Tensor,
    assigned_BA: Tensor,
    boxes_BG4: Tensor,
    sample: Sample,
) -> dict[str, Tensor]:
    """Returns the losses of a sample of the anchors.

    Both are sums over the sampled anchors of the batch, divided by their
    number.

    Args:
        logits_BA: Scores of shape `(batch, anchors)`.
        deltas_BA4: Deltas of shape `(batch, anchors, 4)`.
        anchors_A4: Anchors of shape `(anchors, 4)`, in pixels.
        assigned_BA: What `assign` returned, of shape `(batch, anchors)`.
        boxes_BG4: Boxes of shape `(batch, boxes, 4)`, in pixels.
        sample: Which anchors count.

    Returns:
        `"proposal_class_loss"` and `"proposal_box_loss"`, scalars.

    Reference:
        - [Faster R-CNN](https://arxiv.org/abs/1506.01497), Section 3.1.2
    """
    anchors_A4 = keras.ops.convert_to_tensor(anchors_A4)
    logits_BS = keras.ops.take_along_axis(logits_BA, sample.positions, axis=1)
    deltas_BS4 = take_rows(deltas_BA4, sample.positions)
    anchors_BS4 = keras.ops.take(anchors_A4, sample.positions, axis=0)
    owners_BS = keras.ops.take_along_axis(assigned_BA, sample.positions, axis=1)
    owners_BS = keras.ops.maximum(owners_BS - 1, 0)
    targets_BS = keras.ops.cast(sample.positive, "float32")
    counted_BS = keras.ops.cast(sample.chosen, "float32")
    negative_BS = keras.ops.logical_and(
        sample.chosen, keras.ops.logical_not(sample.positive)
    )
    count = keras.ops.sum(
        _at_least_one(sample.positive) + _at_least_one(negative_BS)
    )
    entropy_BS = binary_cross_entropy(logits_BS, targets_BS)
    distance_BS = _box_distance(
        deltas_BS4, anchors_BS4, boxes_BG4, owners_BS, sample.positive
    )
    return {
        "proposal_class_loss": keras.ops.sum(entropy_BS * counted_BS) / count,
        "proposal_box_loss": keras.ops.sum(distance_BS) / count,
    }


def _box_distance(
    deltas: Tensor,
    anchors: Tensor,
    boxes_BG4: Tensor,
    owners: Tensor,
    positive: Tensor,
) -> Tensor:
    """Returns the L1 distance of the deltas that should be right, else 0."""
    matched = take_rows(boxes_BG4, owners)
    # Where nothing is matched, the anchor itself: no infinite logarithm.
    anchors = keras.ops.broadcast_to(anchors, keras.ops.shape(matched))
    matched = keras.ops.where(positive[..., None], matched, anchors)
    targets = keras.ops.stop_gradient(ANCHOR_CODER.encode(anchors, matched))
    distance = keras.ops.sum(l1_loss(deltas, targets), axis=-1)
    return keras.ops.where(positive, distance, 0.0)


def _at_least_one(flags: Tensor) -> Tensor:
    """Returns how many flags of each image are set, 1 for none."""
    count = keras.ops.sum(keras.ops.cast(flags, "float32"), axis=1)
    return keras.ops.maximum(count, 1.0)
