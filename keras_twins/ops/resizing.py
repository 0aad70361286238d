"""Maps of another size, as the originals make them.

Shape suffixes: B batch, H height, W width, C channels, h and w the new height
and width.
"""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_twins.ops.maps import crop
from keras_twins.ops.maps import spatial_size
from keras_twins.ops.tensors import Size
from keras_twins.ops.tensors import Tensor


def resize_bilinear(x_BHWC: Tensor, height: Size, width: Size) -> Tensor:
    """Resizes maps bilinearly, without antialiasing.

    Corners are not aligned: the centre of position `i` is at `i + 0.5`, as in
    PyTorch's `interpolate(align_corners=False)`.

    Args:
        x_BHWC: Maps of shape `(batch, height, width, channels)`.
        height: New height in positions.
        width: New width in positions.

    Returns:
        Maps of shape `(batch, height, width, channels)`, of the same dtype.
    """
    x_BHWC = ops.convert_to_tensor(x_BHWC)
    if _has_size(x_BHWC, height, width):
        return x_BHWC
    backend = keras.backend.backend()
    if backend == "torch":
        return _torch_interpolate(x_BHWC, height, width, "bilinear")
    if backend == "jax":
        import jax

        shape = (x_BHWC.shape[0], height, width, x_BHWC.shape[3])
        return jax.image.resize(x_BHWC, shape, "bilinear", antialias=False)
    import tensorflow as tf

    resized = tf.image.resize(x_BHWC, (height, width), "bilinear")
    return tf.cast(resized, x_BHWC.dtype)


def resize_nearest(x_BHWC: Tensor, height: Size, width: Size) -> Tensor:
    """Resizes maps by repetition: position `i` takes `floor(i * old / new)`.

    That is PyTorch's rule; Keras's takes the nearest centre.

    Args:
        x_BHWC: Maps of shape `(batch, height, width, channels)`.
        height: New height in positions.
        width: New width in positions.

    Returns:
        Maps of shape `(batch, height, width, channels)`, of the same dtype.
    """
    x_BHWC = ops.convert_to_tensor(x_BHWC)
    if _has_size(x_BHWC, height, width):
        return x_BHWC
    backend = keras.backend.backend()
    if backend == "torch":
        return _torch_interpolate(x_BHWC, height, width, "nearest")
    if backend == "jax":
        return _repeat(_repeat(x_BHWC, height, 1), width, 2)
    import tensorflow as tf

    return tf.compat.v1.image.resize_nearest_neighbor(x_BHWC, (height, width))


def adaptive_average_pool(x_BHWC: Tensor, bins: int) -> Tensor:
    """Returns the means over a grid of bins that may overlap.

    Bin `i` goes from `floor(i * size / bins)` up to
    `ceil((i + 1) * size / bins)`, as in PyTorch. Computed as two matrix
    products.

    Args:
        x_BHWC: Maps of shape `(batch, height, width, channels)`.
        bins: Height and width of the grid.

    Returns:
        Maps of shape `(batch, bins, bins, channels)`.
    """
    x_BHWC = ops.convert_to_tensor(x_BHWC)
    height, width = spatial_size(x_BHWC)
    channels = x_BHWC.shape[-1]
    dtype = keras.backend.standardize_dtype(x_BHWC.dtype)
    rows = ops.convert_to_tensor(_bin_weights(height, bins), dtype)
    columns = ops.convert_to_tensor(_bin_weights(width, bins), dtype)
    # Keras' matmul gives float32 for float64 on PyTorch; the operator does not.
    x = rows @ ops.reshape(x_BHWC, (-1, height, width * channels))
    x = columns @ ops.reshape(x, (-1, width, channels))
    return ops.reshape(x, (-1, bins, bins, channels))


def _bin_weights(size: Size, bins: int) -> Any:
    """Returns the matrix of shape `(bins, size)` that takes the means."""
    library = np if isinstance(size, int) else ops
    index = np.arange(bins)[:, None]
    first = index * size // bins
    last = ((index + 1) * size + bins - 1) // bins
    position = library.arange(size)[None, :]
    inside = library.logical_and(position >= first, position < last)
    if library is np:
        return inside / (last - first)
    return ops.cast(inside, "float32") / ops.cast(last - first, "float32")


def _has_size(x_BHWC: Tensor, height: Size, width: Size) -> bool:
    # Sizes that are known to the graph only are no ints.
    if not isinstance(height, int) or not isinstance(width, int):
        return False
    return tuple(x_BHWC.shape[1:3]) == (height, width)


def _torch_interpolate(
    x_BHWC: Tensor, height: Size, width: Size, mode: str
) -> Tensor:
    import torch

    x_BhwC = torch.nn.functional.interpolate(
        x_BHWC.permute(0, 3, 1, 2),
        (height, width),
        mode=mode,
        align_corners=False if mode == "bilinear" else None,
    )
    return x_BhwC.permute(0, 2, 3, 1)


def _repeat(x_BHWC: Tensor, new: int, axis: int) -> Tensor:
    """Resizes one axis; by copies where each position has two."""
    old = x_BHWC.shape[axis]
    if new in (2 * old - 1, 2 * old):
        doubled = ops.repeat(x_BHWC, 2, axis=axis)
        height, width = spatial_size(doubled)
        sizes = (new, width) if axis == 1 else (height, new)
        return crop(doubled, *sizes)
    return ops.take(x_BHWC, np.arange(new) * old // new, axis=axis)
