"""Where a sliding window stands, and which numbers of pixels are right."""

import math
import numbers
from typing import Any


def windows(
    image_size: tuple[int, int],
    size: int | tuple[int, int],
    stride: int | tuple[int, int],
) -> list[tuple[slice, slice]]:
    """Returns the windows that cover an image, all of one size.

    Args:
        image_size: Height and width of the image in pixels.
        size: Height and width of the window in pixels, or one number.
        stride: Steps down and to the right in pixels, or one number.

    Returns:
        Rows and columns of each window, line by line.

    Raises:
        ValueError: If a number is not a positive integer, or a step leaves
            gaps.
    """
    sizes, strides = _pair(size, "size"), _pair(stride, "stride")
    if any(step > side for step, side in zip(strides, sizes, strict=True)):
        raise ValueError(
            "`stride` must be at most `size`, or pixels between the windows "
            f"would have no scores. Received: stride={stride}, size={size}"
        )
    rows, columns = (
        _spans(*lengths)
        for lengths in zip(image_size, sizes, strides, strict=True)
    )
    return [(row, column) for row in rows for column in columns]


def check_batch_size(batch_size: object) -> None:
    """Raises an error if a number of windows is none.

    Args:
        batch_size: Windows in one forward pass.

    Raises:
        ValueError: If it is not a positive integer.
    """
    if not is_count(batch_size):
        raise ValueError(
            "`batch_size` must be a positive integer. Received: "
            f"batch_size={batch_size!r}"
        )


def is_count(value: object) -> bool:
    """Returns whether a value is a positive integer, of NumPy or Python."""
    return isinstance(value, numbers.Integral) and int(value) >= 1


def is_factor(value: object) -> bool:
    """Returns whether a value is a positive number that is finite."""
    return isinstance(value, numbers.Real) and 0 < float(value) < math.inf


def items_of(value: Any) -> tuple[Any, ...]:
    """Returns the items of a sequence; none of what is no sequence."""
    try:
        return tuple(value)
    # Arrays without axes can be iterated over by their class alone.
    except TypeError:
        return ()


def _pair(value: Any, name: str) -> tuple[int, int]:
    pair = (value, value) if is_count(value) else items_of(value)
    if len(pair) != 2 or not all(is_count(n) for n in pair):
        raise ValueError(
            f"`{name}` must be a positive integer of pixels, or two for "
            f"height and width. Received: {name}={value!r}"
        )
    return int(pair[0]), int(pair[1])


def _spans(length: int, size: int, stride: int) -> list[slice]:
    steps = max(length - size + stride - 1, 0) // stride
    ends = (min(i * stride + size, length) for i in range(steps + 1))
    return [slice(max(end - size, 0), end) for end in ends]
