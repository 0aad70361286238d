"""Small data sets, and what pycocotools says of them when called directly."""

import contextlib
import io
import json

import numpy as np
from pycocotools import mask as tools
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from keras_twins.detection.ground_truth import GroundTruth

NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl")


def truth(image_id, boxes, labels, size=(400, 400), **kwargs) -> GroundTruth:
    boxes = np.array(boxes, "float32").reshape(-1, 4)
    return GroundTruth(image_id, size, boxes, np.array(labels, int), **kwargs)


def predictions(*images, padding=1, masks=None) -> dict[str, np.ndarray]:
    """Rows `(x1, y1, x2, y2, score, label)` of each image, as detectors."""
    count = max(len(rows) for rows in images) + padding
    table = np.zeros((len(images), count, 6), "float32")
    valid = np.zeros((len(images), count), bool)
    for i, rows in enumerate(images):
        if rows:
            table[i, : len(rows)] = rows
        valid[i, : len(rows)] = True
    result = {
        "boxes": table[..., :4],
        "scores": table[..., 4],
        "labels": table[..., 5].astype("int32"),
        "valid": valid,
    }
    if masks is not None:
        result["masks"] = np.zeros((len(images), count, 28, 28), "float32")
        for i, entries in enumerate(masks):
            if len(entries):
                result["masks"][i, : len(entries)] = entries
    return result


def polygon(box) -> list[list[float]]:
    """The corners of a box, one of them cut off."""
    x1, y1, x2, y2 = map(float, box)
    middle = (x1 + x2) / 2
    return [[x1, y1, x2, y1, x2, y2, middle, y2, x1, (y1 + y2) / 2]]


def random_rows(rng, count, size, classes) -> np.ndarray:
    """Boxes and labels, most of them within the picture."""
    height, width = size
    corners = rng.uniform(0, (width * 0.8, height * 0.8), (count, 2))
    sides = rng.choice([12.0, 50.0, 150.0], (count, 2))
    far = np.minimum(corners + sides, (width, height))
    labels = rng.integers(0, classes, count)
    return np.hstack([corners, far, labels[:, None]])


def reference(images, detections, kind, category_ids) -> dict[str, float]:
    """What pycocotools finds for annotation files and a file of results."""
    content = {
        "images": [
            {"id": x.image_id, "height": x.size[0], "width": x.size[1]}
            for x in images
        ],
        "categories": [{"id": i, "name": str(i)} for i in category_ids],
        "annotations": [],
    }
    for image in images:
        for i, (box, label) in enumerate(
            zip(image.boxes, image.labels, strict=True)
        ):
            x1, y1, x2, y2 = (float(x) for x in box)
            row = {
                "id": len(content["annotations"]) + 1,
                "image_id": image.image_id,
                "category_id": category_ids[label],
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": float(image.areas[i]),
                "iscrowd": int(image.crowd[i]),
            }
            if image.masks is not None:
                row["segmentation"] = image.masks[i]
            content["annotations"].append(row)
    results = []
    for image_id, found in detections.items():
        for i, box in enumerate(found.boxes):
            x1, y1, x2, y2 = (float(x) for x in box)
            row = {
                "image_id": image_id,
                "category_id": category_ids[found.labels[i]],
                "score": float(found.scores[i]),
            }
            if kind == "bbox":
                row["bbox"] = [x1, y1, x2 - x1, y2 - y1]
            else:
                pixels = np.asfortranarray(found.masks[i], "uint8")
                row["segmentation"] = tools.encode(pixels)
            results.append(row)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        # As from a file: lists, floats and texts.
        coco.dataset = json.loads(json.dumps(content))
        coco.createIndex()
        run = COCOeval(coco, coco.loadRes(results), kind)
        run.evaluate()
        run.accumulate()
        run.summarize()
    return dict(zip(NAMES, run.stats[:6].tolist(), strict=True))
