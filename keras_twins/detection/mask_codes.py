"""Masks as pycocotools holds them: run lengths, column by column."""

import contextlib
import importlib
import io
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import numpy as np

Mask = np.ndarray | Mapping[str, Any] | list[list[float]]
"""A mask of one object: an array of shape `(height, width)`, a run-length
code with `size` and `counts`, or polygons `[x1, y1, x2, y2, ...]` in pixels,
as in COCO's files."""


def pycocotools(module: str) -> Any:
    """Returns a module of pycocotools.

    Args:
        module: Its name, such as `"mask"`.

    Returns:
        The module.

    Raises:
        ImportError: If pycocotools is missing.
    """
    try:
        return importlib.import_module(f"pycocotools.{module}")
    except ImportError as error:
        raise ImportError(
            "COCO's masks and scores are computed by pycocotools. Install it "
            'with `pip install "keras-twins[data]"`.'
        ) from error


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keeps what is printed within from the standard output."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def encode_mask(mask: Any, size: tuple[int, int]) -> dict[str, Any]:
    """Returns the run-length code of a mask.

    Args:
        mask: A mask in one of the forms of `Mask`.
        size: Height and width of the image in pixels.

    Returns:
        Dictionary with `size` and `counts`, which is bytes.

    Raises:
        ImportError: If pycocotools is missing.
        ValueError: If the mask has another size, or is none.
    """
    tools = pycocotools("mask")
    if isinstance(mask, Mapping):
        return _encode_counts(mask, size, tools)
    if isinstance(mask, np.ndarray) and mask.ndim == 2:
        _check_size(mask.shape, size)
        # A nonzero byte counts as its value there.
        return tools.encode(np.asfortranarray(mask != 0, dtype="uint8"))
    if isinstance(mask, list | tuple):
        return _encode_polygons(mask, size, tools)
    raise ValueError(
        "A mask must be an array of shape (height, width), a run-length code "
        "or a list of polygons. Received: "
        f"{type(mask).__name__} of shape {getattr(mask, 'shape', None)}"
    )


def _encode_counts(
    mask: Mapping[str, Any], size: tuple[int, int], tools: Any
) -> dict[str, Any]:
    if not {"size", "counts"} <= set(mask):
        raise ValueError(
            "A run-length code must have the keys 'size' and 'counts'. "
            f"Received: {sorted(mask)}"
        )
    _check_size(mask["size"], size)
    counts = mask["counts"]
    if isinstance(counts, str):
        counts = counts.encode()
    if isinstance(counts, bytes):
        return {"size": list(size), "counts": counts}
    counts = [int(count) for count in counts]
    code = {"size": list(size), "counts": counts}
    if sum(counts) != size[0] * size[1]:
        raise ValueError(
            f"The counts of a run-length code must add up to {size[0]}x"
            f"{size[1]} pixels. Received: {sum(counts)}"
        )
    return tools.frPyObjects(code, *size)


def _encode_polygons(
    polygons: Any, size: tuple[int, int], tools: Any
) -> dict[str, Any]:
    if not polygons:
        return encode_mask(np.zeros(size, "uint8"), size)
    lists = [np.asarray(x, "float64").reshape(-1).tolist() for x in polygons]
    if any(len(x) < 6 or len(x) % 2 for x in lists):
        raise ValueError(
            "A polygon must have an even number of coordinates, 6 or more. "
            f"Received: {[len(x) for x in lists]} coordinates"
        )
    return tools.merge(tools.frPyObjects(lists, *size))


def _check_size(found: Any, size: tuple[int, int]) -> None:
    if tuple(int(x) for x in found) != tuple(size):
        raise ValueError(
            f"A mask must have the size of its image, {size[0]}x{size[1]} "
            f"pixels. Received: {'x'.join(map(str, found))}"
        )
