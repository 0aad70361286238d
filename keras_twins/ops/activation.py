"""The activation of Twins."""

import keras
from keras import ops

from keras_twins.ops.fast_paths import fast_paths_enabled
from keras_twins.ops.tensors import Tensor
from keras_twins.ops.tensors import widened


def gelu(x: Tensor) -> Tensor:
    """Returns the exact (erf) GELU, element by element.

    Args:
        x: Tensor of any shape and floating dtype.

    Returns:
        Tensor of the same shape and dtype.
    """
    backend = keras.backend.backend()
    if backend == "torch":
        return keras.activations.gelu(x, approximate=False)
    dtype = keras.backend.standardize_dtype(x.dtype)
    # Half precisions have no room for the tail of 1 + erf.
    wide = widened(x)
    if backend == "jax" and not fast_paths_enabled():
        # JAX's erf exports as a composite that TensorFlow cannot read; with
        # Keras' own form, which becomes erfc, it is 1.6 times slower.
        return ops.cast(keras.activations.gelu(wide, approximate=False), dtype)
    if backend == "jax":
        import jax

        # Keeps nothing but the input for the gradient: XLA would keep erf
        # as well, and new memory costs it more time than the arithmetic.
        return ops.cast(jax.checkpoint(_gelu)(wide), dtype)
    # Keras' own form becomes Erfc on TensorFlow too, which ONNX converters
    # do not know and which no kernel fuses.
    return ops.cast(_gelu(wide), dtype)


def _gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1.0 + ops.erf(x * 2.0**-0.5))
