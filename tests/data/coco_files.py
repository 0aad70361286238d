"""A small data set in COCO's format, written by hand."""

import json

import numpy as np
import pytest

HEIGHT, WIDTH = 21, 34
CATEGORIES = {90: "zebra", 3: "ant", 7: "cat"}


def rectangle(x1, y1, x2, y2, height=HEIGHT, width=WIDTH):
    """A mask that is a rectangle."""
    mask = np.zeros((height, width), bool)
    mask[y1:y2, x1:x2] = True
    return mask


POLYGON = [[2, 3, 12, 3, 12, 9, 2, 9]]
POLYGON_MASK = rectangle(2, 3, 12, 9)
RUNS_MASK = rectangle(20, 5, 34, 21)
CROWD_MASK = rectangle(0, 15, 10, 21)


def compressed(mask):
    coder = pytest.importorskip("pycocotools.mask")
    found = coder.encode(np.asfortranarray(mask.astype("uint8")))
    return {"size": list(mask.shape), "counts": found["counts"].decode()}


def runs(mask):
    """Run lengths in the order of columns, counted one by one."""
    counts, inside = [0], False
    for pixel in mask.T.ravel():
        if pixel != inside:
            counts.append(0)
            inside = not inside
        counts[-1] += 1
    return {"size": list(mask.shape), "counts": counts}


def annotation(number, image_id, category_id, bbox, segmentation, **others):
    return {
        "id": number,
        "image_id": image_id,
        "category_id": category_id,
        "bbox": bbox,
        "area": bbox[2] * bbox[3],
        "segmentation": segmentation,
        "iscrowd": 0,
        **others,
    }


def content():
    """An empty picture, one with three objects, and one with a crowd only."""
    crowd = {"segmentation": runs(CROWD_MASK), "iscrowd": 1}
    return {
        "images": [
            {"id": 42, "file_name": "b.png", "height": HEIGHT, "width": WIDTH},
            {"id": 9, "file_name": "a.png", "height": 16, "width": 40},
            {"id": 50, "file_name": "c.png", "height": HEIGHT, "width": WIDTH},
        ],
        "annotations": [
            annotation(5, 42, 7, [2, 3, 10, 6], POLYGON),
            annotation(4, 42, 90, [0, 15, 10, 6], None) | crowd,
            annotation(8, 42, 3, [20, 5, 14, 16], compressed(RUNS_MASK)),
            annotation(6, 50, 3, [0, 15, 10, 6], None) | crowd,
        ],
        "categories": [
            {"id": number, "name": name} for number, name in CATEGORIES.items()
        ],
    }


def write(folder, found=None):
    """Writes the set; returns the annotation file and the pictures' folder."""
    image = pytest.importorskip("PIL.Image")
    found = content() if found is None else found
    images = folder / "images"
    images.mkdir(exist_ok=True)
    for row in content()["images"]:
        image.fromarray(pixels(row)).save(images / row["file_name"])
    path = folder / "instances.json"
    path.write_text(json.dumps(found))
    return path, images


def pixels(row):
    """The picture of an entry."""
    rng = np.random.default_rng(row["id"])
    shape = row["height"], row["width"], 3
    return rng.integers(0, 256, shape, "uint8")
