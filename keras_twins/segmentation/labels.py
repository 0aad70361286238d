"""Label maps: their shapes, and which of their values are right."""

import keras
import numpy as np
from keras import ops

from keras_twins.ops import Shape
from keras_twins.ops import Tensor

_NO_CLASS = -(2**31)
"""Stands for what is no integer: not a class, and not ignored."""


def label_maps(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Returns labels as integers, without the axis of one channel.

    Args:
        y_true: Labels of shape `(batch, height, width)` or `(batch, height,
            width, 1)`; of floats, those that are whole are labels.
        y_pred: Predictions of shape `(batch, height, width, classes)`.

    Returns:
        Labels of shape `(batch, height, width)`, `int32`; far below 0 where
        the label is no integer.

    Raises:
        ValueError: If the shapes do not belong together.
    """
    true, predicted = tuple(y_true.shape), tuple(y_pred.shape)
    if len(true) == 4 and true[-1] == 1:
        y_true, true = ops.squeeze(y_true, axis=-1), true[:-1]
    fits = len(true) == 3 and len(predicted) == 4 and predicted[-1] is not None
    if not fits or not _same(true, predicted[:-1]):
        raise ValueError(
            "Labels must have the shape (batch, height, width) or (batch, "
            "height, width, 1), and predictions (batch, height, width, "
            "classes) of the same batch, height and width. Received: labels "
            f"of shape {true}, predictions of shape {predicted}. Resize the "
            "labels with nearest neighbours to the size of the predictions."
        )
    labels = ops.cast(y_true, "int32")
    if "int" in keras.backend.standardize_dtype(y_true.dtype):
        return labels
    # Rounded, masks that were scaled to 1 would all be of class 0.
    whole = ops.equal(ops.cast(labels, y_true.dtype), y_true)
    return ops.where(whole, labels, _NO_CLASS)


def pixel_weights(sample_weight: Tensor) -> Tensor:
    """Returns weights that broadcast to label maps.

    Args:
        sample_weight: Weights of shape `(batch,)`, `(batch, height, width)`
            or `(batch, height, width, 1)`, or what broadcasts to them.

    Returns:
        Weights of rank 3.
    """
    weights = ops.convert_to_tensor(sample_weight)
    rank = len(weights.shape)
    if rank == 4 and weights.shape[-1] == 1:
        return ops.squeeze(weights, axis=-1)
    if rank < 3:
        # Those of images would be spread along the width.
        ones = [1] * (3 - rank)
        return ops.reshape(weights, (*ops.shape(weights), *ones))
    return weights


def is_ignored(labels: Tensor, ignore_class: int | None) -> Tensor:
    """Returns where labels do not count.

    Args:
        labels: Integers of any shape.
        ignore_class: Label of pixels that do not count; `None` if there are
            none.

    Returns:
        Booleans of the same shape.
    """
    if ignore_class is None:
        return ops.zeros_like(labels, dtype="bool")
    return ops.equal(labels, ignore_class)


def check_labels(
    labels: Tensor, num_classes: int, ignore_class: int | None = 255
) -> None:
    """Raises an error if a label is neither a class nor `ignore_class`.

    The loss and the metrics turn NaN on such labels; this finds them in the
    data, before training.

    Args:
        labels: Integers of any shape: an array, or a tensor of the backend.
        num_classes: Number of classes.
        ignore_class: Label of pixels that do not count; `None` if there are
            none.

    Raises:
        ValueError: If a label is out of range, or not an integer.

    Example:

    ```python
    from keras_twins.segmentation import check_labels

    check_labels(numpy.array([[0, 149, 255]]), num_classes=150)
    ```
    """
    values = np.unique(ops.convert_to_numpy(labels))
    if values.dtype.kind not in "iu":
        raise ValueError(
            "Labels must be integers. Received: labels of dtype "
            f"{values.dtype}. Read masks without scaling them."
        )
    wrong = [
        int(value)
        for value in values
        if value != ignore_class and not 0 <= value < num_classes
    ]
    if wrong:
        ignored = "" if ignore_class is None else f", or {ignore_class}"
        raise ValueError(
            f"Labels must be from 0 to {num_classes - 1}{ignored} where a "
            f"pixel is ignored. Received: {len(wrong)} other values, such as "
            f"{wrong[:5]}. Is `num_classes` that of the data, and is 0 a class "
            "in its files? ADE20K's need `reduce_zero_label`."
        )


def _same(first: Shape, second: Shape) -> bool:
    """Returns whether two shapes agree where both are known."""
    pairs = zip(first, second, strict=True)
    return all(a == b for a, b in pairs if None not in (a, b))
