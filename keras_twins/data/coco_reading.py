"""Annotation files of COCO: what they must hold, checked."""

import json
import os
import reprlib
from typing import Any

_LARGEST = 2.0**24
"""Largest coordinate: beyond it, `float32` cannot tell pixels apart."""

_LARGEST_ID = 2**63

Row = dict[str, Any]
"""An image, an annotation or a category."""


def read_annotations(
    path: str | os.PathLike[str],
) -> tuple[list[Row], list[Row], list[Row]]:
    """Reads an annotation file and checks all that is used.

    Args:
        path: A file such as `instances_train2017.json`.

    Returns:
        Images, annotations and categories, as the file has them.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is broken. The message names the file, the
            number of the image, annotation or category, and the fault.
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"Cannot read {path} as JSON: {error}") from error
    _require(isinstance(found, dict), f"{path}", "a dict", found)
    parts: dict[str, list[Row]] = {}
    for name, check in _CHECKS.items():
        rows = found.get(name, "nothing")
        where = f"{path}, `{name}`"
        _require(_are_rows(rows), where, "a list of dicts", rows)
        _check_ids(rows, where)
        for row in rows:
            check(row, f"{path}, {_SINGULAR[name]} {row['id']}")
        parts[name] = rows
    images, categories = parts["images"], parts["categories"]
    _require(bool(categories), f"{path}", "one category or more", categories)
    _check_references(path, parts["annotations"], images, categories)
    return images, parts["annotations"], categories


def _are_rows(rows: Any) -> bool:
    return isinstance(rows, list) and all(isinstance(row, dict) for row in rows)


def _check_ids(rows: list[Row], where: str) -> None:
    known: set[int] = set()
    for index, row in enumerate(rows):
        own = row.get("id", "nothing")
        _require(
            _is_whole(own) and -_LARGEST_ID <= own < _LARGEST_ID,
            f"{where}, entry {index}",
            "a whole number as `id`",
            own,
        )
        _require(own not in known, where, "every `id` once", own)
        known.add(own)


def _check_image(row: Row, where: str) -> None:
    for name in ("height", "width"):
        side = row.get(name, "nothing")
        _require(
            _is_whole(side) and 1 <= side < _LARGEST,
            where,
            f"a positive whole number as `{name}`",
            side,
        )
    name = row.get("file_name", "nothing")
    good = "file_name" in row and isinstance(name, str) and bool(name)
    _require(good, where, "the name of a file as `file_name`", name)


def _check_annotation(row: Row, where: str) -> None:
    for name in ("image_id", "category_id"):
        found = row.get(name, "nothing")
        _require(_is_whole(found), where, f"a whole number as `{name}`", found)
    box = row.get("bbox", "nothing")
    _require(
        isinstance(box, list) and len(box) == 4 and all(map(_is_place, box)),
        where,
        "four numbers (x, y, width, height in pixels) as `bbox`",
        box,
    )
    _require(
        box[2] >= 0 and box[3] >= 0,
        where,
        "a `bbox` whose width and height are not negative",
        box,
    )
    area = row.get("area", 0)
    _require(
        _is_number(area) and 0 <= area < _LARGEST**2,
        where,
        "a number of pixels, not negative, as `area`",
        area,
    )
    crowd = row.get("iscrowd", 0)
    _require(
        isinstance(crowd, int) and crowd in (0, 1),
        where,
        "0 or 1 as `iscrowd`",
        crowd,
    )


def _check_category(row: Row, where: str) -> None:
    name = row.get("name")
    _require(isinstance(name, str), where, "a text as `name`", name)


def _check_references(
    path: str | os.PathLike[str],
    annotations: list[Row],
    images: list[Row],
    categories: list[Row],
) -> None:
    known = {
        "image_id": {row["id"] for row in images},
        "category_id": {row["id"] for row in categories},
    }
    for row in annotations:
        for name, ids in known.items():
            _require(
                row[name] in ids,
                f"{path}, annotation {row['id']}",
                f"as `{name}` the `id` of an entry of the file",
                row[name],
            )


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_place(value: Any) -> bool:
    # False for what is not a number, too.
    return _is_number(value) and -_LARGEST < value < _LARGEST


def _require(holds: bool, where: str, expected: str, received: Any) -> None:
    if not holds:
        raise ValueError(
            f"{where}: expected {expected}. Received: {reprlib.repr(received)}"
        )


_CHECKS = {
    "images": _check_image,
    "categories": _check_category,
    "annotations": _check_annotation,
}

_SINGULAR = {
    "images": "image",
    "categories": "category",
    "annotations": "annotation",
}
