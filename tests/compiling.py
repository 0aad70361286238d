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


def slow_on(backend: str) -> pytest.MarkDecorator | Callable:
    """Returns the marker `slow` where Keras runs on a backend."""
    if keras.backend.backend() == backend:
        return pytest.mark.slow
    return lambda function: function


def call_compiled(function: Callable, inputs):
    """Returns `function(inputs)`; JAX compiles it as a whole.

    Else JAX compiles every operation by itself, which takes ten times as
    long. A layer must be built, and change no variable.
    """
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(lambda x: function(x))(inputs)
    return function(inputs)
