"""Which regions the heads of Mask R-CNN are trained on.

Shape suffixes: B batch, G boxes, R proposals, S samples.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras

from keras_twins.detection.assignment import BOX_HEAD_MATCH
from keras_twins.detection.assignment import assign
from keras_twins.detection.boxes import take_rows
from keras_twins.detection.sampling import Sample
from keras_twins.detection.sampling import sample
from keras_twins.ops import Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegionSettings:
    """How many regions of an image the heads are trained on.

    Args:
        count: Number of regions.
        positive_fraction: Largest share of those that hold an object.

    Raises:
        ValueError: If a number is out of range.
    """

    count: int = 512
    positive_fraction: float = 0.25

    def __post_init__(self):
        if not 0 < self.positive_fraction <= 1 or self.most_positive < 1:
            raise ValueError(
                "`positive_fraction` must be above 0 and at most 1, and that "
                "share of `count` at least one region. Received: "
                f"count={self.count}, "
                f"positive_fraction={self.positive_fraction}"
            )

    @property
    def most_positive(self) -> int:
        """Largest number of regions that hold an object."""
        return int(self.count * self.positive_fraction)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regions:
    """Regions with what the heads should say of them, positive ones first.

    Args:
        boxes: Regions of shape `(batch, samples, 4)`, in pixels.
        chosen: Which are no padding, of shape `(batch, samples)`.
        positive: Which hold an object, of the same shape.
        owners: Index of the object, of the same shape; 0 for none.
        labels: Its label, of the same shape; the number of classes for none.
        matched: Its box, of shape `(batch, samples, 4)`, in pixels.
    """

    boxes: Tensor
    chosen: Tensor
    positive: Tensor
    owners: Tensor
    labels: Tensor
    matched: Tensor

    def first(self, count: int) -> "Regions":
        """Returns the first regions of every image.

        Args:
            count: How many.

        Returns:
            `Regions`.
        """
        parts = self.parts().items()
        return Regions(**{name: values[:, :count] for name, values in parts})

    def parts(self) -> dict[str, Tensor]:
        """Returns the tensors by name.

        Returns:
            A dictionary of the fields; not a copy of the tensors.
        """
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
        }


def sample_regions(
    proposals_BR4: Tensor,
    proposed_BR: Tensor,
    batch: Mapping[str, Tensor],
    num_classes: int,
    settings: RegionSettings,
    seed: Any,
) -> Regions:
    """Returns a random sample of the proposals and of the objects themselves.

    Args:
        proposals_BR4: Proposals of shape `(batch, proposals, 4)`, in pixels.
        proposed_BR: Which are no padding, of shape `(batch, proposals)`.
        batch: A batch with `"boxes"`, `"labels"` and `"valid"`.
        num_classes: Number of classes.
        settings: How many regions.
        seed: Seed of the sample, as `keras.random` takes it.

    Returns:
        `Regions`.

    Reference:
        - [Mask R-CNN](https://arxiv.org/abs/1703.06870), Section 3.1
    """
    assigned_BR = assign(
        proposals_BR4,
        batch["boxes"],
        batch["valid"],
        BOX_HEAD_MATCH,
        proposed_BR,
    )
    # The objects come first: index g is object g, itself a proposal.
    count = keras.ops.shape(batch["boxes"])[1]
    own_G = keras.ops.arange(1, count + 1, dtype="int32")
    own_BG = keras.ops.where(batch["valid"], own_G[None], -1)
    assigned_BN = keras.ops.concatenate([own_BG, assigned_BR], axis=1)
    boxes = keras.ops.cast(batch["boxes"], "float32")
    boxes_BN4 = keras.ops.concatenate([boxes, proposals_BR4], axis=1)
    chosen = sample(
        assigned_BN, settings.count, settings.positive_fraction, seed
    )
    return describe_regions(boxes_BN4, assigned_BN, chosen, batch, num_classes)


def describe_regions(
    boxes_BN4: Tensor,
    assigned_BN: Tensor,
    chosen: Sample,
    batch: Mapping[str, Tensor],
    num_classes: int,
) -> Regions:
    """Returns what the heads should say of a sample.

    Args:
        boxes_BN4: Candidates of shape `(batch, candidates, 4)`, in pixels.
        assigned_BN: What `assign` returned for them.
        chosen: The sample.
        batch: A batch with `"boxes"` and `"labels"`.
        num_classes: Number of classes.

    Returns:
        `Regions`.
    """
    owners_BS = keras.ops.take_along_axis(assigned_BN, chosen.positions, axis=1)
    owners_BS = keras.ops.where(chosen.positive, owners_BS - 1, 0)
    labels_BS = keras.ops.take_along_axis(batch["labels"], owners_BS, axis=1)
    boxes_BS4 = take_rows(boxes_BN4, chosen.positions)
    truth_BG4 = keras.ops.cast(batch["boxes"], "float32")
    # Where nothing is matched, the region itself: no infinite logarithm.
    matched_BS4 = keras.ops.where(
        chosen.positive[..., None], take_rows(truth_BG4, owners_BS), boxes_BS4
    )
    return Regions(
        boxes=keras.ops.stop_gradient(boxes_BS4),
        chosen=chosen.chosen,
        positive=chosen.positive,
        owners=owners_BS,
        labels=keras.ops.where(chosen.positive, labels_BS, num_classes),
        matched=keras.ops.stop_gradient(matched_BS4),
    )
