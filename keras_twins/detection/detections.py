"""What was detected in one image, in NumPy, without padding."""

import dataclasses
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_twins.detection.mask_pasting import paste_masks

_AXES = {"boxes": 3, "scores": 2, "labels": 2, "valid": 2}


@dataclasses.dataclass(frozen=True)
class Detections:
    """The objects that a model sees in an image, the surest first.

    Args:
        boxes: x1, y1, x2, y2 in pixels of the image, of shape `(objects, 4)`,
            float32.
        scores: From 0 to 1, of shape `(objects,)`, float32.
        labels: Classes from 0, of shape `(objects,)`, int32.
        masks: Which pixels belong to each object, of shape `(objects, height,
            width)`, bool; `None` from models without masks.

    Raises:
        ValueError: If the shapes do not fit each other.

    Example:

    ```python
    from keras_twins.detection import Detections

    found = Detections(
        boxes=numpy.array([[8.0, 8.0, 40.0, 32.0]], "float32"),
        scores=numpy.array([0.9], "float32"),
        labels=numpy.array([2], "int32"),
    )
    sure = found.above(0.5)
    ```
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    masks: np.ndarray | None = None

    def __post_init__(self) -> None:
        count = len(self.scores)
        shapes = [np.shape(x) for x in (self.boxes, self.scores, self.labels)]
        if shapes != [(count, 4), (count,), (count,)]:
            raise ValueError(
                "`boxes`, `scores` and `labels` must have the shapes (objects, "
                f"4), (objects,) and (objects,). Received: {shapes}"
            )
        if self.masks is not None and (
            np.ndim(self.masks) != 3 or len(self.masks) != count
        ):
            raise ValueError(
                f"`masks` must have the shape ({count}, height, width). "
                f"Received: {np.shape(self.masks)}"
            )

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, score_threshold: float) -> "Detections":
        """Returns the detections of at least a score.

        Args:
            score_threshold: The lowest score.

        Returns:
            The detections that have it.
        """
        return self.chosen(self.scores >= score_threshold)

    def chosen(self, which: np.ndarray) -> "Detections":
        """Returns some of the detections.

        Args:
            which: Their positions, or a bool for each of all.

        Returns:
            These detections.
        """
        masks = None if self.masks is None else self.masks[which]
        return Detections(
            self.boxes[which], self.scores[which], self.labels[which], masks
        )

    def to_list(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Returns boxes, scores and labels as JSON can hold them.

        Args:
            names: Name of each class.

        Returns:
            For each object `name`, `label`, `score` and `box` (x1, y1, x2,
            y2).
        """
        return [
            {
                "name": names[label],
                "label": int(label),
                "score": float(score),
                "box": box.tolist(),
            }
            for box, score, label in zip(
                self.boxes, self.scores, self.labels, strict=True
            )
        ]


def unpacked(
    predictions: Mapping[str, Any], sizes: Sequence[tuple[int, int]]
) -> Iterator[Detections]:
    """Yields the detections in each image of a batch.

    Args:
        predictions: `"boxes"` of shape `(batch, detections, 4)`, `"scores"`,
            `"labels"` and `"valid"` of shape `(batch, detections)`, and
            perhaps `"masks"` of shape `(batch, detections, height, width)`:
            probabilities within the boxes.
        sizes: Height and width of each image in pixels.

    Yields:
        Detections: Those that are valid, with masks as large as the image.

    Raises:
        ValueError: If a key is missing, a shape is wrong, or values are not
            finite.
    """
    arrays = _arrays(predictions, len(sizes))
    for i, size in enumerate(sizes):
        valid = arrays["valid"][i].astype("bool")
        boxes = arrays["boxes"][i][valid].astype("float32")
        scores = arrays["scores"][i][valid].astype("float32")
        if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
            raise ValueError(
                "Boxes and scores must be finite. Received: predictions with "
                "NaN or infinity. Look for them in the images and in the "
                "model's weights."
            )
        masks = None
        if "masks" in arrays:
            masks = paste_masks(arrays["masks"][i][valid], boxes, size)
        labels = arrays["labels"][i][valid].astype("int32")
        yield Detections(boxes, scores, labels, masks)


def _arrays(
    predictions: Mapping[str, Any], images: int
) -> dict[str, np.ndarray]:
    """Returns predictions as arrays whose shapes fit."""
    if missing := [key for key in _AXES if key not in predictions]:
        raise ValueError(
            "`predictions` must be what a detector returns, a dictionary with "
            f"{', '.join(_AXES)}. Missing: {', '.join(missing)}"
        )
    names = [*_AXES, *(["masks"] if "masks" in predictions else [])]
    arrays = {
        name: np.asarray(keras.ops.convert_to_numpy(predictions[name]))
        for name in names
    }
    shape = arrays["scores"].shape
    for name, array in arrays.items():
        axes = _AXES.get(name, 4)
        if array.ndim != axes or array.shape[:2] != shape:
            raise ValueError(
                f"`predictions` must have arrays of the same images and "
                f'detections. Received: "{name}" of shape {array.shape} with '
                f'"scores" of shape {shape}'
            )
    if shape[0] != images:
        raise ValueError(
            f"`predictions` must be for as many images as there are ids, "
            f"{images}. Received: predictions for {shape[0]}"
        )
    return arrays
