"""Gradient checkpointing that is right for random layers on each backend."""

from collections.abc import Callable

import keras

from keras_twins import ops
from keras_twins.ops import Tensor


def rematerialize(
    layer: keras.layers.Layer,
    forward: Callable[..., Tensor],
    inputs: Tensor,
) -> Tensor:
    """Calls `forward(inputs, training=True)`, recomputed for the gradient.

    `keras.remat` alone would draw new random numbers in the second run
    (TensorFlow, PyTorch), or leak traced seed states (JAX). So everything
    that `forward` reads is handed over as a value: weights, and the states of
    the seed generators, which advance outside.

    Args:
        layer: The layer whose variables `forward` reads.
        forward: Function of `inputs` and `training`.
        inputs: Tensor.

    Returns:
        The result of `forward`.
    """
    variables = list(layer.variables)
    values = [ops.read(variable) for variable in variables]
    states = [v for v in variables if _is_seed_state(v)]

    def run(x: Tensor, *current: Tensor) -> tuple[Tensor, ...]:
        mapping = list(zip(variables, current, strict=True))
        with keras.StatelessScope(state_mapping=mapping) as scope:
            y = forward(x, training=True)
        return (y, *(scope.get_current_value(state) for state in states))

    y, *advanced = keras.remat(run)(inputs, *values)
    for state, value in zip(states, advanced, strict=True):
        state.assign(value)
    return y


def _is_seed_state(variable: keras.Variable) -> bool:
    dtype = keras.backend.standardize_dtype(variable.dtype)
    # Of the backends: JAX, torch, TensorFlow. Quantized kernels are int8.
    seeds = ("uint32", "int32", "int64")
    return not variable.trainable and dtype in seeds
