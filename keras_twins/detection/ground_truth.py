"""What there is to detect in an image, as scores are computed from it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

ImageId = int | str
"""What names an image."""


@dataclasses.dataclass(frozen=True)
class GroundTruth:
    """The objects of an image, which detections are compared with.

    Args:
        image_id: What predictions name the image by, unique.
        size: Height and width of the image in pixels.
        boxes: Array of shape `(objects, 4)`: x1, y1, x2, y2 in pixels of the
            image.
        labels: Array of shape `(objects,)`: classes from 0.
        crowd: Array of shape `(objects,)`: whether a region holds several
            objects, any of which may be found or missed there; by default,
            none does.
        areas: Array of shape `(objects,)`: pixels of each object, which say
            whether it is small, medium or large; by default those of its
            mask or, without one, of its box.
        masks: For each object, an array of shape `(height, width)`, a
            run-length code, or polygons, as COCO's files have them.

    Raises:
        ValueError: If the shapes do not fit each other.

    Example:

    ```python
    from keras_twins.detection.ground_truth import GroundTruth

    boxes = numpy.array([[8, 8, 40, 32]])
    truth = GroundTruth(7, (64, 96), boxes, labels=numpy.array([2]))
    ```
    """

    image_id: ImageId
    size: tuple[int, int]
    boxes: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray | None = None
    areas: np.ndarray | None = None
    masks: np.ndarray | Sequence[Any] | None = None

    def __post_init__(self) -> None:
        boxes = np.asarray(self.boxes)
        count = len(np.asarray(self.labels))
        if boxes.shape != (count, 4) and (boxes.size or count):
            raise ValueError(
                f"`boxes` must have the shape ({count}, 4), as there are "
                f"{count} labels. Received: image {self.image_id} with boxes "
                f"of shape {boxes.shape}"
            )
        for name in ("crowd", "areas", "masks"):
            value = getattr(self, name)
            if value is not None and len(value) != count:
                raise ValueError(
                    f"`{name}` must have one entry for each of the {count} "
                    f"objects. Received: image {self.image_id} with "
                    f"{len(value)} entries"
                )


def as_ground_truth(image: Any) -> GroundTruth:
    """Returns the objects of an image, whoever read them.

    Args:
        image: `GroundTruth`, an entry of `keras_twins.data.CocoDataset.images`
            or an object with the same attributes, or an example with
            `image_id`, `size`, `boxes`, `labels` and `masks`.

    Returns:
        The objects.

    Raises:
        ValueError: If it has other attributes.
    """
    if isinstance(image, GroundTruth):
        return image
    try:
        if not hasattr(image, "segmentations"):
            return GroundTruth(
                image.image_id,
                image.size,
                image.boxes,
                image.labels,
                masks=image.masks,
            )
        masks = image.segmentations
        return GroundTruth(
            image.id,
            (image.height, image.width),
            image.boxes,
            image.labels,
            image.crowd,
            image.areas,
            None if any(mask is None for mask in masks) else masks,
        )
    except AttributeError as error:
        raise ValueError(
            "The truth of an image must be `GroundTruth`, or what `load_coco` "
            f"has in `images`. Received: {type(image).__name__} ({error})"
        ) from error
