"""How well a model segments images of different sizes."""

import dataclasses
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_twins.segmentation.inference import segment_images
from keras_twins.segmentation.labels import check_labels
from keras_twins.segmentation.passes import InferenceSettings

Example = tuple[np.ndarray, np.ndarray]
"""An image of shape `(height, width, 3)` and its labels, `(height, width)`."""


@dataclasses.dataclass(frozen=True)
class SegmentationScores:
    """How many pixels of each class were taken for each other.

    Args:
        confusion: Array of shape `(num_classes, num_classes)`, int64: rows
            are true classes, columns predicted ones.
        images: Number of images.
    """

    confusion: np.ndarray
    images: int

    @property
    def class_iou(self) -> np.ndarray:
        """Intersection over union of each class; NaN where there is none."""
        hits = np.diag(self.confusion)
        union = self.confusion.sum(0) + self.confusion.sum(1) - hits
        return _ratio(hits, union)

    @property
    def class_accuracy(self) -> np.ndarray:
        """Fraction of each class that was found; NaN where there is none."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(1))

    @property
    def mean_iou(self) -> float:
        """Mean over the classes that occur in labels or predictions."""
        return _mean(self.class_iou)

    @property
    def mean_accuracy(self) -> float:
        """Mean over the classes that occur in the labels."""
        return _mean(self.class_accuracy)

    @property
    def pixel_accuracy(self) -> float:
        """Fraction of all labelled pixels."""
        hits, total = np.trace(self.confusion), self.confusion.sum()
        return float(hits / total) if total else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Returns the results as a dictionary that JSON can hold.

        `None` stands where there is nothing to compare: JSON has no NaN.
        """
        return {
            "images": self.images,
            "mean_iou": _known(self.mean_iou),
            "mean_accuracy": _known(self.mean_accuracy),
            "pixel_accuracy": _known(self.pixel_accuracy),
            "class_iou": [_known(x) for x in self.class_iou],
        }


def evaluate_segmentation(
    model: keras.Model,
    examples: Iterable[Example],
    num_classes: int,
    settings: InferenceSettings | None = None,
    ignore_class: int | None = 255,
    say: Callable[[str], object] | None = None,
) -> SegmentationScores:
    """Segments images of any sizes and compares at the size of the labels.

    Args:
        model: Model from images of shape `(batch, height, width, 3)` to
            scores of shape `(batch, height, width, classes)`.
        examples: Pairs of an image and its labels, of one size.
        num_classes: Number of classes.
        settings: How the images go through the model.
        ignore_class: Label of pixels that do not count; `None` if there are
            none.
        say: Gets a line after each image.

    Returns:
        `SegmentationScores`.

    Raises:
        ValueError: If labels are out of range, or do not have the size of
            their image; with the number of the image. Else as `segment`.

    Example:

    ```python
    from keras_twins.segmentation import evaluate_segmentation

    model = keras.Sequential([keras.layers.Conv2D(4, 3, padding="same")])
    image, labels = numpy.zeros((48, 64, 3)), numpy.zeros((48, 64), "uint8")
    scores = evaluate_segmentation(model, [(image, labels)], num_classes=4)
    ```
    """
    confusion = np.zeros((num_classes, num_classes), "int64")
    expected: list[np.ndarray] = []
    images = _images(examples, num_classes, ignore_class, expected)
    count = 0
    for result in segment_images(model, images, settings, say=say):
        labels, count = expected.pop(), count + 1
        confusion += _confusion(
            labels, result.labels, num_classes, ignore_class
        )
    return SegmentationScores(confusion, count)


def _images(
    examples: Iterable[Example],
    num_classes: int,
    ignore_class: int | None,
    expected: list[np.ndarray],
) -> Iterator[np.ndarray]:
    """Yields the images, and leaves the labels of each in a list."""
    for number, (image, labels) in enumerate(examples, start=1):
        image, labels = np.asarray(image), np.asarray(labels)
        if image.shape[:2] != labels.shape:
            raise ValueError(
                f"Image {number}: Labels must have the size of their image. "
                f"Received: an image of shape {image.shape} with labels of "
                f"shape {labels.shape}"
            )
        try:
            check_labels(labels, num_classes, ignore_class)
        except ValueError as error:
            raise ValueError(f"Image {number}: {error}") from error
        expected.append(labels)
        yield image


def _confusion(
    labels: np.ndarray,
    found: np.ndarray,
    num_classes: int,
    ignore_class: int | None,
) -> np.ndarray:
    if found.max() >= num_classes:
        raise ValueError(
            f"The model gives more than {num_classes} classes. Received: "
            f"num_classes={num_classes}, class {found.max()} in a prediction."
        )
    counted = slice(None) if ignore_class is None else labels != ignore_class
    pairs = labels[counted].astype("int64") * num_classes + found[counted]
    counts = np.bincount(pairs.ravel(), minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, part / whole, np.nan)


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
