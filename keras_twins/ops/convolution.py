"""The 3 x 3 convolution that keeps the size of a map, on each backend.

Shape suffixes: B batch, H height, W width, C channels, F filters.
"""

import functools

import keras
import numpy as np
from keras import ops

from keras_twins.ops.fast_paths import fast_paths_enabled
from keras_twins.ops.fast_paths import runs_on_cpu
from keras_twins.ops.tensors import Tensor
from keras_twins.ops.winograd import winograd

_MIN_CHANNELS = 64
"""Narrower maps: Winograd's transforms cost more than the products saved."""

_MIN_GRADIENT_CHANNELS = 128
"""Narrower maps: copying them costs more than the faster gradient saves."""

_MAX_PATCH_BYTES = 2**29
"""What TensorFlow may need for the 3 x 3 patches of one image.

For more than 1 GiB oneDNN takes its reference code: minutes in place of
seconds. Half of it, as a gradient has two such matrices.
"""

_PART_CHANNELS = 512
"""Channels that one convolution takes in where the size is not known."""


def convolve_3x3(x_BHWC: Tensor, kernel_33CF: Tensor) -> Tensor:
    """Convolves a map with a 3 x 3 kernel; the size is kept.

    Fast paths, for wide maps on CPUs: Winograd's on JAX, in float32 and
    float64; parts of the channels on TensorFlow, for large maps; a gradient
    of the kernel with channels first on PyTorch.

    Args:
        x_BHWC: Map of shape `(batch, height, width, channels)`.
        kernel_33CF: Kernel of shape `(3, 3, channels, filters)`.

    Returns:
        Map of shape `(batch, height, width, filters)`.
    """
    x_BHWC = ops.convert_to_tensor(x_BHWC)
    if fast_paths_enabled():
        kernel = ops.convert_to_tensor(kernel_33CF)
        if keras.backend.backend() == "torch":
            return _torch_convolve(x_BHWC, kernel)
        if _is_worthwhile(x_BHWC, kernel):
            return winograd(x_BHWC, kernel)
        if _part_channels(x_BHWC) < x_BHWC.shape[-1]:
            return _by_channels(x_BHWC, kernel)
    return _plain(x_BHWC, kernel_33CF)


def _is_worthwhile(x_BHWC: Tensor, kernel_33CF: Tensor) -> bool:
    dtype = keras.backend.standardize_dtype(x_BHWC.dtype)
    wide = min(kernel_33CF.shape[2:]) >= _MIN_CHANNELS
    return (
        keras.backend.backend() == "jax"
        and wide
        and dtype in ("float32", "float64")
        and runs_on_cpu(x_BHWC)
    )


def _by_channels(x_BHWC: Tensor, kernel_33CF: Tensor) -> Tensor:
    """Adds up the convolutions of parts of the channels of a large map."""
    width = _part_channels(x_BHWC)
    parts = (
        _plain(
            x_BHWC[..., start : start + width],
            kernel_33CF[:, :, start : start + width],
        )
        for start in range(0, x_BHWC.shape[-1], width)
    )
    return functools.reduce(ops.add, parts)


def _plain(x_BHWC: Tensor, kernel_33CF: Tensor) -> Tensor:
    return ops.conv(x_BHWC, kernel_33CF, 1, "same", data_format="channels_last")


def _part_channels(x_BHWC: Tensor) -> int:
    """Returns how many channels one convolution takes in."""
    _, height, width, channels = x_BHWC.shape
    if keras.backend.backend() != "tensorflow":
        return channels
    if height is None or width is None:
        return min(channels, _PART_CHANNELS)
    bytes_per_channel = 9 * height * width * np.dtype("float32").itemsize
    return min(channels, max(1, _MAX_PATCH_BYTES // bytes_per_channel))


def _torch_convolve(x_BHWC: Tensor, kernel_33CF: Tensor) -> Tensor:
    """Convolves without the copies that Keras makes around PyTorch's own."""
    import torch

    if torch.is_grad_enabled() and _has_slow_gradient(x_BHWC, kernel_33CF):
        return _torch_fast_gradient(x_BHWC, kernel_33CF)
    return _torch_plain(x_BHWC, kernel_33CF)


def _torch_plain(x_BHWC: Tensor, kernel_33CF: Tensor) -> Tensor:
    import torch

    y_BFHW = torch.nn.functional.conv2d(
        x_BHWC.permute(0, 3, 1, 2),
        kernel_33CF.permute(3, 2, 0, 1),
        padding=1,
    )
    return y_BFHW.permute(0, 2, 3, 1)


def _has_slow_gradient(x_BHWC: Tensor, kernel_33CF: Tensor) -> bool:
    wide = min(kernel_33CF.shape[2:]) >= _MIN_GRADIENT_CHANNELS
    return wide and runs_on_cpu(x_BHWC) and kernel_33CF.requires_grad


@ops.custom_gradient
def _torch_fast_gradient(x_BHWC: Tensor, kernel_33CF: Tensor):
    """Convolves, with the kernel's gradient from maps of channels first.

    oneDNN takes about half the time for it there, copies included.
    """

    def gradients(x_BHWC: Tensor, kernel_33CF: Tensor, *, upstream: Tensor):
        x_BCHW = x_BHWC.permute(0, 3, 1, 2)
        dy_BFHW = upstream.permute(0, 3, 1, 2)
        kernel_FC33 = kernel_33CF.permute(3, 2, 0, 1)
        dx_BCHW, _, _ = _torch_backward(
            x_BCHW, dy_BFHW, kernel_FC33, of_map=True
        )
        _, dkernel_FC33, _ = _torch_backward(
            x_BCHW.contiguous(), dy_BFHW.contiguous(), kernel_FC33, of_map=False
        )
        return dx_BCHW.permute(0, 2, 3, 1), dkernel_FC33.permute(2, 3, 1, 0)

    return _torch_plain(x_BHWC, kernel_33CF), gradients


def _torch_backward(
    x_BCHW: Tensor, dy_BFHW: Tensor, kernel_FC33: Tensor, of_map: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the gradients of the map or of the kernel, `None` the others."""
    import torch

    ones = [1, 1]
    return torch.ops.aten.convolution_backward(
        dy_BFHW,
        x_BCHW,
        kernel_FC33,
        bias_sizes=None,
        stride=ones,
        padding=ones,
        dilation=ones,
        transposed=False,
        output_padding=[0, 0],
        groups=1,
        output_mask=[of_map, not of_map, False],
    )
