"""COCO's average precision of rows of objects and of detections."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_twins.detection.mask_codes import pycocotools
from keras_twins.detection.mask_codes import silence

KINDS = {"bbox": "box", "segm": "mask"}
"""What is compared, as pycocotools calls it, and as the scores do."""

METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl")
"""Mean over ten IoU thresholds; at 0.5; at 0.75; of small, medium and large
objects."""

_MAX_DETECTIONS = 100
_AREAS = {"APs": 1, "APm": 2, "APl": 3}


def coco_precision(
    truths: Sequence[Sequence[dict[str, Any]]],
    detections: Sequence[Sequence[dict[str, Any]]],
    sizes: Sequence[tuple[int, int]],
    num_classes: int,
    kind: str,
) -> np.ndarray:
    """Returns precisions over recalls, as pycocotools finds them.

    Args:
        truths: For each image, the rows of its objects: `category_id` from 0,
            `bbox` (x, y, width, height), `area`, `iscrowd` and, for `"segm"`,
            `segmentation` as a run-length code.
        detections: For each image, the rows of its detections: the same
            without `iscrowd`, with `score`.
        sizes: Height and width of each image in pixels.
        num_classes: Number of classes.
        kind: `"bbox"` or `"segm"`.

    Returns:
        Array of shape `(10, 101, num_classes, 4)`: IoU thresholds, recalls,
        classes, and areas: all, small, medium, large. -1 where there is no
        object.

    Raises:
        ImportError: If pycocotools is missing.
    """
    module = pycocotools("cocoeval")
    with silence():
        truth = _coco(truths, sizes, num_classes)
        found = _coco(detections, sizes, num_classes)
        run = module.COCOeval(truth, found, kind)
        run.params.maxDets = [_MAX_DETECTIONS]
        run.evaluate()
        run.accumulate()
    return run.eval["precision"][..., 0]


def summarize(precision: np.ndarray) -> dict[str, float]:
    """Returns COCO's numbers.

    Args:
        precision: What `coco_precision` returns.

    Returns:
        A number from 0 to 1 for each of `METRICS`; NaN without objects.
    """
    overall = precision[..., 0]
    parts = {"AP": overall, "AP50": overall[0], "AP75": overall[5]}
    parts |= {name: precision[..., i] for name, i in _AREAS.items()}
    return {name: _mean(parts[name]) for name in METRICS}


def class_precision(precision: np.ndarray) -> np.ndarray:
    """Returns the average precision of each class.

    Args:
        precision: What `coco_precision` returns.

    Returns:
        Array of shape `(num_classes,)`, from 0 to 1; NaN without objects.
    """
    classes = range(precision.shape[2])
    return np.array([_mean(precision[:, :, k, 0]) for k in classes])


def _mean(precision: np.ndarray) -> float:
    known = precision[precision > -1]
    return float(known.mean()) if known.size else float("nan")


def _coco(
    images: Sequence[Sequence[dict[str, Any]]],
    sizes: Sequence[tuple[int, int]],
    num_classes: int,
) -> Any:
    """Returns an object of pycocotools; it numbers everything from 1."""
    coco = pycocotools("coco").COCO()
    rows = [
        {"iscrowd": 0, **row, "image_id": image}
        for image, entries in enumerate(images, start=1)
        for row in entries
    ]
    # 0 is what pycocotools has for an object that was not found.
    for number, row in enumerate(rows, start=1):
        row["id"] = number
        row["category_id"] += 1
    coco.dataset = {
        "images": [
            {"id": i, "height": height, "width": width}
            for i, (height, width) in enumerate(sizes, start=1)
        ],
        "categories": [{"id": i + 1} for i in range(num_classes)],
        "annotations": rows,
    }
    coco.createIndex()
    return coco
