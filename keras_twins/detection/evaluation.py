"""COCO's average precision of boxes and masks."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_twins.detection.coco_precision import KINDS
from keras_twins.detection.coco_precision import class_precision
from keras_twins.detection.coco_precision import coco_precision
from keras_twins.detection.coco_precision import summarize
from keras_twins.detection.coco_rows import Row
from keras_twins.detection.coco_rows import detection_rows
from keras_twins.detection.coco_rows import truth_rows
from keras_twins.detection.detections import Detections
from keras_twins.detection.detections import unpacked
from keras_twins.detection.ground_truth import GroundTruth
from keras_twins.detection.ground_truth import ImageId
from keras_twins.detection.ground_truth import as_ground_truth
from keras_twins.detection.mask_codes import pycocotools


class CocoEvaluator:
    """Compares predictions with the truth, as the COCO benchmark does.

    The numbers are pycocotools': in crowd regions nothing is missed and
    nothing is wrong, and the first 100 detections of each class count. In
    images without objects every detection is wrong; an image without
    predictions is one in which nothing was detected.

    Args:
        images: `GroundTruth` of every image, or `images` of what
            `keras_twins.data.load_coco` returns.
        num_classes: Number of classes.
        names: Name of each class; by default, `"class 0"` and so on.
        kinds: What is compared: `"bbox"`, `"segm"` for masks, or both.

    Raises:
        ImportError: If pycocotools is missing.
        ValueError: If an argument is wrong, or does not fit another.

    Reference:
        - [Microsoft COCO](https://arxiv.org/abs/1405.0312)

    Example:

    ```python
    from keras_twins.detection import CocoEvaluator
    from keras_twins.detection import GroundTruth

    boxes = numpy.array([[8, 8, 40, 32]])
    truth = GroundTruth(7, (64, 96), boxes, labels=numpy.array([2]))
    evaluator = CocoEvaluator([truth], num_classes=3)
    predictions = {
        "boxes": numpy.array([[[8, 8, 40, 30]]]),
        "scores": numpy.array([[0.9]]),
        "labels": numpy.array([[2]]),
        "valid": numpy.array([[True]]),
    }
    evaluator.update([7], predictions)
    precision = evaluator.result()["box_AP"]
    ```
    """

    def __init__(
        self,
        images: Sequence[Any],
        num_classes: int = 80,
        names: Sequence[str] | None = None,
        kinds: Sequence[str] = ("bbox",),
    ):
        pycocotools("cocoeval")
        self.kinds = _checked_kinds(kinds)
        self.names = _checked_names(names, num_classes)
        self._sizes: dict[ImageId, tuple[int, int]] = {}
        self._truths: dict[ImageId, list[Row]] = {}
        self._found: dict[ImageId, dict[str, list[Row]]] = {}
        for image in images:
            self._add_truth(as_ground_truth(image))

    @property
    def missing(self) -> list[ImageId]:
        """The images that have no predictions yet."""
        return [x for x in self._truths if x not in self._found]

    def check_sizes(
        self, image_ids: Sequence[ImageId] | np.ndarray, sizes: np.ndarray
    ) -> None:
        """Raises if predictions are in the pixels of images of other sizes.

        Args:
            image_ids: What names the images.
            sizes: Height and width that their predictions refer to, of shape
                `(images, 2)`.

        Raises:
            ValueError: If an image has another size.
        """
        for image_id, size in zip(image_ids, sizes, strict=True):
            known = self._sizes.get(plain_id(image_id))
            if known not in (None, tuple(int(side) for side in size)):
                raise ValueError(
                    "Predictions must be in pixels of the original images: "
                    "give `original_sizes` in the batch. Received: image "
                    f"{image_id!r} of {tuple(map(int, size))} pixels; the "
                    f"ground truth has {known}"
                )

    def reset(self) -> None:
        """Forgets all predictions."""
        self._found = {}

    def update(
        self,
        image_ids: Sequence[ImageId] | np.ndarray,
        predictions: Mapping[str, Any],
    ) -> None:
        """Adds the predictions for a batch of images.

        Args:
            image_ids: Which images they are for.
            predictions: What a detector returns: `"boxes"` of shape `(batch,
                detections, 4)`, x1, y1, x2, y2 in pixels of the original
                image, `"scores"`, `"labels"` and `"valid"` of shape `(batch,
                detections)` and, for `"segm"`, `"masks"` of shape `(batch,
                detections, height, width)`, probabilities within the box.

        Raises:
            ValueError: If an image is unknown or has predictions already, or
                the predictions are not as above.
        """
        numbers = [plain_id(x) for x in image_ids]
        if strange := [x for x in numbers if x not in self._truths]:
            raise ValueError(
                "`image_ids` must be those of the ground truth. Received: "
                f"{strange[:5]}, which it does not have"
            )
        twice = [x for x in numbers if x in self._found]
        if twice or len(set(numbers)) < len(numbers):
            raise ValueError(
                "An image must come once, with all its predictions; `reset` "
                f"forgets earlier ones. Received: {(twice or numbers)[:5]} "
                "again"
            )
        if "segm" not in self.kinds:
            predictions = {k: v for k, v in predictions.items() if k != "masks"}
        elif "masks" not in predictions:
            raise ValueError(
                '`predictions` must have "masks" where `kinds` has "segm". '
                f"Received: keys {sorted(predictions)}"
            )
        sizes = [self._sizes[x] for x in numbers]
        found = {
            number: self._rows(number, detections)
            for number, detections in zip(
                numbers, unpacked(predictions, sizes), strict=True
            )
        }
        self._found |= found

    def result(self) -> dict[str, Any]:
        """Returns the scores of all images.

        Returns:
            For boxes `box_AP` (mean over the IoU thresholds 0.5, 0.55, ...,
            0.95), `box_AP50`, `box_AP75`, and `box_APs`, `box_APm` and
            `box_APl` of small, medium and large objects, from 0 to 1; for
            masks, the same with `mask_`. Under `box_class_AP` and
            `mask_class_AP`, a dictionary with the AP of each class, by name.
            NaN where there is no object to find.
        """
        results: dict[str, Any] = {}
        for kind in self.kinds:
            prefix = KINDS[kind]
            precision = self._precision(kind)
            scores = summarize(precision)
            results |= {f"{prefix}_{k}": v for k, v in scores.items()}
            by_class = class_precision(precision).tolist()
            results[f"{prefix}_class_AP"] = dict(
                zip(self.names, by_class, strict=True)
            )
        return results

    def _precision(self, kind: str) -> np.ndarray:
        # As pycocotools sorts them: it decides between equal scores.
        order = sorted(self._truths, key=lambda x: (isinstance(x, str), x))
        return coco_precision(
            [self._truths[x] for x in order],
            [self._found.get(x, {}).get(kind, []) for x in order],
            [self._sizes[x] for x in order],
            len(self.names),
            kind,
        )

    def _add_truth(self, image: GroundTruth) -> None:
        number = plain_id(image.image_id)
        if number in self._truths:
            raise ValueError(
                f"`images` must have different ids. Received: {number!r} twice"
            )
        with_masks = "segm" in self.kinds
        if with_masks and image.masks is None and len(image.labels):
            raise ValueError(
                '`images` must have masks where `kinds` has "segm". '
                f"Received: image {number!r} without masks"
            )
        self._check_labels("an object", number, np.asarray(image.labels))
        height, width = image.size
        self._sizes[number] = int(height), int(width)
        try:
            self._truths[number] = truth_rows(image, with_masks)
        except ValueError as error:
            raise ValueError(f"Image {number!r}: {error}") from error

    def _rows(
        self, number: ImageId, detections: Detections
    ) -> dict[str, list[Row]]:
        self._check_labels("a detection", number, detections.labels)
        return detection_rows(detections, self._sizes[number])

    def _check_labels(
        self, what: str, number: ImageId, labels: np.ndarray
    ) -> None:
        wrong = labels[(labels < 0) | (labels >= len(self.names))]
        if wrong.size:
            raise ValueError(
                f"Labels must be from 0 to {len(self.names) - 1}, as there "
                f"are {len(self.names)} classes. Received: {what} of class "
                f"{wrong[0]} in image {number!r}"
            )


def plain_id(image_id: Any) -> ImageId:
    """Returns an id that is equal to that of another library.

    Args:
        image_id: An integer or a string, of Python, NumPy or the backend.

    Returns:
        The id as Python has it.
    """
    if isinstance(image_id, int | str):
        return image_id
    if not isinstance(image_id, bytes | np.generic):
        image_id = keras.ops.convert_to_numpy(image_id)
    plain = np.asarray(image_id).item()
    return plain.decode() if isinstance(plain, bytes) else plain


def _checked_kinds(kinds: Sequence[str]) -> tuple[str, ...]:
    if isinstance(kinds, str) or not kinds or not set(kinds) <= set(KINDS):
        raise ValueError(
            f"`kinds` must be some of {list(KINDS)}. Received: kinds={kinds!r}"
        )
    return tuple(kinds)


def _checked_names(
    names: Sequence[str] | None, num_classes: int
) -> tuple[str, ...]:
    if names is None:
        return tuple(f"class {i}" for i in range(num_classes))
    if len(names) != num_classes or len(set(names)) != num_classes:
        raise ValueError(
            f"`names` must be {num_classes} different names, as `num_classes` "
            f"says. Received: {len(names)} names, {len(set(names))} of them "
            "different"
        )
    return tuple(names)
