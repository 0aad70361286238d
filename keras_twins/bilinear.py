"""Bilinear resizing of images and of score maps, in NumPy.

The same numbers on every backend, without a program that is compiled for
every size. Corners are not aligned and nothing is smoothed before, as in
OpenCV and PyTorch.
"""

from collections.abc import Iterator

import numpy as np

# Values in a block of rows: it stays in the processor's cache.
_BLOCK = 2**19


def keep_ratio_size(
    height: int, width: int, scale: tuple[int, int]
) -> tuple[int, int]:
    """Returns the largest size within a scale that keeps the ratio.

    Args:
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        scale: Most pixels of the long side and of the short one, in any
            order.

    Returns:
        Height and width in pixels, rounded as mmcv does.
    """
    factor = min(
        max(scale) / max(height, width), min(scale) / min(height, width)
    )
    return (
        max(1, int(height * factor + 0.5)),
        max(1, int(width * factor + 0.5)),
    )


def resize(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns an image or a score map of another size.

    Args:
        array: Array of shape `(height, width, channels)`.
        size: New height and width.

    Returns:
        Array of shape `(*size, channels)`, float32.
    """
    result = np.empty((*size, array.shape[-1]), dtype="float32")
    for rows, block in resized_rows(array, size):
        result[rows] = block
    return result


def resized_rows(
    array: np.ndarray, size: tuple[int, int]
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yields the rows of an array of another size, a few at a time.

    What is made of the rows, such as labels, takes far less memory than all
    of them.

    Args:
        array: Array of shape `(height, width, channels)`.
        size: New height and width.

    Yields:
        tuple: Which rows, and their values of shape `(rows, size[1],
        channels)`, float32; they may be a view of `array`.
    """
    height, width, channels = array.shape
    upper, lower, row_share = _neighbours(height, size[0])
    left, right, column_share = _neighbours(width, size[1])
    step = max(1, _BLOCK // (size[1] * channels))
    for start in range(0, size[0], step):
        rows = slice(start, min(start + step, size[0]))
        if size[0] == height:
            block = np.asarray(array[rows], dtype="float32")
        else:
            share = row_share[rows, None, None]
            block = _mixed(array[upper[rows]], array[lower[rows]], share)
        if size[1] != width:
            share = column_share[None, :, None]
            block = _mixed(block[:, left], block[:, right], share)
        yield rows, block


def _neighbours(
    length: int, new_length: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the two positions beside each new one, the second's share."""
    centers = (np.arange(new_length) + 0.5) * (length / new_length) - 0.5
    centers = centers.clip(0, length - 1)
    first = centers.astype("int64")
    second = np.minimum(first + 1, length - 1)
    return first, second, (centers - first).astype("float32")


def _mixed(
    first: np.ndarray, second: np.ndarray, share: np.ndarray
) -> np.ndarray:
    first = np.asarray(first, dtype="float32")
    difference = second - first
    difference *= share
    difference += first
    return difference
