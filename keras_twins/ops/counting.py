"""Counts of classes and of pairs of them, exact and of static shape."""

import keras
from keras import ops

from keras_twins.ops.tensors import Tensor


def best_class(scores: Tensor) -> Tensor:
    """Returns the index of the highest score along the last axis.

    Args:
        scores: Tensor of shape `(..., classes)`.

    Returns:
        Tensor of shape `(...)`, int32; the first index where several are
        highest.
    """
    scores = ops.convert_to_tensor(scores)
    # Keras compares with negative zero first, which takes TensorFlow longer
    # than the search.
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.argmax(scores, axis=-1, output_type="int32")
    if keras.backend.backend() == "jax":
        import jax

        return jax.numpy.argmax(scores, axis=-1).astype("int32")
    return ops.argmax(scores, axis=-1)


def count_values(values: Tensor, length: int) -> Tensor:
    """Counts how often each of the first integers occurs.

    Unlike `keras.ops.bincount`, it can be compiled on every backend.

    Args:
        values: Integers from 0 to `length - 1`, of any shape, at most
            `2**31 - 1` of them.
        length: Number of different integers.

    Returns:
        Tensor of shape `(length,)`, int32.
    """
    values = ops.reshape(ops.cast(values, "int32"), (-1,))
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        counts = tf.math.bincount(values, minlength=length, maxlength=length)
        return tf.ensure_shape(counts, (length,))
    if keras.backend.backend() == "jax":
        import jax

        return jax.numpy.bincount(values, length=length).astype("int32")
    import torch

    return torch.bincount(values, minlength=length).to(torch.int32)


def count_pairs(
    labels: Tensor,
    predicted: Tensor,
    num_classes: int,
    counted: Tensor | None = None,
) -> Tensor:
    """Counts how often each class was taken for each other.

    Args:
        labels: True classes, integers of any shape.
        predicted: Predicted classes of the same shape.
        num_classes: Number of classes.
        counted: Booleans of the same shape: which pairs take part. `None`:
            all.

    Returns:
        Tensor of shape `(num_classes**2 + 1,)`, int32: the rows of the
        confusion matrix, one for each true class, and in the end the number
        of pairs in which a class is out of range.
    """
    labels, predicted = ops.cast(labels, "int32"), ops.cast(predicted, "int32")
    in_range = ops.logical_and(
        _in_range(labels, num_classes), _in_range(predicted, num_classes)
    )
    cells = num_classes**2
    cell = ops.where(in_range, labels * num_classes + predicted, cells)
    if counted is not None:
        cell = ops.where(counted, cell, cells + 1)
    return count_values(cell, cells + 2)[:-1]


def _in_range(labels: Tensor, num_classes: int) -> Tensor:
    return ops.logical_and(labels >= 0, labels < num_classes)
