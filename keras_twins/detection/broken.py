"""Boxes and labels that mean nothing, which a step of training cannot refuse.

Shape suffixes: B batch, G boxes.
"""

from collections.abc import Mapping

from keras import ops

from keras_twins.ops import Tensor


def mark_broken(
    batch: Mapping[str, Tensor], num_classes: int
) -> dict[str, Tensor]:
    """Returns a batch that can be computed, and whether it was broken.

    Args:
        batch: A batch with `"boxes"`, `"labels"` and `"valid"`.
        num_classes: Number of classes.

    Returns:
        The batch; boxes that are not finite, and those of labels that are no
        class, became padding. `"broken"` says whether a valid one did.
    """
    boxes_BG4, valid_BG = batch["boxes"], batch["valid"]
    sound_BG = ops.logical_and(
        ops.all(ops.isfinite(boxes_BG4), axis=-1),
        ops.less(batch["labels"], num_classes),
    )
    kept_BG = ops.logical_and(valid_BG, sound_BG)
    return {
        **batch,
        "boxes": ops.where(kept_BG[..., None], boxes_BG4, 0.0),
        "labels": ops.where(kept_BG, batch["labels"], 0),
        "valid": kept_BG,
        "broken": ops.any(ops.not_equal(kept_BG, valid_BG)),
    }
