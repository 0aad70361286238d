"""Sums into the rows of a matrix."""

import keras

from keras_twins.ops.tensors import Tensor


def add_rows(x_NC: Tensor, index_M: Tensor, rows_MC: Tensor) -> Tensor:
    """Returns a matrix to some rows of which others are added.

    Made for loops that carry the matrix: it is not copied where the backend
    can do without, so the argument must not be used afterwards.

    Args:
        x_NC: Matrix of shape `(rows, columns)`.
        index_M: int32 rows of the matrix; they may repeat.
        rows_MC: What is added, of shape `(len(index_M), columns)`.

    Returns:
        Matrix of the same shape.
    """
    backend = keras.backend.backend()
    if backend == "torch":
        return x_NC.index_add_(0, index_M, rows_MC)
    if backend == "jax":
        return x_NC.at[index_M].add(rows_MC, mode="promise_in_bounds")
    import tensorflow as tf

    return tf.tensor_scatter_nd_add(x_NC, index_M[:, None], rows_MC)
