"""Small data sets in the layout of COCO."""

import json
import os
import pathlib
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_twins.data.coco_masks import encode_mask
from keras_twins.data.digits import require
from keras_twins.weights.files import replace_file


def write_coco(
    folder: str | os.PathLike[str],
    images: Sequence[np.ndarray] | np.ndarray,
    boxes: Sequence[Any] | np.ndarray,
    labels: Sequence[Any] | np.ndarray,
    class_names: Sequence[str],
    masks: Sequence[Any] | np.ndarray | None = None,
    valid: Sequence[Any] | np.ndarray | None = None,
) -> pathlib.Path:
    """Writes pictures and their objects in the layout of COCO.

    The pictures are numbered from 1 and lie in `images`, as PNG. Files of the
    same names are replaced, each of them at once; the annotation file comes
    last. Class `k` becomes the category `k + 1`.

    Args:
        folder: Folder to write to; it is made where it is missing.
        images: Pictures of shape `(height, width, 3)`, `uint8`.
        boxes: For each picture, boxes `(x1, y1, x2, y2)` in pixels, `(n, 4)`.
        labels: For each picture, classes of shape `(n,)`.
        class_names: Names of the classes.
        masks: For each picture, pixels of the objects, `(n, height, width)`,
            `bool`; written as run lengths.
        valid: For each picture, which of its objects are there, `(n,)`,
            `bool`; by default all.

    Returns:
        The annotation file, `instances.json` in the folder.

    Raises:
        ImportError: If Pillow is missing.
        ValueError: If the numbers of pictures, boxes, labels or masks differ, a
            label has no name, or a picture has another shape or dtype.

    Example:

    ```python
    from keras_twins.data import load_digit_scenes
    from keras_twins.data import write_coco

    scenes = load_digit_scenes(4, image_size=64)
    write_coco("digits", **scenes.detection(), class_names=list("0123456789"))
    ```
    """
    pil = require("PIL.Image", "Pillow")
    if masks is None:
        masks = [None] * len(images)
    if valid is None:
        valid = [np.ones(len(one), bool) for one in labels]
    lengths = [len(part) for part in (images, boxes, labels, masks, valid)]
    if len(set(lengths)) > 1:
        raise ValueError(
            "`images`, `boxes`, `labels`, `masks` and `valid` must be of as "
            f"many pictures. Received: {lengths}"
        )
    rows = [_row(number, image) for number, image in enumerate(images, 1)]
    numbers = range(1, len(rows) + 1)
    parts = zip(numbers, boxes, labels, masks, valid, strict=True)
    content = {
        "images": rows,
        "annotations": _numbered(
            _objects(number, one, known, pixels, there, len(class_names))
            for number, one, known, pixels, there in parts
        ),
        "categories": [
            {"id": number, "name": name}
            for number, name in enumerate(class_names, 1)
        ],
    }
    folder = pathlib.Path(folder)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for row, image in zip(rows, images, strict=True):
        with replace_file(folder / "images" / row["file_name"]) as draft:
            pil.fromarray(np.asarray(image)).save(draft, format="PNG")
    path = folder / "instances.json"
    with replace_file(path) as draft:
        draft.write_text(json.dumps(content), encoding="utf-8")
    return path


def _row(number: int, image: np.ndarray) -> dict[str, Any]:
    shape, dtype = np.shape(image), np.asarray(image).dtype
    if len(shape) != 3 or shape[-1] != 3 or dtype != "uint8":
        raise ValueError(
            "`images` must have the shape (height, width, 3) and the dtype "
            f"uint8. Received: {shape} and {dtype} for picture {number}"
        )
    name = f"{number:012}.png"
    height, width = shape[:2]
    return {"id": number, "file_name": name, "height": height, "width": width}


def _objects(
    image_id: int,
    boxes: Any,
    labels: Any,
    masks: Any,
    valid: Any,
    num_classes: int,
) -> list[dict[str, Any]]:
    boxes = np.asarray(boxes, "float64").reshape(-1, 4)
    labels = np.asarray(labels).reshape(-1)
    valid = np.asarray(valid, bool).reshape(-1)
    parts = [boxes, labels, valid] + ([] if masks is None else [masks])
    if len({len(part) for part in parts}) > 1:
        raise ValueError(
            "Every object must have a box, a label, and a mask if there are "
            f"any. Received: {[len(part) for part in parts]} in picture "
            f"{image_id}"
        )
    known = labels[valid].tolist()
    wrong = [label for label in known if not 0 <= label < num_classes]
    if wrong:
        raise ValueError(
            f"`labels` must be from 0 to {num_classes - 1}, one for each of "
            f"`class_names`. Received: {wrong} in picture {image_id}"
        )
    objects = []
    for index in np.flatnonzero(valid):
        x1, y1, x2, y2 = boxes[index].tolist()
        width, height = x2 - x1, y2 - y1
        one: dict[str, Any] = {
            "image_id": image_id,
            "category_id": int(labels[index]) + 1,
            "bbox": [x1, y1, width, height],
            "area": width * height,
            "iscrowd": 0,
        }
        if masks is not None:
            mask = np.asarray(masks[index], bool)
            one["segmentation"] = encode_mask(mask)
            one["area"] = int(mask.sum())
        objects.append(one)
    return objects


def _numbered(
    found: Iterable[list[dict[str, Any]]],
) -> list[dict[str, Any]]:
    rows = [row for rows in found for row in rows]
    return [{"id": number, **row} for number, row in enumerate(rows, 1)]
