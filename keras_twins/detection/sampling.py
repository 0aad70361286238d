"""A fixed number of anchors or regions, at random, for training.

Shape suffixes: B batch, A candidates, S chosen ones.
"""

from typing import NamedTuple

import keras
from keras import ops

from keras_twins.ops import Tensor


class Sample(NamedTuple):
    """Candidates that were drawn, positive ones first.

    Attributes:
        positions: Which candidates, int32, of shape `(B, count)`; 0 where
            nothing was drawn.
        positive: Which of them are positive, bool, of shape `(B, count)`.
        chosen: Where one was drawn, bool, of shape `(B, count)`; the others
            come last.
    """

    positions: Tensor
    positive: Tensor
    chosen: Tensor


def sample(
    assigned: Tensor,
    count: int,
    positive_fraction: float,
    seed: int | keras.random.SeedGenerator | None,
) -> Sample:
    """Returns candidates drawn at random, none of them twice.

    As many positive ones as there are, up to a share, and negative ones up
    to `count`. Ignored ones are never drawn, so there may be fewer.

    Args:
        assigned: What `assign` returned, of shape `(B, A)`: -1 for ignored
            candidates, 0 for negative ones, above 0 for positive ones.
        count: How many to draw for each image.
        positive_fraction: Share of positive ones at most, from 0 to 1.
        seed: Seed, or generator of seeds, of the draws.

    Returns:
        The `Sample`.

    Raises:
        ValueError: If `count` or `positive_fraction` is out of range.

    Example:

    ```python
    from keras_twins.detection.sampling import sample

    assigned = numpy.array([[0, 2, -1, 0, 0, 1]])
    drawn = sample(assigned, count=4, positive_fraction=0.5, seed=0)
    labels = keras.ops.take_along_axis(assigned, drawn.positions, axis=1)
    ```
    """
    _check(count, positive_fraction)
    assigned_BA = ops.convert_to_tensor(assigned)
    noise_BA = keras.random.uniform(
        ops.shape(assigned_BA), seed=seed, dtype="float32"
    )
    most = int(count * positive_fraction)
    positives_BS, positives_B1 = _draw(assigned_BA > 0, noise_BA, most)
    negatives_BS, negatives_B1 = _draw(
        ops.equal(assigned_BA, 0), noise_BA, count
    )
    drawn_BS = ops.concatenate([positives_BS, negatives_BS], axis=1)
    slots_1S = ops.arange(count, dtype="int32")[None]
    positive_BS = slots_1S < positives_B1
    chosen_BS = slots_1S < positives_B1 + negatives_B1
    # Negative ones stand after `most` positive ones, some of them missing.
    source_BS = ops.where(positive_BS, slots_1S, slots_1S + most - positives_B1)
    positions_BS = ops.take_along_axis(drawn_BS, source_BS, axis=1)
    return Sample(ops.where(chosen_BS, positions_BS, 0), positive_BS, chosen_BS)


def _check(count: int, positive_fraction: float) -> None:
    if count < 1:
        raise ValueError(
            "`count` must be a positive integer of candidates. Received: "
            f"count={count!r}"
        )
    if not 0 <= positive_fraction <= 1:
        raise ValueError(
            "`positive_fraction` must be from 0 to 1. Received: "
            f"positive_fraction={positive_fraction!r}"
        )


def _draw(
    wanted_BA: Tensor, noise_BA: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """Returns `count` positions, wanted ones first, and how many those are."""
    keys_BA = ops.where(wanted_BA, noise_BA, -1.0)
    # There may be fewer candidates than there should be positions.
    keys_BA = ops.pad(keys_BA, ((0, 0), (0, count)), constant_values=-1.0)
    found_B1 = ops.sum(ops.cast(wanted_BA, "int32"), axis=1, keepdims=True)
    if not count:
        return ops.zeros_like(found_B1)[:, :0], found_B1 * 0
    positions_BS = ops.cast(ops.top_k(keys_BA, count)[1], "int32")
    return positions_BS, ops.minimum(found_B1, count)
