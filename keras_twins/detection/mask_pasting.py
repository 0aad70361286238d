"""Masks of boxes, put where they belong in the image; in NumPy.

Shape suffixes: N masks, h and w height and width of a box's window.
"""

import math

import numpy as np


def paste_masks(
    probabilities_NSS: np.ndarray,
    boxes_N4: np.ndarray,
    size: tuple[int, int],
    threshold: float = 0.5,
) -> np.ndarray:
    """Returns the masks of objects in the image that their boxes are in.

    Bilinear between the centres of the cells, towards 0 outside the box, as
    in mmdetection. Only the pixels in and about a box are computed.

    Args:
        probabilities_NSS: Probabilities within the boxes, of shape `(masks,
            side, side)`.
        boxes_N4: Boxes of shape `(masks, 4)` in pixels of the image; an empty
            one has an empty mask.
        size: Height and width of the image in pixels.
        threshold: Least probability of a mask's pixel, above 0.

    Returns:
        bool array of shape `(masks, *size)`.

    Raises:
        ValueError: If shapes do not fit, or `threshold` is not positive.

    Reference:
        - [Mask R-CNN](https://arxiv.org/abs/1703.06870)

    Example:

    ```python
    probabilities = numpy.full((1, 28, 28), 0.9)
    boxes = numpy.array([[8.0, 4.0, 24.0, 28.0]])
    masks = paste_masks(probabilities, boxes, (32, 32))
    ```
    """
    probabilities = np.asarray(probabilities_NSS, dtype="float32")
    boxes = np.asarray(boxes_N4, dtype="float32")
    _check(probabilities, boxes, threshold)
    height, width = size
    masks = np.zeros((len(boxes), height, width), dtype=bool)
    for mask, table, box in zip(masks, probabilities, boxes, strict=True):
        x1, y1, x2, y2 = box
        rows, row_shares = _shares(y1, y2, height, table.shape[0])
        columns, column_shares = _shares(x1, x2, width, table.shape[1])
        values = row_shares @ table @ column_shares.T
        mask[rows, columns] = values >= threshold
    return masks


def _shares(
    low: np.float32, high: np.float32, length: int, cells: int
) -> tuple[slice, np.ndarray]:
    """Returns the pixels about a box, and the shares of the box's cells.

    Args:
        low: Where the box begins.
        high: Where it ends.
        length: Pixels of the image along the axis.
        cells: Cells of the box along the axis.

    Returns:
        The pixels, and shares of shape `(pixels, cells)`.
    """
    side = high - low
    if not side > 0:
        return slice(0, 0), np.zeros((0, cells), dtype="float32")
    # Half a cell outside the box there is something left of the last one.
    margin = side / (2 * cells)
    first = min(max(math.floor(low - margin), 0), length)
    last = max(min(math.ceil(high + margin), length), first)
    pixels = np.arange(first, last, dtype="float32") + np.float32(0.5)
    # In the steps of grid_sample, for the same rounding.
    grid = (pixels - low) / side * 2 - 1
    position = ((grid + 1) * cells - 1) / 2
    distance = np.abs(position[:, None] - np.arange(cells, dtype="float32"))
    return slice(first, last), np.maximum(1 - distance, 0).astype("float32")


def _check(
    probabilities: np.ndarray, boxes: np.ndarray, threshold: float
) -> None:
    if probabilities.ndim != 3 or boxes.shape != (len(probabilities), 4):
        raise ValueError(
            "`probabilities` must have the shape (masks, side, side), and "
            "`boxes` (masks, 4). Received shapes: "
            f"{probabilities.shape}, {boxes.shape}"
        )
    if not threshold > 0:
        raise ValueError(
            f"`threshold` must be positive. Received: {threshold=}"
        )
