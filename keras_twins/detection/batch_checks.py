"""What the parts of a batch of boxes must look like."""

from collections.abc import Mapping
from typing import Any

from keras_twins.ops import Shape

_NO_NUMBERS = ("str", "bytes", "object")


def check_shape(
    key: str, value: Any, expected: str, sizes: tuple[int | None, ...]
) -> None:
    """Raises an error if an array of a batch has another shape.

    Args:
        key: Name of the array.
        value: The array.
        expected: Names of its axes, for the message.
        sizes: What is known of their sizes.

    Raises:
        ValueError: If the rank is another one, or a size that is known is,
            or if the array is ragged.
    """
    if hasattr(value, "nested_row_splits"):
        raise ValueError(
            f"'{key}' must be dense. Pad it with boxes of class -1: "
            "`keras_cv.bounding_box.to_dense(boxes, max_boxes=...)`, or the "
            "tensor's own `to_tensor(-1)`. Received: a ragged tensor"
        )
    shape = _shape_of(value)
    if not _fits(shape, sizes):
        known = ", ".join("?" if size is None else str(size) for size in sizes)
        raise ValueError(
            f"'{key}' must have the shape {expected}, here ({known}). "
            f"{_way_out(shape, sizes)}Received: {kind(value)}"
        )


def check_labels(key: str, value: Any) -> None:
    """Raises an error if labels are words.

    Args:
        key: Name of the labels.
        value: The labels, an array.

    Raises:
        ValueError: If they are no numbers.
    """
    dtype = getattr(value, "dtype", None)
    name = str(getattr(dtype, "name", dtype))
    if name.startswith(_NO_NUMBERS):
        raise ValueError(
            f"'{key}' must be integers: classes from 0, and -1 for padding. "
            "Number your names first: `[names.index(name) for name in ...]`. "
            f"Received: {kind(value)} and dtype {name}"
        )


def check_counts(parts: Mapping[str, Any]) -> None:
    """Raises an error if arrays do not have the same number of boxes.

    Args:
        parts: Arrays by name; their second axis is that of boxes.

    Raises:
        ValueError: If sizes that are known differ.
    """
    counts = {value.shape[1] for value in parts.values()} - {None}
    if len(counts) > 1:
        *first, last = (f"'{name}'" for name in parts)
        shapes = (f"{name} {tuple(x.shape)}" for name, x in parts.items())
        raise ValueError(
            f"{', '.join(first)} and {last} must have the same number of "
            "boxes, their second axis. Pad what has fewer, with the label -1. "
            f"Received: {', '.join(shapes)}"
        )


def kind(value: Any) -> str:
    """Returns the type and the shape of a value, for messages.

    Args:
        value: Anything.

    Returns:
        The words.
    """
    name = type(value).__name__
    if getattr(value, "shape", None) is None:
        return name
    shape = _shape_of(value)
    if shape is None:
        return f"{name} of unknown rank, which its data set has to tell"
    return f"{name} of shape {shape}"


def _shape_of(value: Any) -> Shape | None:
    """Returns what is known of a shape, `None` without a rank."""
    shape = getattr(value, "shape", None)
    try:
        return None if shape is None else tuple(shape)
    # Graphs of TensorFlow may not know the rank.
    except ValueError:
        return None


def _way_out(shape: Shape | None, sizes: tuple[int | None, ...]) -> str:
    """Returns what to do where an axis is missing."""
    if not shape or len(shape) != len(sizes) - 1:
        return ""
    if shape[0] == sizes[0]:
        return "An axis is missing: `x[:, None]` makes one box of each image. "
    return "An axis is missing: `x[None]` makes a batch of one. "


def _fits(shape: Shape | None, sizes: tuple[int | None, ...]) -> bool:
    """Returns whether sizes agree where both are known."""
    if shape is None or len(shape) != len(sizes):
        return False
    pairs = zip(shape, sizes, strict=True)
    return all(a == b for a, b in pairs if None not in (a, b))
