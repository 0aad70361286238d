"""Pure tensor functions and the only branches on the backend.

Shape suffixes: B batch, H height, W width, C channels, p side of a patch or
window, h and w number of patches or windows along H and W, G windows of the
whole batch (B * h * w), L queries, M keys, N heads, D width of a head.
"""

from collections.abc import Callable
from typing import Any
from typing import Literal

import keras
from keras import ops

Tensor = Any
"""A tensor of the running backend, or a `keras.KerasTensor`."""

Shape = tuple[Any, ...]
"""Sizes of a tensor's axes: an `int`, or `None` where it is unknown."""

Size = Any
"""An `int` when it is known, else a scalar integer tensor."""

MASKED_SCORE = -1000.0
"""Added to the scores of masked keys; `exp` of it is 0 in float32."""


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


def spatial_size(x_BHWC: Tensor) -> tuple[Size, Size]:
    """Returns the height and width of a map.

    Args:
        x_BHWC: Map of shape `(batch, height, width, channels)`.

    Returns:
        Height and width, each an `int` where it is static.
    """
    shape = ops.shape(x_BHWC)
    return shape[1], shape[2]


def require_min_size(x_BHWC: Tensor, minimum: int, owner: str) -> Tensor:
    """Returns the map, or raises if it is smaller than `minimum`.

    Args:
        x_BHWC: Map of shape `(batch, height, width, channels)`.
        minimum: Smallest height and width in positions.
        owner: Who asks, for the message.

    Returns:
        The same map. In a TensorFlow graph of dynamic size, the check runs
        with the graph.

    Raises:
        ValueError: If height or width is below `minimum`.
    """
    check_min_size(x_BHWC.shape[1], x_BHWC.shape[2], minimum, owner)
    dynamic = None in tuple(x_BHWC.shape[1:3])
    if dynamic and keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        check = tf.debugging.assert_greater_equal(
            tf.reduce_min(tf.shape(x_BHWC)[1:3]),
            minimum,
            message=f"{owner} needs maps of at least {minimum}x{minimum}.",
        )
        # A graph orders the check by control dependency, eager code by line.
        with tf.control_dependencies([] if check is None else [check]):
            return tf.identity(x_BHWC)
    return x_BHWC


def check_min_size(
    height: int | None, width: int | None, minimum: int, owner: str
) -> None:
    """Raises if a known height or width is below `minimum`.

    Args:
        height: Height in positions, `None` if unknown.
        width: Width in positions, `None` if unknown.
        minimum: Smallest height and width in positions.
        owner: Who asks, for the message.

    Raises:
        ValueError: If height or width is below `minimum`.
    """
    # JAX exports with symbolic sizes, which cannot be compared.
    known = [size for size in (height, width) if isinstance(size, int)]
    if any(size < minimum for size in known):
        raise ValueError(
            f"{owner} needs maps of at least {minimum}x{minimum} positions. "
            f"Received: height={height}, width={width}. Use larger images "
            "(the published models need at least 32x32 pixels), or a smaller "
            "`sr_ratio` or patch size."
        )


def pad_to_multiple(x_BHWC: Tensor, multiple: int) -> Tensor:
    """Pads a map with zeros at the bottom and right.

    Args:
        x_BHWC: Map of shape `(batch, height, width, channels)`.
        multiple: Height and width become the next multiple of it.

    Returns:
        The padded map; the same tensor if nothing is missing.
    """
    height, width = spatial_size(x_BHWC)
    bottom, right = -height % multiple, -width % multiple
    static = isinstance(bottom, int) and isinstance(right, int)
    if static and bottom == right == 0:
        return x_BHWC
    return ops.pad(x_BHWC, [[0, 0], [0, bottom], [0, right], [0, 0]])


def crop(x_BHWC: Tensor, height: Size, width: Size) -> Tensor:
    """Returns the top left part of a map.

    Args:
        x_BHWC: Map of shape `(batch, height, width, channels)`.
        height: Height to keep, in positions.
        width: Width to keep, in positions.

    Returns:
        Map of shape `(batch, height, width, channels)`.
    """
    if x_BHWC.shape[1] == height and x_BHWC.shape[2] == width:
        return x_BHWC
    return x_BHWC[:, :height, :width, :]


