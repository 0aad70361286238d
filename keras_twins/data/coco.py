"""COCO as its authors pack it: pictures and `instances_*.json`."""

import os
import pathlib

import numpy as np

from keras_twins.data.coco_dataset import CocoDataset
from keras_twins.data.coco_dataset import CocoImage
from keras_twins.data.coco_reading import Row
from keras_twins.data.coco_reading import read_annotations
from keras_twins.data.digits import require


def load_coco(
    annotations: str | os.PathLike[str],
    images: str | os.PathLike[str],
    with_empty: bool = True,
    min_size: int = 1,
    with_segmentations: bool = True,
) -> CocoDataset:
    """Reads the annotations of COCO, or of a data set in its layout.

    For training, mmdetection leaves out pictures without annotations and those
    with a side below 32 pixels: `with_empty=False, min_size=32`. An evaluation
    is over all pictures.

    Args:
        annotations: File such as `instances_train2017.json`.
        images: Folder of the pictures, such as `train2017`. Pictures are read
            when their turn comes.
        with_empty: Whether to keep pictures without annotations; those that
            have crowds only are kept in either case.
        min_size: Smallest side in pixels.
        with_segmentations: Whether to keep the segmentations in memory. Those
            of COCO's training set take gigabytes, and only masks need them.

    Returns:
        The data set. Objects without an `area` in the file have that of their
        box.

    Raises:
        FileNotFoundError: If the file or the folder is missing.
        ImportError: If Pillow is missing.
        ValueError: If the file is broken (the message names the annotation and
            the fault), if no picture is left, or if an argument is out of
            range.

    Reference:
        - [Microsoft COCO](https://arxiv.org/abs/1405.0312)

    Example:

    ```python
    from keras_twins.data import load_coco
    from keras_twins.data import load_digit_scenes
    from keras_twins.data import write_coco

    scenes = load_digit_scenes(4, image_size=64)
    write_coco("digits", **scenes.detection(), class_names=list("0123456789"))
    dataset = load_coco("digits/instances.json", "digits/images")
    ```
    """
    require("PIL", "Pillow")
    if min_size < 1:
        raise ValueError(
            f"`min_size` must be at least 1. Received: min_size={min_size}"
        )
    folder = pathlib.Path(images)
    if not folder.is_dir():
        raise FileNotFoundError(
            "`images` must be the folder of the pictures. There is no folder "
            f"{folder}."
        )
    rows, objects, categories = read_annotations(annotations)
    found = _by_image(objects)
    chosen = [
        row
        for row in sorted(rows, key=lambda row: row["id"])
        if min(row["height"], row["width"]) >= min_size
        and (with_empty or row["id"] in found)
    ]
    if not chosen:
        raise ValueError(
            f"There is nothing to read: none of the {len(rows)} pictures of "
            f"{annotations} is kept. Received: {with_empty=}, {min_size=}"
        )
    categories.sort(key=lambda row: row["id"])
    ids = tuple(row["id"] for row in categories)
    return CocoDataset(
        annotations=os.fspath(annotations),
        folder=str(folder),
        images=tuple(
            _image(row, found.get(row["id"], []), ids, with_segmentations)
            for row in chosen
        ),
        category_ids=ids,
        class_names=tuple(row["name"] for row in categories),
    )


def _by_image(objects: list[Row]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in objects:
        found.setdefault(row["image_id"], []).append(row)
    return found


def _image(
    row: Row,
    objects: list[Row],
    category_ids: tuple[int, ...],
    with_segmentations: bool,
) -> CocoImage:
    boxes = np.array([one["bbox"] for one in objects], "float64")
    corners, sides = np.split(boxes.reshape(-1, 4), 2, axis=1)
    areas = [
        one.get("area", side.prod())
        for one, side in zip(objects, sides, strict=True)
    ]
    categories = np.array([one["category_id"] for one in objects], "int64")
    return CocoImage(
        id=row["id"],
        file=row["file_name"],
        height=row["height"],
        width=row["width"],
        boxes=np.hstack([corners, corners + sides]).astype("float32"),
        labels=np.searchsorted(category_ids, categories).astype("int32"),
        crowd=np.array([one.get("iscrowd", 0) for one in objects], bool),
        areas=np.array(areas, "float64"),
        annotation_ids=np.array([one["id"] for one in objects], "int64"),
        segmentations=tuple(
            one.get("segmentation") if with_segmentations else None
            for one in objects
        ),
    )
