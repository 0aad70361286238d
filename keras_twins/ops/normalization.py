"""Layer normalization, and the moments of batches.

Shape suffixes: T all positions, C channels, P processes.
"""

import keras
from keras import ops

from keras_twins.ops.fast_paths import fast_paths_enabled
from keras_twins.ops.tensors import Tensor
from keras_twins.ops.tensors import widened


def layer_norm(
    x: Tensor, gamma_C: Tensor, beta_C: Tensor, epsilon: float
) -> Tensor:
    """Normalizes over the last axis, in float32.

    The fast path is for the gradient on JAX on CPUs.

    Args:
        x: Tensor of shape `(..., channels)`.
        gamma_C: Scale of shape `(channels,)`.
        beta_C: Shift of shape `(channels,)`.
        epsilon: Added to the variance.

    Returns:
        Tensor of the same shape and dtype as `x`.
    """
    if fast_paths_enabled() and keras.backend.backend() == "jax":
        import jax

        if jax.default_backend() == "cpu":
            return _jax_layer_norm(
                ops.convert_to_tensor(x),
                ops.convert_to_tensor(gamma_C),
                ops.convert_to_tensor(beta_C),
                epsilon,
            )
    y = ops.layer_normalization(x, gamma_C, beta_C, -1, epsilon)
    return ops.cast(y, x.dtype)


def _jax_layer_norm(
    x: Tensor, gamma_C: Tensor, beta_C: Tensor, epsilon: float
) -> Tensor:
    """Keeps the input and two numbers a position for the gradient.

    Automatic differentiation keeps several maps and broadcasts. New memory
    costs XLA on CPUs more time than the arithmetic.
    """
    import jax

    @jax.custom_vjp
    def normalize(x, gamma_C, beta_C):
        return forward(x, gamma_C, beta_C)[0]

    def forward(x, gamma_C, beta_C):
        x_wide = widened(x)
        mean = ops.mean(x_wide, axis=-1, keepdims=True)
        centred = x_wide - mean
        variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
        scale = ops.rsqrt(variance + epsilon)
        y = centred * scale * gamma_C + beta_C
        return ops.cast(y, x.dtype), (x, gamma_C, beta_C, mean, scale)

    def backward(kept, dy):
        # Else XLA would keep what the forward pass computes of them.
        kept, dy = jax.lax.optimization_barrier((kept, dy))
        x, gamma_C, _, mean, scale = kept
        channels = x.shape[-1]
        gradients = _gradients(
            ops.reshape(widened(x), (-1, channels)),
            ops.reshape(widened(dy), (-1, channels)),
            widened(gamma_C),
            ops.reshape(mean, (-1, 1)),
            ops.reshape(scale, (-1, 1)),
        )
        return tuple(
            ops.cast(ops.reshape(gradient, t.shape), t.dtype)
            for gradient, t in zip(gradients, kept[:3], strict=True)
        )

    normalize.defvjp(forward, backward)
    return normalize(x, gamma_C, beta_C)


def _gradients(
    x_TC: Tensor,
    dy_TC: Tensor,
    gamma_C: Tensor,
    mean_T1: Tensor,
    scale_T1: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the gradients of `x`, `gamma` and `beta`."""
    import jax

    normal_TC = (x_TC - mean_T1) * scale_T1
    product_TC = dy_TC * normal_TC
    # The means over channels, weighted by gamma, as matrix products.
    gamma_C1 = gamma_C[:, None] / gamma_C.shape[0]
    shift_T1, slope_T1 = (
        jax.numpy.matmul(t, gamma_C1, precision="highest")
        for t in (dy_TC, product_TC)
    )
    dx_TC = scale_T1 * (dy_TC * gamma_C - shift_T1 - normal_TC * slope_T1)
    return dx_TC, ops.sum(product_TC, axis=0), ops.sum(dy_TC, axis=0)


def moments_of_processes(
    mean_C: Tensor, variance_C: Tensor, inputs: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Returns the moments of a batch that torch processes have parts of.

    On the other backends, a batch that is distributed has its own moments
    already. The gradient goes through all processes.

    Args:
        mean_C: Mean of this process's part, of shape `(channels,)`.
        variance_C: Its variance, of the same shape.
        inputs: The part, of shape `(batch, ..., channels)`.
        mask: Which of its positions count, of shape `(batch, ...)`; `None`
            for all.

    Returns:
        Mean and variance of the whole; those given where there is one process.
    """
    if not _has_processes() or inputs.is_meta:
        return mean_C, variance_C
    import torch

    count = inputs.numel() / mean_C.numel() if mask is None else ops.sum(mask)
    count_1 = torch.ones_like(mean_C[:1]) * count
    own = torch.cat([mean_C, variance_C, count_1])
    means_PC, variances_PC, counts_P1 = torch.split(
        _of_all_processes(own), [len(mean_C), len(mean_C), 1], dim=1
    )
    share_P1 = counts_P1 / counts_P1.sum()
    mean_C = (share_P1 * means_PC).sum(dim=0)
    # Never negative, unlike the mean of squares less the square of the mean.
    spread_PC = variances_PC + torch.square(means_PC - mean_C)
    return mean_C, (share_P1 * spread_PC).sum(dim=0)


def _has_processes() -> bool:
    """Returns whether torch processes train together."""
    if keras.backend.backend() != "torch":
        return False
    import torch.distributed as dist

    return (
        dist.is_available()
        and dist.is_initialized()
        and dist.get_world_size() > 1
    )


def _of_all_processes(own: Tensor) -> Tensor:
    """Returns the vectors of all processes, one a row, in each of them."""
    import torch
    import torch.distributed as dist

    class Gather(torch.autograd.Function):
        @staticmethod
        def forward(ctx, own):
            rows = own.new_zeros((dist.get_world_size(), *own.shape))
            rows[dist.get_rank()] = own
            dist.all_reduce(rows)
            return rows

        @staticmethod
        def backward(ctx, gradients):
            # Each process has a loss of its own, which depends on all rows.
            total = gradients.clone(memory_format=torch.contiguous_format)
            dist.all_reduce(total)
            return total[dist.get_rank()]

    return Gather.apply(own)
