"""Gradients on each backend, for tests only."""

from collections.abc import Callable
from collections.abc import Sequence

import keras
import numpy as np

from tests.tiny import to_numpy


def gradients_of(
    function: Callable, arguments: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Returns the gradients of `sum(cos(function(*arguments)))`."""

    def loss(*tensors):
        return keras.ops.sum(keras.ops.cos(function(*tensors)))

    return _BACKENDS[keras.backend.backend()](loss, arguments)


def weight_gradients(
    model: keras.Model, inputs: np.ndarray, training: bool = True
) -> dict[str, np.ndarray]:
    """Returns the gradient of `sum(cos(model(inputs)))` for each weight."""
    variables = model.trainable_variables
    others = model.non_trainable_variables

    if keras.backend.backend() == "jax":
        import jax

        def loss(values):
            y, _ = model.stateless_call(
                values, [v.value for v in others], inputs, training=training
            )
            return keras.ops.sum(keras.ops.cos(y))

        gradients = jax.jit(jax.grad(loss))([v.value for v in variables])
    elif keras.backend.backend() == "torch":
        model.zero_grad()
        y = model(inputs, training=training)
        keras.ops.sum(keras.ops.cos(y)).backward()
        gradients = [v.value.grad for v in variables]
    else:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            y = model(inputs, training=training)
            total = keras.ops.sum(keras.ops.cos(y))
        gradients = tape.gradient(total, [v.value for v in variables])
    pairs = zip(variables, gradients, strict=True)
    return {v.path: to_numpy(g) for v, g in pairs}


def _tensorflow(loss, arguments):
    import tensorflow as tf

    tensors = [tf.constant(a) for a in arguments]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = loss(*tensors)
    return [g.numpy() for g in tape.gradient(value, tensors)]


def _jax(loss, arguments):
    import jax

    everything = tuple(range(len(arguments)))
    return [np.asarray(g) for g in jax.grad(loss, everything)(*arguments)]


def _torch(loss, arguments):
    import torch

    tensors = [torch.tensor(a, requires_grad=True) for a in arguments]
    loss(*tensors).backward()
    return [t.grad.numpy() for t in tensors]


_BACKENDS = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
