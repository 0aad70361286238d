"""Compilers of each backend, for tests only."""

from collections.abc import Callable
from collections.abc import Iterator

import keras


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
