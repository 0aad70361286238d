"""The first stage of Mask R-CNN: which regions may hold an object.

Shape suffixes: B batch, A anchors.
"""

from collections.abc import Mapping
from typing import Any

from keras_twins.detection.anchor_losses import proposal_losses
from keras_twins.detection.anchors import RPN_ANCHORS
from keras_twins.detection.assignment import RPN_MATCH
from keras_twins.detection.assignment import assign
from keras_twins.detection.decoding import ProposalSettings
from keras_twins.detection.decoding import decode_proposals
from keras_twins.detection.flat_outputs import flatten_outputs
from keras_twins.detection.sampling import Sample
from keras_twins.detection.sampling import sample
from keras_twins.ops import Tensor

_SAMPLED_ANCHORS = 256
_POSITIVE_FRACTION = 0.5


def propose(
    raw: Mapping[str, Any], sizes_B2: Tensor, settings: ProposalSettings
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the regions that may hold objects.

    Args:
        raw: What the head of the proposals returned.
        sizes_B2: Height and width of the images without padding.
        settings: How many.

    Returns:
        Boxes of shape `(batch, proposals, 4)` in pixels, their scores and
        which are no padding, of shape `(batch, proposals)`.
    """
    flat = flatten_outputs(raw, 1)
    anchors = RPN_ANCHORS.grid(flat.sizes)
    return decode_proposals(
        flat.logits, flat.deltas, anchors, sizes_B2, settings
    )


def proposal_targets(
    raw: Mapping[str, Any],
    sizes_B2: Tensor,
    batch: Mapping[str, Tensor],
    seed: Any,
) -> tuple[Tensor, Sample]:
    """Returns what the anchors should say, and which of them count.

    Args:
        raw: What the head of the proposals returned.
        sizes_B2: Height and width of the images without padding.
        batch: A batch with `"boxes"` and `"valid"`.
        seed: Seed of the sample, as `keras.random` takes it.

    Returns:
        What `assign` returned, of shape `(batch, anchors)`, and a sample.

    Reference:
        - [Faster R-CNN](https://arxiv.org/abs/1506.01497), Section 3.1.3
    """
    sizes = flatten_outputs(raw, 1).sizes
    assigned_BA = assign(
        RPN_ANCHORS.joined(sizes),
        batch["boxes"],
        batch["valid"],
        RPN_MATCH,
        RPN_ANCHORS.inside(sizes, sizes_B2),
    )
    chosen = sample(assigned_BA, _SAMPLED_ANCHORS, _POSITIVE_FRACTION, seed)
    return assigned_BA, chosen


def losses_of_proposals(
    raw: Mapping[str, Any],
    assigned_BA: Tensor,
    chosen: Sample,
    batch: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """Returns the losses of a sample of the anchors.

    Args:
        raw: What the head of the proposals returned.
        assigned_BA: What `proposal_targets` returned.
        chosen: The sample.
        batch: A batch with `"boxes"`.

    Returns:
        `"proposal_class_loss"` and `"proposal_box_loss"`, scalars.
    """
    flat = flatten_outputs(raw, 1)
    logits_BA1, deltas_BA4 = flat.joined()
    return proposal_losses(
        logits_BA1[..., 0],
        deltas_BA4,
        RPN_ANCHORS.joined(flat.sizes),
        assigned_BA,
        batch["boxes"],
        chosen,
    )
