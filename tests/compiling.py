"""Compilers of each backend, for tests only."""

from collections.abc import Callable
from collections.abc import Iterator

import keras
import pytest


def compiled(function: Callable) -> Iterator[Callable]:
    """Yields a function of tensors as each compiler makes it."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        yield jax.jit(function)
    elif backend == "tensorflow":
        import tensorflow as tf

        yield tf.function(function)
        yield tf.function(function, jit_compile=True)


def build_optimizer(model: keras.Model) -> None:
    """Makes the optimizer's variables, so that TensorFlow traces only once.

    A graph that makes variables is not the one that it keeps.
    """
    model.optimizer.build(model.trainable_variables)


def slow_on(backend: str) -> pytest.MarkDecorator:
    """Returns the marker `slow` where Keras runs on a backend."""
    if keras.backend.backend() == backend:
        return pytest.mark.slow
    return pytest.mark.skipif(False, reason="it is quick here")


def slow_but_on(backend: str) -> pytest.MarkDecorator:
    """Returns the marker `slow` where Keras does not run on a backend."""
    if keras.backend.backend() != backend:
        return pytest.mark.slow
    return pytest.mark.skipif(False, reason="it is quick here")


def call_compiled(function: Callable, inputs):
    """Returns `function(inputs)`; JAX compiles it as a whole.

    Else JAX compiles every operation by itself, which takes ten times as
    long. A layer must be built; there, its variables stay as they are.
    """
    if keras.backend.backend() != "jax":
        return function(inputs)
    import jax

    def stateless(x):
        with keras.StatelessScope():
            return function(x)

    return jax.jit(stateless)(inputs)
