"""The depthwise convolution of the position encoding.

Shape suffixes: B batch, H height, W width, C channels.
"""

import keras
from keras import ops

from keras_twins.ops import maps
from keras_twins.ops.fast_paths import fast_paths_enabled
from keras_twins.ops.tensors import Tensor
from keras_twins.ops.tensors import widened


def add_depthwise(x_BHWC: Tensor, kernel: Tensor, bias_C: Tensor) -> Tensor:
    """Adds a depthwise convolution of a map, size kept, to the map.

    Args:
        x_BHWC: Map of shape `(batch, height, width, channels)`.
        kernel: Kernel of shape `(k, k, channels, 1)`, `k` odd.
        bias_C: Bias of shape `(channels,)`.

    Returns:
        Map of shape `(batch, height, width, channels)`.
    """
    backend = keras.backend.backend()
    if fast_paths_enabled() and backend == "torch":
        return ops.add(x_BHWC, _torch_depthwise(x_BHWC, kernel, bias_C))
    if fast_paths_enabled() and backend == "jax":
        return _jax_add_depthwise(
            x_BHWC, ops.convert_to_tensor(kernel), ops.convert_to_tensor(bias_C)
        )
    convolved_BHWC = ops.depthwise_conv(
        x_BHWC, kernel, padding="same", data_format="channels_last"
    )
    # In this order: TensorFlow 2.21 takes convolution + bias + map for one
    # operation that it does not have, and then optimises nothing at all.
    return ops.add(ops.add(x_BHWC, bias_C), convolved_BHWC)


def _torch_depthwise(x_BHWC: Tensor, kernel: Tensor, bias_C: Tensor) -> Tensor:
    """Convolves without the copies that Keras makes around PyTorch's own."""
    import torch

    # (k, k, C, 1) -> (C, 1, k, k); the map is read as it lies in memory.
    weight = ops.convert_to_tensor(kernel).permute(2, 3, 0, 1)
    x_BCHW = torch.nn.functional.conv2d(
        x_BHWC.permute(0, 3, 1, 2),
        weight,
        ops.convert_to_tensor(bias_C),
        padding=kernel.shape[0] // 2,
        groups=x_BHWC.shape[-1],
    )
    return x_BCHW.permute(0, 2, 3, 1)


def _jax_add_depthwise(
    x_BHWC: Tensor, kernel: Tensor, bias_C: Tensor
) -> Tensor:
    """Sums shifted and scaled maps, which XLA fuses into one pass.

    Automatic differentiation would give sums of padded maps, which XLA walks
    through nine times.
    """
    import jax

    @jax.custom_vjp
    def add(x_BHWC, kernel, bias_C):
        return x_BHWC + bias_C + _sum_of_shifts(x_BHWC, kernel)

    def forward(x_BHWC, kernel, bias_C):
        return add(x_BHWC, kernel, bias_C), (x_BHWC, kernel)

    def backward(kept, dy_BHWC):
        x_BHWC, kernel = kept
        flipped = ops.flip(kernel, (0, 1))
        dx_BHWC = dy_BHWC + _sum_of_shifts(dy_BHWC, flipped)
        return dx_BHWC, *_weight_gradients(x_BHWC, dy_BHWC, kernel)

    add.defvjp(forward, backward)
    return add(x_BHWC, kernel, bias_C)


def _sum_of_shifts(x_BHWC: Tensor, kernel: Tensor) -> Tensor:
    side = kernel.shape[0]
    terms = [
        shifted_BHWC * kernel[i // side, i % side, :, 0]
        for i, shifted_BHWC in enumerate(_shifts(x_BHWC, side))
    ]
    return sum(terms[1:], start=terms[0])


def _weight_gradients(
    x_BHWC: Tensor, dy_BHWC: Tensor, kernel: Tensor
) -> tuple[Tensor, Tensor]:
    # Half precisions have no room for sums over all positions.
    dy_BHWC = widened(dy_BHWC)
    sums = [
        ops.sum(widened(shifted_BHWC) * dy_BHWC, axis=(0, 1, 2))
        for shifted_BHWC in _shifts(x_BHWC, kernel.shape[0])
    ]
    dkernel = ops.reshape(ops.stack(sums), kernel.shape)
    dbias_C = ops.sum(dy_BHWC, axis=(0, 1, 2))
    return ops.cast(dkernel, kernel.dtype), ops.cast(dbias_C, kernel.dtype)


def _shifts(x_BHWC: Tensor, side: int) -> list[Tensor]:
    """Returns the map as each element of a kernel sees it, row by row."""
    height, width = maps.spatial_size(x_BHWC)
    pad = [side // 2, side // 2]
    padded = ops.pad(x_BHWC, [[0, 0], pad, pad, [0, 0]])
    return [
        padded[:, i : i + height, j : j + width, :]
        for i in range(side)
        for j in range(side)
    ]
