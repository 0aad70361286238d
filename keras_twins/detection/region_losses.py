"""The losses of the heads that judge regions.

Shape suffixes: B batch, S samples, K classes.
"""

import keras

from keras_twins.detection.boxes import REGION_CODER
from keras_twins.detection.losses import l1_loss
from keras_twins.detection.losses import mask_cross_entropy
from keras_twins.detection.losses import softmax_cross_entropy
from keras_twins.detection.region_sampling import Regions
from keras_twins.ops import Tensor


def box_head_losses(
    logits_BSK: Tensor, deltas_BSN: Tensor, regions: Regions
) -> dict[str, Tensor]:
    """Returns the losses of the classes and of the boxes.

    Both are sums over the regions of the batch, divided by their number.

    Args:
        logits_BSK: Scores of shape `(batch, samples, classes + 1)`.
        deltas_BSN: Deltas of shape `(batch, samples, classes * 4)`; those of
            a region's own class count.
        regions: The regions.

    Returns:
        `"class_loss"` and `"box_loss"`, scalars.

    Reference:
        - [Fast R-CNN](https://arxiv.org/abs/1504.08083), Section 2.3
    """
    chosen_BS = keras.ops.cast(regions.chosen, "float32")
    count = keras.ops.maximum(keras.ops.sum(chosen_BS), 1.0)
    entropy_BS = softmax_cross_entropy(logits_BSK, regions.labels)
    num_classes = deltas_BSN.shape[-1] // 4
    shape = (*keras.ops.shape(deltas_BSN)[:2], num_classes, 4)
    deltas_BSK4 = keras.ops.reshape(
        keras.ops.cast(deltas_BSN, "float32"), shape
    )
    own_BS = keras.ops.minimum(regions.labels, num_classes - 1)
    deltas_BS4 = keras.ops.take_along_axis(
        deltas_BSK4, own_BS[..., None, None], axis=2
    )[:, :, 0]
    targets_BS4 = REGION_CODER.encode(regions.boxes, regions.matched)
    distance_BS = keras.ops.sum(l1_loss(deltas_BS4, targets_BS4), axis=-1)
    distance_BS = keras.ops.where(regions.positive, distance_BS, 0.0)
    return {
        "class_loss": keras.ops.sum(entropy_BS * chosen_BS) / count,
        "box_loss": keras.ops.sum(distance_BS) / count,
    }


def mask_head_loss(logits: Tensor, targets: Tensor, regions: Regions) -> Tensor:
    """Returns the mean loss of the pixels of the regions that hold objects.

    Args:
        logits: Masks of every class, of shape `(batch, samples, size, size,
            classes)`; those of a region's own class count.
        targets: What is object, of shape `(batch, samples, size, size)`.
        regions: The regions.

    Returns:
        A scalar; 0 where no region holds an object.

    Reference:
        - [Mask R-CNN](https://arxiv.org/abs/1703.06870), Section 3
    """
    own_BS = keras.ops.minimum(regions.labels, logits.shape[-1] - 1)
    loss_BS = mask_cross_entropy(logits, targets, own_BS)
    positive_BS = keras.ops.cast(regions.positive, "float32")
    count = keras.ops.maximum(keras.ops.sum(positive_BS), 1.0)
    return keras.ops.sum(loss_BS * positive_BS) / count
