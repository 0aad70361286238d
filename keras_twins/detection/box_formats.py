"""Formats of boxes that other libraries have, to pixels of two corners."""

from collections.abc import Sequence

from keras import ops

from keras_twins.ops import Size
from keras_twins.ops import Tensor

_ABSOLUTE = ("xyxy", "yxyx", "xywh", "center_xywh")
_RELATIVE = "rel_"

FORMATS = (*_ABSOLUTE, *(_RELATIVE + name for name in _ABSOLUTE))
"""Names as in `keras.utils.bounding_boxes`; `rel_` is of the image's size."""


def to_xyxy(boxes: Tensor, source: str, image_size: Sequence[Size]) -> Tensor:
    """Returns boxes as x1, y1, x2, y2 in pixels.

    Args:
        boxes: Boxes of shape `(..., 4)`, float32.
        source: Their format, one of `FORMATS`.
        image_size: Height and width of the image in pixels.

    Returns:
        Boxes of the same shape.

    Raises:
        ValueError: If the format is unknown.
    """
    name = _absolute(source)
    first, second = boxes[..., :2], boxes[..., 2:]
    if name == "yxyx":
        first, second = ops.flip(first, axis=-1), ops.flip(second, axis=-1)
    elif name == "xywh":
        second = first + second
    elif name == "center_xywh":
        half = 0.5 * second
        first, second = first - half, first + half
    if name != source:
        scale = _scale(image_size)
        first, second = first * scale, second * scale
    return ops.concatenate([first, second], axis=-1)


def from_xyxy(boxes: Tensor, target: str, image_size: Sequence[Size]) -> Tensor:
    """Returns boxes of x1, y1, x2, y2 in pixels in another format.

    Args:
        boxes: Boxes of shape `(..., 4)`, float32.
        target: The format to make, one of `FORMATS`.
        image_size: Height and width of the image in pixels.

    Returns:
        Boxes of the same shape.

    Raises:
        ValueError: If the format is unknown.
    """
    name = _absolute(target)
    first, second = boxes[..., :2], boxes[..., 2:]
    if name != target:
        scale = _scale(image_size)
        first, second = first / scale, second / scale
    if name == "yxyx":
        first, second = ops.flip(first, axis=-1), ops.flip(second, axis=-1)
    elif name == "xywh":
        second = second - first
    elif name == "center_xywh":
        first, second = 0.5 * (first + second), second - first
    return ops.concatenate([first, second], axis=-1)


def check_format(name: str) -> None:
    """Raises an error if there is no such format.

    Args:
        name: The name.

    Raises:
        ValueError: If it is not one of `FORMATS`.
    """
    if name not in FORMATS:
        raise ValueError(
            f"`bounding_box_format` must be one of {FORMATS}. Received: "
            f"bounding_box_format={name!r}"
        )


def _absolute(name: str) -> str:
    """Returns the name of a format without what says that it is relative."""
    check_format(name)
    return name.removeprefix(_RELATIVE)


def _scale(image_size: Sequence[Size]) -> Tensor:
    """Returns width and height as a tensor of shape `(2,)`."""
    height, width = image_size
    return ops.stack([ops.cast(width, "float32"), ops.cast(height, "float32")])
