"""Whether two programs find the same objects.

Which boxes are found is a choice, and the slightest difference may turn one.
So objects are matched, and the share of those that both find is what counts.

Shape suffixes: N images, D detections, R detections of the other program.
"""

import dataclasses
import math
from collections.abc import Iterator
from collections.abc import Mapping

import keras
import numpy as np

from keras_twins.detection.boxes import pairwise_iou

SAME_BOX = 0.99
"""Intersection over union from which on two boxes are the same one."""

Objects = Mapping[str, np.ndarray]
"""Boxes, labels, scores, valid, and maybe masks of a batch of images."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ObjectMatch:
    """How the objects that an artefact finds compare with those of Keras.

    Args:
        expected: Number of objects that Keras finds.
        received: Number of objects that the artefact finds.
        matched: Number of objects that both find: of the same class, in the
            same place, with the same score and mask.
        score_difference: Largest difference between the scores of objects of
            the same class in the same place.
        box_difference: The same of the corners, in pixels.
        mask_difference: The same of the masks: the mean over a mask; `None`
            if there are none.
    """

    expected: int
    received: int
    matched: int
    score_difference: float = 0.0
    box_difference: float = 0.0
    mask_difference: float | None = None

    @property
    def agreement(self) -> float:
        """Share of the objects of the one that finds more, found by both."""
        most = max(self.expected, self.received)
        return self.matched / most if most else math.nan


def match_objects(
    expected: Objects, received: Objects, tolerance: float
) -> ObjectMatch:
    """Compares the objects that two programs find in the same images.

    Args:
        expected: What Keras finds: `"boxes"` of shape `(N, D, 4)`,
            `"scores"`, `"labels"` and `"valid"` of shape `(N, D)`, and maybe
            `"masks"` of shape `(N, D, height, width)`.
        received: What an artefact finds, of the same shapes.
        tolerance: Largest difference between scores, and between masks in the
            mean. Boxes are the same one above an overlap of `SAME_BOX`, or if
            their corners are apart by less than this fraction of the largest
            coordinate, for boxes may be thinner than a pixel.

    Returns:
        An `ObjectMatch`.
    """
    pairs = list(_pairs(expected, received, tolerance))
    images, rows, others = np.reshape(pairs, (-1, 3)).astype(int).T

    def apart(name: str) -> np.ndarray:
        first = expected[name][images, rows]
        return np.abs(first - received[name][images, others])

    scores, boxes = apart("scores"), apart("boxes")
    masks = None
    same = scores <= tolerance
    if "masks" in expected:
        masks = apart("masks").mean(axis=(1, 2))
        same &= masks <= tolerance
    return ObjectMatch(
        expected=int(expected["valid"].sum()),
        received=int(received["valid"].sum()),
        matched=int(same.sum()),
        score_difference=float(scores.max(initial=0)),
        box_difference=float(boxes.max(initial=0)),
        mask_difference=(
            None if masks is None else float(masks.max(initial=0))
        ),
    )


def _pairs(
    expected: Objects, received: Objects, tolerance: float
) -> Iterator[tuple[int, int, int]]:
    """Yields image and places of objects of a class in the same place."""
    near = _nearness(expected["boxes"], received["boxes"], tolerance)
    labels = (x["labels"].astype(int) for x in (expected, received))
    first_ND, second_NR = labels
    near *= first_ND[:, :, None] == second_NR[:, None]
    near *= expected["valid"][:, :, None] != 0
    near *= received["valid"][:, None] != 0
    for image, rows in enumerate(near):
        for row in range(len(rows)):
            other = rows[row].argmax()
            if rows[row, other] > 0:
                yield image, row, int(other)
                rows[:, other] = 0


def _nearness(
    first_ND4: np.ndarray, second_NR4: np.ndarray, tolerance: float
) -> np.ndarray:
    """Returns how near boxes are, above 0 where they are the same one."""
    overlap = keras.ops.convert_to_numpy(pairwise_iou(first_ND4, second_NR4))
    corners = np.abs(first_ND4[:, :, None] - second_NR4[:, None]).max(axis=-1)
    largest = np.abs(first_ND4).max(initial=0)
    same = (overlap >= SAME_BOX) | (corners <= tolerance * largest)
    # The nearest one, where a class has boxes of hardly any size.
    return np.where(same, 1 / (1 + corners), 0.0)
