"""The maps of anchor heads with a row for each anchor."""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence

import keras

from keras_twins import ops
from keras_twins.ops import Tensor


@dataclasses.dataclass(frozen=True)
class FlatOutputs:
    """The outputs of an anchor head, a row for each anchor.

    Args:
        logits: For each level, a tensor of shape `(batch, anchors, classes)`.
        deltas: For each level, a tensor of shape `(batch, anchors, 4)`.
        sizes: For each level, height and width of its map.
    """

    logits: list[Tensor]
    deltas: list[Tensor]
    sizes: list[ops.Size]

    def joined(self) -> tuple[Tensor, Tensor]:
        """Returns the logits and the deltas of all levels, one after another.

        Returns:
            Tensors of shape `(batch, anchors, classes)` and `(batch, anchors,
            4)`.
        """
        return (
            keras.ops.concatenate(self.logits, axis=1),
            keras.ops.concatenate(self.deltas, axis=1),
        )


def flatten_outputs(
    raw: Mapping[str, Sequence[Tensor]], num_classes: int
) -> FlatOutputs:
    """Returns the outputs of an anchor head with a row for each anchor.

    Args:
        raw: What the head returned.
        num_classes: Number of scores of an anchor.

    Returns:
        `FlatOutputs`, float32.
    """
    return FlatOutputs(
        logits=[_rows(x, num_classes) for x in raw["logits"]],
        deltas=[_rows(x, 4) for x in raw["deltas"]],
        sizes=[ops.spatial_size(x) for x in raw["logits"]],
    )


def _rows(x: Tensor, per_anchor: int) -> Tensor:
    shape = (keras.ops.shape(x)[0], -1, per_anchor)
    return keras.ops.cast(keras.ops.reshape(x, shape), "float32")
