"""Multi-head attention.

Shape suffixes: B batch, C channels, L queries, M keys, N heads, D width of a
head.
"""

from collections.abc import Callable

import keras
from keras import ops

from keras_twins.ops.fast_paths import fast_paths_enabled
from keras_twins.ops.tensors import Tensor
from keras_twins.ops.tensors import widened

MASKED_SCORE = -1000.0
"""Added to the scores of masked keys; `exp` of it is 0 in float32."""

_MAX_SCORES = 2**28
"""Most bytes of scores at once. Attention of large maps goes by parts of the
queries, one after the other: a map of 512 x 512 positions has scores of 9 GB.
"""

_CUDA_GRID = 2**16 - 1
"""Most heads of all windows that PyTorch's CUDA kernels take in one call."""


def attend(
    query_BLC: Tensor,
    key_BMC: Tensor,
    value_BMC: Tensor,
    num_heads: int,
    key_mask_BM: Tensor | None = None,
    dropout: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Multi-head scaled dot-product attention, softmax in float32.

    The fast paths take neither masks nor dropout: PyTorch's fused kernel, and
    on JAX a gradient that keeps little.

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
    if fast_paths_enabled() and key_mask_BM is None and dropout is None:
        x_BLC = _fast_attend(query_BLC, key_BMC, value_BMC, num_heads)
        if x_BLC is not None:
            return x_BLC
    return _plain_attend(
        query_BLC, key_BMC, value_BMC, num_heads, key_mask_BM, dropout
    )


def _plain_attend(
    query_BLC: Tensor,
    key_BMC: Tensor,
    value_BMC: Tensor,
    num_heads: int,
    key_mask_BM: Tensor | None = None,
    dropout: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    query_BNLD, key_BNDM, value_BNMD = _operands(
        query_BLC, key_BMC, value_BMC, num_heads
    )
    dtype = keras.backend.standardize_dtype(query_BLC.dtype)
    scores_BNLM = widened(ops.matmul(query_BNLD, key_BNDM))
    if key_mask_BM is not None:
        mask = ops.cast(key_mask_BM[:, None, None, :], scores_BNLM.dtype)
        scores_BNLM = scores_BNLM + (1.0 - mask) * MASKED_SCORE
    weights_BNLM = ops.cast(_softmax(scores_BNLM), dtype)
    if dropout is not None:
        weights_BNLM = dropout(weights_BNLM)
    return _join_heads(ops.matmul(weights_BNLM, value_BNMD))


def _operands(
    query_BLC: Tensor, key_BMC: Tensor, value_BMC: Tensor, num_heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the factors of the products: scaled, by heads, in order."""
    return (
        _split_heads(query_BLC * _scale(query_BLC, num_heads), num_heads),
        _split_heads(key_BMC, num_heads, axes=(0, 2, 3, 1)),
        _split_heads(value_BMC, num_heads),
    )


def _scale(x_BLC: Tensor, num_heads: int) -> float:
    return (x_BLC.shape[-1] // num_heads) ** -0.5


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


def _join_heads(x_BNLD: Tensor) -> Tensor:
    _, heads, length, width = ops.shape(x_BNLD)
    x_BLND = ops.transpose(x_BNLD, (0, 2, 1, 3))
    return ops.reshape(x_BLND, (-1, length, heads * width))


def _fast_attend(
    query_BLC: Tensor, key_BMC: Tensor, value_BMC: Tensor, num_heads: int
) -> Tensor | None:
    """Returns the attention in the backend's fast way, if there is one."""
    if keras.backend.backend() == "torch":
        return _torch_attend(query_BLC, key_BMC, value_BMC, num_heads)
    if keras.backend.backend() == "jax":
        return _jax_attend(query_BLC, key_BMC, value_BMC, num_heads)
    return _tensorflow_attend(query_BLC, key_BMC, value_BMC, num_heads)


def _tensorflow_attend(
    query_BLC: Tensor, key_BMC: Tensor, value_BMC: Tensor, num_heads: int
) -> Tensor | None:
    """Attends to one part of the queries after the other, if there are many."""
    import tensorflow as tf

    parts = _count_parts(query_BLC, key_BMC, num_heads)
    if parts == 1:
        return None
    x_PBLC = tf.map_fn(
        lambda part: _plain_attend(part, key_BMC, value_BMC, num_heads),
        _split_queries(query_BLC, parts),
        parallel_iterations=1,
        fn_output_signature=query_BLC.dtype,
    )
    return _join_queries(x_PBLC)


def _torch_attend(
    query_BLC: Tensor, key_BMC: Tensor, value_BMC: Tensor, num_heads: int
) -> Tensor | None:
    """Returns the attention by PyTorch's fused kernel, if it can be used."""
    import torch

    query_BLC = ops.convert_to_tensor(query_BLC)
    if query_BLC.is_cuda and query_BLC.shape[0] * num_heads > _CUDA_GRID:
        return None
    x_BNLD = torch.nn.functional.scaled_dot_product_attention(
        _split_heads(query_BLC, num_heads),
        _split_heads(key_BMC, num_heads),
        _split_heads(value_BMC, num_heads),
    )
    return x_BNLD.transpose(1, 2).reshape(query_BLC.shape)


def _jax_attend(
    query_BLC: Tensor, key_BMC: Tensor, value_BMC: Tensor, num_heads: int
) -> Tensor:
    """Attends to all queries, or to one part of them after the other.

    The gradient of a part computes its weights again.
    """
    import jax

    query_BLC = ops.convert_to_tensor(query_BLC)
    key_BMC = ops.convert_to_tensor(key_BMC)
    value_BMC = ops.convert_to_tensor(value_BMC)
    parts = _count_parts(query_BLC, key_BMC, num_heads)
    if parts == 1:
        return _jax_attend_at_once(query_BLC, key_BMC, value_BMC, num_heads)

    @jax.checkpoint
    def attend_part(part_BLC):
        return _jax_attend_at_once(part_BLC, key_BMC, value_BMC, num_heads)

    x_PBLC = jax.lax.map(attend_part, _split_queries(query_BLC, parts))
    return _join_queries(x_PBLC)


def _count_parts(query_BLC: Tensor, key_BMC: Tensor, num_heads: int) -> int:
    """Returns the least number of equal parts with few enough scores.

    An image's scores count: windows are many short sequences, whose queries
    are not worth parting.
    """
    length, keys = query_BLC.shape[1], key_BMC.shape[1]
    if not isinstance(length, int) or not isinstance(keys, int):
        return 1
    needed = -(-4 * num_heads * length * keys // _MAX_SCORES)
    return next(n for n in range(max(needed, 1), length + 1) if not length % n)


def _split_queries(query_BLC: Tensor, parts: int) -> Tensor:
    _, length, channels = query_BLC.shape
    shape = (-1, parts, length // parts, channels)
    return ops.transpose(ops.reshape(query_BLC, shape), (1, 0, 2, 3))


def _join_queries(x_PBLC: Tensor) -> Tensor:
    parts, _, length, channels = x_PBLC.shape
    x_BPLC = ops.transpose(x_PBLC, (1, 0, 2, 3))
    return ops.reshape(x_BPLC, (-1, parts * length, channels))


def _jax_attend_at_once(
    query_BLC: Tensor, key_BMC: Tensor, value_BMC: Tensor, num_heads: int
) -> Tensor:
    """Keeps the attention weights alone of what is as large as they are.

    Automatic differentiation on CPUs keeps the scores, their exponentials and
    broadcasts of their sums as well.
    """
    import jax

    @jax.custom_vjp
    def attend(*inputs):
        return forward(*inputs)[0]

    def forward(query_BLC, key_BMC, value_BMC):
        query_BNLD, key_BNDM, value_BNMD = _operands(
            query_BLC, key_BMC, value_BMC, num_heads
        )
        scores_BNLM = widened(ops.matmul(query_BNLD, key_BNDM))
        weights_BNLM = ops.cast(_softmax(scores_BNLM), query_BLC.dtype)
        x_BLC = _join_heads(ops.matmul(weights_BNLM, value_BNMD))
        return x_BLC, (query_BNLD, key_BNDM, value_BNMD, weights_BNLM)

    def backward(kept, dx_BLC):
        query_BNLD, key_BNDM, value_BNMD, weights_BNLM = kept
        dx_BNLD = _split_heads(dx_BLC, num_heads)
        dweights_BNLM = ops.matmul(dx_BNLD, ops.swapaxes(value_BNMD, -1, -2))
        product_BNLM = widened(weights_BNLM) * widened(dweights_BNLM)
        total_BNL1 = ops.sum(product_BNLM, axis=-1, keepdims=True)
        dscores_BNLM = ops.cast(
            product_BNLM - weights_BNLM * total_BNL1, query_BNLD.dtype
        )
        dquery_BNLD = ops.matmul(dscores_BNLM, ops.swapaxes(key_BNDM, -1, -2))
        dkey_BNMD = ops.matmul(ops.swapaxes(dscores_BNLM, -1, -2), query_BNLD)
        dvalue_BNMD = ops.matmul(ops.swapaxes(weights_BNLM, -1, -2), dx_BNLD)
        return (
            _join_heads(dquery_BNLD) * _scale(dx_BLC, num_heads),
            _join_heads(dkey_BNMD),
            _join_heads(dvalue_BNMD),
        )

    attend.defvjp(forward, backward)
    return attend(query_BLC, key_BMC, value_BMC)
