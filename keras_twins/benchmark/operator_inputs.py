"""What operators of detectors work on, the same for every system.

Shape suffixes: N candidates, R regions.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_twins.benchmark.detection_inputs import CLASSES
from keras_twins.benchmark.detection_inputs import random_boxes

STRIDES = (4, 8, 16, 32)
"""Pixels per cell of the maps that regions are pooled from."""

BINS = 7
"""Height and width of a pooled region."""

MOST_DETECTIONS = 100
"""Largest number of boxes that suppression by class leaves."""

CLASS_OVERLAP = 0.5
LEVEL_OVERLAP = 0.7

_CHANNELS = 256
_CANDIDATES = 5000
_LEVELS = 5
_PROPOSALS = 1000
_OBJECTS = 40


def operator_inputs(operator: str, size: int, count: int | None = None) -> Any:
    """Returns what an operator works on.

    Args:
        operator: `"select"`, `"keep_sorted"` or `"pool_regions"`.
        size: Side of the image in pixels.
        count: Number of candidates or regions; `None` for the usual one.

    Returns:
        For `"select"`, `"boxes"`, `"scores"` and `"labels"` of one image, in
        no order; for `"keep_sorted"`, `"boxes"` and `"valid"` of five levels,
        the best first; for `"pool_regions"`, boxes of one image.
    """
    makers = {
        "select": _random_candidates,
        "keep_sorted": _sorted_proposals,
        "pool_regions": _random_regions,
    }
    return makers[operator](size, *([] if count is None else [count]))


def map_shapes(size: int) -> list[tuple[int, int, int, int]]:
    """Returns the shapes of the maps that regions are pooled from.

    Args:
        size: Side of the image in pixels.

    Returns:
        `(1, height, width, channels)` for each level.
    """
    sides = [max(size // stride, 1) for stride in STRIDES]
    return [(1, side, side, _CHANNELS) for side in sides]


def _random_candidates(
    size: int, count: int = _CANDIDATES
) -> Mapping[str, np.ndarray]:
    """Returns what suppression by class chooses from."""
    generator = np.random.default_rng(2)
    return {
        "boxes": _clustered(generator, (1, count), size),
        "scores": generator.uniform(0.05, 1, (1, count)).astype("float32"),
        "labels": generator.integers(0, CLASSES, (1, count), "int32"),
    }


def _sorted_proposals(
    size: int, count: int = _PROPOSALS
) -> Mapping[str, np.ndarray]:
    """Returns what suppression level by level chooses from."""
    generator = np.random.default_rng(3)
    return {
        "boxes": _clustered(generator, (_LEVELS, count), size),
        "valid": np.ones((_LEVELS, count), "bool"),
    }


def _random_regions(size: int, count: int = _PROPOSALS) -> np.ndarray:
    """Returns regions to pool."""
    return random_boxes(np.random.default_rng(4), (1, count), size)


def _clustered(
    generator: np.random.Generator, shape: tuple[int, int], size: int
) -> np.ndarray:
    """Returns boxes around a few objects, as anchors find them."""
    objects = random_boxes(generator, (shape[0], _OBJECTS), size)
    owners = generator.integers(0, _OBJECTS, shape)
    boxes = np.take_along_axis(objects, owners[..., None], axis=1)
    sides = np.tile(boxes[..., 2:] - boxes[..., :2], 2)
    moves = generator.normal(0, 0.15, boxes.shape)
    # However far the corners move, none passes the other.
    moved = boxes + sides * moves.clip(-0.4, 0.4)
    return moved.clip(0, size).astype("float32")