def crop_to_multiple(x_BHWC: Tensor, multiple: int) -> Tensor:
    """Drops the last rows and columns that do not fill a multiple.

    Args:
        x_BHWC: Map of shape `(batch, height, width, channels)`.
        multiple: Height and width become the last multiple of it.

    Returns:
        The cropped map.
    """
    height, width = spatial_size(x_BHWC)
    return crop(x_BHWC, height - height % multiple, width - width % multiple)


def partition_windows(x_BHWC: Tensor, p: int) -> Tensor:
    """Cuts a map into windows: `b (h p) (w q) c -> (b h w) (p q) c`.

    Args:
        x_BHWC: Map of shape `(batch, height, width, channels)` whose height
            and width are multiples of `p`.
        p: Side of a window in positions.

    Returns:
        Tensor of shape `(batch * windows, p * p, channels)`.
    """
    x_RpwK = _columns_to_windows(x_BHWC, p)
    return ops.reshape(x_RpwK, (-1, p * p, x_BHWC.shape[-1]))


def merge_windows(x_GLC: Tensor, p: int, height: Size, width: Size) -> Tensor:
    """Undoes `partition_windows`.

    Args:
        x_GLC: Tensor of shape `(batch * windows, p * p, channels)`.
        p: Side of a window in positions.
        height: Height of the map, a multiple of `p`.
        width: Width of the map, a multiple of `p`.

    Returns:
        Map of shape `(batch, height, width, channels)`.
    """
    channels = x_GLC.shape[-1]
    # 4-D transposes only: deployment formats run 5-D ones slowly or not.
    x = ops.reshape(x_GLC, (-1, width // p, p, p * channels))
    x = ops.transpose(x, (0, 2, 1, 3))
    return ops.reshape(x, (-1, height, width, channels))


def _columns_to_windows(x_BHWC: Tensor, p: int) -> Tensor:
    """Returns `(B * h, w, p, p * C)`: each window's rows side by side."""
    _, width = spatial_size(x_BHWC)
    x = ops.reshape(x_BHWC, (-1, p, width // p, p * x_BHWC.shape[-1]))
    return ops.transpose(x, (0, 2, 1, 3))


def convolve_patches(
    x_BHWC: Tensor, kernel: Tensor, bias: Tensor | None
) -> Tensor:
    """Convolves with stride equal to the kernel's side, as one matmul.

    Rows and columns that do not fill a patch are dropped (VALID).

    Args:
        x_BHWC: Map of shape `(batch, height, width, channels)`.
        kernel: Kernel of shape `(p, p, channels, filters)`.
        bias: Bias of shape `(filters,)`, or `None`.

    Returns:
        Map of shape `(batch, height // p, width // p, filters)`.
    """
    p, _, channels, filters = kernel.shape
    height, width = spatial_size(x_BHWC)
    x_BHWC = crop_to_multiple(x_BHWC, p)
    patches = ops.reshape(
        _columns_to_windows(x_BHWC, p),
        (-1, height // p, width // p, p * p * channels),
    )
    x = ops.matmul(patches, ops.reshape(kernel, (p * p * channels, filters)))
    return x if bias is None else ops.add(x, bias)


def add_depthwise(
    x_BHWC: Tensor,
    kernel: Tensor,
    bias: Tensor,
    method: Literal["auto", "convolution", "shifts"] = "auto",
) -> Tensor:
    """Adds a depthwise convolution of a map, size kept, to the map.

    Args:
        x_BHWC: Map of shape `(batch, height, width, channels)`.
        kernel: Kernel of shape `(k, k, channels, 1)`, `k` odd.
        bias: Bias of shape `(channels,)`.
        method: `"convolution"`, or `"shifts"`: the sum of `k * k` shifted
            and scaled maps. `"auto"` takes what is fast on the backend:
            shifts on JAX and PyTorch, whose depthwise convolutions are slow
            for channels-last maps.

    Returns:
        Map of shape `(batch, height, width, channels)`.
    """
    if method == "auto":
        tensorflow = keras.backend.backend() == "tensorflow"
        method = "convolution" if tensorflow else "shifts"
    if method == "shifts":
        convolved = _sum_of_shifts(x_BHWC, kernel)
    else:
        convolved = ops.depthwise_conv(
            x_BHWC, kernel, padding="same", data_format="channels_last"
        )
    # In this order: TensorFlow 2.21 takes convolution + bias + map for one
    # operation that it does not have, and then optimises nothing at all.
    return ops.add(ops.add(x_BHWC, bias), convolved)


def _sum_of_shifts(x_BHWC: Tensor, kernel: Tensor) -> Tensor:
    side = kernel.shape[0]
    height, width = spatial_size(x_BHWC)
    pad = [side // 2, side // 2]
    padded = ops.pad(x_BHWC, [[0, 0], pad, pad, [0, 0]])
    terms = [
        padded[:, i : i + height, j : j + width, :] * kernel[i, j, :, 0]
        for i in range(side)
        for j in range(side)
    ]
    return sum(terms[1:], start=terms[0])


def gelu(x: Tensor) -> Tensor:
    """Returns the exact (erf) GELU, element by element.

    Args:
        x: Tensor of any shape and floating dtype.

    Returns:
        Tensor of the same shape and dtype.
    """
    if keras.backend.backend() == "torch":
        return keras.activations.gelu(x, approximate=False)
    dtype = keras.backend.standardize_dtype(x.dtype)
    # Half precisions have no room for the tail of 1 + erf.
    wide = ops.cast(x, keras.backend.result_type(dtype, "float32"))
    if keras.backend.backend() == "jax":
        # JAX's erf exports as a composite that TensorFlow cannot read.
        return ops.cast(keras.activations.gelu(wide, approximate=False), dtype)
    # Keras' own form becomes Erfc on TensorFlow, which ONNX converters do
    # not know and which no kernel fuses.
    return ops.cast(0.5 * wide * (1.0 + ops.erf(wide * 2.0**-0.5)), dtype)


def attend(
    query_BLC: Tensor,
    key_BMC: Tensor,
    value_BMC: Tensor,
    num_heads: int,
    key_mask_BM: Tensor | None = None,
    dropout: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Multi-head scaled dot-product attention, softmax in float32.

    Args:
        query_BLC: Queries of shape `(batch, queries, channels)`.
        key_BMC: Keys of shape `(batch, keys, channels)`.
        value_BMC: Values of shape `(batch, keys, channels)`.
        num_heads: Number of heads; channels are `(num_heads, head_dim)`.
        key_mask_BM: Tensor of shape `(batch, keys)`, 1 for keys that take
            part and 0 for those that do not. `None`: all take part.
        dropout: Applied to the attention weights.

    Returns:
        Tensor of shape `(batch, queries, channels)`.
    """
    head_dim = query_BLC.shape[-1] // num_heads
    query_BNLD = _split_heads(query_BLC * head_dim**-0.5, num_heads)
    key_BNDM = _split_heads(key_BMC, num_heads, axes=(0, 2, 3, 1))
    value_BNMD = _split_heads(value_BMC, num_heads)
    dtype = keras.backend.standardize_dtype(query_BLC.dtype)
    scores_BNLM = ops.cast(
        ops.matmul(query_BNLD, key_BNDM),
        keras.backend.result_type(dtype, "float32"),
    )
    if key_mask_BM is not None:
        mask = ops.cast(key_mask_BM[:, None, None, :], scores_BNLM.dtype)
        scores_BNLM = scores_BNLM + (1.0 - mask) * MASKED_SCORE
    weights_BNLM = ops.cast(_softmax(scores_BNLM), dtype)
    if dropout is not None:
        weights_BNLM = dropout(weights_BNLM)
    x_BNLD = ops.matmul(weights_BNLM, value_BNMD)
    x_BLND = ops.transpose(x_BNLD, (0, 2, 1, 3))
    return ops.reshape(x_BLND, ops.shape(query_BLC))


def _softmax(scores_BNLM: Tensor) -> Tensor:
    if scores_BNLM.shape[-1] == 1:
        # A lone key, as in images of 32 pixels, is no mistake, though Keras
        # warns of it. The difference keeps the gradient connected: zero.
        return ops.exp(scores_BNLM - scores_BNLM)
    return ops.softmax(scores_BNLM, axis=-1)


def _split_heads(
    x_BLC: Tensor,
    num_heads: int,
    axes: tuple[int, int, int, int] = (0, 2, 1, 3),
) -> Tensor:
    """Splits C into (N, D), then permutes (B, L, N, D) by `axes`."""
    _, length, channels = ops.shape(x_BLC)
    x_BLND = ops.reshape(x_BLC, (-1, length, num_heads, channels // num_heads))
    return ops.transpose(x_BLND, axes)
