"""Objects and detections of an image as rows that pycocotools compares."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_twins.detection.detections import Detections
from keras_twins.detection.ground_truth import GroundTruth
from keras_twins.detection.mask_codes import encode_mask
from keras_twins.detection.mask_codes import pycocotools

Row = dict[str, Any]


def truth_rows(truth: GroundTruth, with_masks: bool) -> list[Row]:
    """Returns a row for each object of an image.

    Args:
        truth: The objects.
        with_masks: Whether rows have masks.

    Returns:
        Dictionaries with `category_id` (the label, from 0), `bbox` (x, y,
        width, height), `area`, `iscrowd` and, if asked for, `segmentation`,
        a run-length code.

    Raises:
        ImportError: If pycocotools is missing.
        ValueError: If a mask is none or has another size.
    """
    boxes = np.asarray(truth.boxes, "float64").reshape(-1, 4)
    crowd = [False] * len(boxes) if truth.crowd is None else truth.crowd
    codes = None
    if truth.masks is not None and (with_masks or truth.areas is None):
        codes = [encode_mask(mask, truth.size) for mask in truth.masks]
    rows: list[Row] = [
        {
            "category_id": int(label),
            "bbox": _corner_and_size(box),
            "area": float(area),
            "iscrowd": int(flag),
        }
        for box, label, flag, area in zip(
            boxes,
            truth.labels,
            crowd,
            _areas(truth.areas, codes, boxes),
            strict=True,
        )
    ]
    if with_masks:
        for row, code in zip(rows, codes or (), strict=True):
            row["segmentation"] = code
    return rows


def detection_rows(
    detections: Detections, size: tuple[int, int]
) -> dict[str, list[Row]]:
    """Returns rows for each detection in an image.

    Args:
        detections: The detections.
        size: Height and width of the image in pixels.

    Returns:
        Under `"bbox"` a dictionary for each detection with `category_id` (the
        label, from 0), `score`, `bbox` (x, y, width, height) and the `area` of
        the box; where there are masks, under `"segm"` the same with
        `segmentation` and the area of the mask.
    """
    boxes = detections.boxes.astype("float64")
    rows: list[Row] = [
        {
            "category_id": int(label),
            "score": float(score),
            "bbox": _corner_and_size(box),
            "area": area,
        }
        for box, score, label, area in zip(
            boxes,
            detections.scores,
            detections.labels,
            _box_areas(boxes).tolist(),
            strict=True,
        )
    ]
    if detections.masks is None:
        return {"bbox": rows}
    codes = [encode_mask(mask, size) for mask in detections.masks]
    areas = _areas(None, codes, boxes)
    return {
        "bbox": rows,
        "segm": [
            {**row, "segmentation": code, "area": float(area)}
            for row, code, area in zip(rows, codes, areas, strict=True)
        ],
    }


def _corner_and_size(box: np.ndarray) -> list[float]:
    x1, y1, x2, y2 = box.tolist()
    return [x1, y1, x2 - x1, y2 - y1]


def _areas(
    given: Sequence[float] | np.ndarray | None,
    codes: Sequence[Any] | None,
    boxes: np.ndarray,
) -> np.ndarray:
    """Returns the areas that are given, those of masks, or those of boxes."""
    if given is not None:
        return np.asarray(given, "float64")
    if codes:
        return np.asarray(pycocotools("mask").area(list(codes)))
    return _box_areas(boxes)


def _box_areas(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
