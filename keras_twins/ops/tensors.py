"""What a tensor is here, and how the value of a variable is read."""

from typing import Any

import keras
from keras import ops

Tensor = Any
"""A tensor of the running backend, or a `keras.KerasTensor`."""

Shape = tuple[Any, ...]
"""Sizes of a tensor's axes: an `int`, or `None` where it is unknown."""

Size = Any
"""An `int` when it is known, else a scalar integer tensor."""


def widened(x: Tensor) -> Tensor:
    """Returns a tensor in float32, or as it is if that is wider.

    Args:
        x: Tensor of floating dtype.

    Returns:
        Tensor of the same shape.
    """
    half = keras.backend.standardize_dtype(x.dtype) in ("float16", "bfloat16")
    return ops.cast(x, "float32") if half else x


def read(variable: keras.Variable) -> Tensor:
    """Returns the value that a variable has now.

    Args:
        variable: A Keras variable.

    Returns:
        A tensor that later assignments do not change, in the dtype of the
        running policy. Weights are not copied.
    """
    value = variable.value
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.convert_to_tensor(value)
    # PyTorch assigns in place. Only states change during a forward pass.
    return value if variable.trainable else ops.copy(value)


def has_replicas() -> bool:
    """Returns whether a strategy of `tf.distribute` is in scope."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return tf.distribute.has_strategy()


def share_of_replica(loss: Tensor) -> Tensor:
    """Returns what a replica adds to a loss, so that the sum is the mean.

    Args:
        loss: Loss of the replica's part of a batch.

    Returns:
        The loss over the number of replicas of a strategy of `tf.distribute`,
        which adds up their gradients; the loss where there is none.
    """
    if not has_replicas():
        return loss
    import tensorflow as tf

    return loss / float(tf.distribute.get_strategy().num_replicas_in_sync)


def compiles_open_sizes() -> bool:
    """Returns whether the compiler takes images of sizes it does not know.

    JAX compiles a program for every size that comes; XLA under TensorFlow
    does not know what a graph of open sizes stands for.
    """
    return keras.backend.backend() != "tensorflow"


def runs_at_once() -> bool:
    """Returns whether operations run when they are called.

    Then a branch that is not taken costs nothing. Elsewhere each branch is
    compiled, and has static shapes.
    """
    if keras.backend.backend() != "torch":
        return False
    import torch

    return not torch.compiler.is_compiling()
