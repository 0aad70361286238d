"""Segmentations of COCO: polygons and run lengths, as masks and back."""

from typing import Any

import numpy as np

from keras_twins.data.digits import require

_SMALLEST_POLYGON = 6
"""Coordinates of a triangle."""


def decode_segmentation(
    segmentation: Any, size: tuple[int, int], where: str
) -> np.ndarray:
    """Draws a segmentation.

    Args:
        segmentation: What an annotation of COCO holds: a list of polygons
            `[x1, y1, x2, y2, ...]`, or a dict of `size` and `counts`, which
            are run lengths (a list) or their compressed form (text).
        size: Height and width of the picture.
        where: What errors call the annotation.

    Returns:
        The pixels of the object, `(height, width)`, `bool`.

    Raises:
        ImportError: If pycocotools is missing.
        ValueError: If it is no such segmentation; the message begins with
            `where`.
    """
    height, width = size
    coder = require("pycocotools.mask", "pycocotools")
    if isinstance(segmentation, list):
        _check_polygons(segmentation, where)
        runs = coder.merge(coder.frPyObjects(segmentation, height, width))
        return coder.decode(runs).astype(bool)
    counts = _checked_counts(segmentation, size, where)
    if isinstance(counts, list):
        return _unrolled(counts, size)
    runs = {"size": [height, width], "counts": counts}
    try:
        return coder.decode(runs).astype(bool)
    # pycocotools raises what its C code and Cython happen to raise.
    except Exception as error:
        raise ValueError(
            f"{where}: expected `counts` of a compressed `segmentation` of "
            f"{height}x{width} pixels. Received: {error}"
        ) from error


def encode_mask(mask: np.ndarray) -> dict[str, list[int]]:
    """Turns a mask into run lengths, which need no compression.

    Args:
        mask: Pixels of the object, `(height, width)`, `bool`.

    Returns:
        A dict of `size` and `counts`: the lengths of runs in the order of
        columns, in turn outside and inside of the object, as in COCO.
    """
    flat = np.concatenate([[False], mask.ravel(order="F")])
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    counts = np.diff(np.concatenate([[0], ends, [mask.size]]))
    return {"size": list(mask.shape), "counts": counts.tolist()}


def _check_polygons(polygons: list[Any], where: str) -> None:
    good = bool(polygons) and all(
        isinstance(polygon, list)
        and len(polygon) >= _SMALLEST_POLYGON
        and len(polygon) % 2 == 0
        and all(_is_coordinate(value) for value in polygon)
        for polygon in polygons
    )
    if not good:
        raise ValueError(
            f"{where}: expected a `segmentation` of polygons, each with three "
            f"pairs of coordinates or more. Received: {_short(polygons)}"
        )


def _is_coordinate(value: Any) -> bool:
    return isinstance(value, int | float) and -(2**24) < value < 2**24


def _checked_counts(
    segmentation: Any, size: tuple[int, int], where: str
) -> Any:
    """Returns the run lengths, which belong to a picture of that size."""
    found = segmentation if isinstance(segmentation, dict) else {}
    counts = found.get("counts")
    good = found.get("size") == list(size)
    if isinstance(counts, list):
        good = good and all(
            isinstance(count, int) and count >= 0 for count in counts
        )
        good = good and sum(counts) == size[0] * size[1]
    if not good or not isinstance(counts, list | str | bytes):
        raise ValueError(
            f"{where}: expected a `segmentation` of polygons, or of `size` "
            f"{list(size)} and `counts` of as many pixels. Received: "
            f"{_short(segmentation)}"
        )
    return counts


def _unrolled(counts: list[int], size: tuple[int, int]) -> np.ndarray:
    inside = np.arange(len(counts)) % 2 == 1
    return np.repeat(inside, counts).reshape(size, order="F")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
