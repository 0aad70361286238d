"""What the parts of a batch of boxes must look like."""

from typing import Any

from keras_twins.ops import Shape


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
    if not _fits(getattr(value, "shape", None), sizes):
        known = ", ".join("?" if size is None else str(size) for size in sizes)
        raise ValueError(
            f"'{key}' must have the shape {expected}, here ({known}). "
            f"Received: {kind(value)}"
        )


def _fits(shape: Shape | None, sizes: tuple[int | None, ...]) -> bool:
    """Returns whether sizes agree where both are known."""
    if shape is None or len(shape) != len(sizes):
        return False
    pairs = zip(shape, sizes, strict=True)
    return all(a == b for a, b in pairs if None not in (a, b))


def kind(value: Any) -> str:
    """Returns the type and the shape of a value, for messages.

    Args:
        value: Anything.

    Returns:
        The words.
    """
    shape = getattr(value, "shape", None)
    name = type(value).__name__
    return name if shape is None else f"{name} of shape {tuple(shape)}"
