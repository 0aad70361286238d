"""Matrix products: projections of positions and of patches.

Shape suffixes: B batch, H height, W width, C channels, F filters or units,
T all positions of all maps (B * H * W), p side of a patch, K all values of a
patch (p * p * F).
"""

import keras
from keras import ops

from keras_twins.ops import maps
from keras_twins.ops.fast_paths import fast_paths_enabled
from keras_twins.ops.tensors import Tensor


def project(x: Tensor, kernel_CF: Tensor, bias_F: Tensor | None) -> Tensor:
    """Applies a dense layer to the last axis.

    The fast path multiplies two matrices, whatever the rank of `x`: only so
    TensorFlow and PyTorch add the bias within the product, and JAX forms the
    gradient of the kernel without transposing copies of maps.

    Args:
        x: Tensor of shape `(..., channels)`.
        kernel_CF: Kernel of shape `(channels, units)`.
        bias_F: Bias of shape `(units,)`, or `None`.

    Returns:
        Tensor of shape `(..., units)`.
    """
    if not fast_paths_enabled():
        y = ops.matmul(x, kernel_CF)
        return y if bias_F is None else ops.add(y, bias_F)
    x, kernel_CF = ops.convert_to_tensor(x), ops.convert_to_tensor(kernel_CF)
    channels, units = kernel_CF.shape
    y_TF = _affine(ops.reshape(x, (-1, channels)), kernel_CF, bias_F)
    if len(x.shape) == 2:
        return y_TF
    return ops.reshape(y_TF, (-1, *ops.shape(x)[1:-1], units))


def convolve_patches(
    x_BHWC: Tensor, kernel: Tensor, bias_F: Tensor | None
) -> Tensor:
    """Convolves with stride equal to the kernel's side.

    Rows and columns that do not fill a patch are dropped (VALID). The fast
    path is one matrix product.

    Args:
        x_BHWC: Map of shape `(batch, height, width, channels)`.
        kernel: Kernel of shape `(p, p, channels, filters)`.
        bias_F: Bias of shape `(filters,)`, or `None`.

    Returns:
        Map of shape `(batch, height // p, width // p, filters)`.
    """
    p, _, channels, filters = kernel.shape
    if not fast_paths_enabled():
        y = ops.conv(x_BHWC, kernel, p, "valid", data_format="channels_last")
        return y if bias_F is None else ops.add(y, bias_F)
    height, width = maps.spatial_size(x_BHWC)
    x_BHWC = maps.crop_to_multiple(x_BHWC, p)
    patches_TC = ops.reshape(
        maps.columns_to_windows(x_BHWC, p), (-1, p * p * channels)
    )
    kernel_CF = ops.reshape(kernel, (p * p * channels, filters))
    y_TF = _affine(patches_TC, kernel_CF, bias_F)
    return ops.reshape(y_TF, (-1, height // p, width // p, filters))


def spread_patches(
    x_BHWC: Tensor, kernel: Tensor, bias_F: Tensor | None
) -> Tensor:
    """Convolves, transposed, with stride equal to the kernel's side.

    Every position becomes a patch. The fast path is one matrix product.

    Args:
        x_BHWC: Map of shape `(batch, height, width, channels)`.
        kernel: Kernel of shape `(p, p, filters, channels)`.
        bias_F: Bias of shape `(filters,)`, or `None`.

    Returns:
        Map of shape `(batch, p * height, p * width, filters)`.
    """
    p, _, filters, channels = kernel.shape
    if not fast_paths_enabled():
        y = ops.conv_transpose(
            x_BHWC, kernel, p, "valid", data_format="channels_last"
        )
        return y if bias_F is None else ops.add(y, bias_F)
    height, width = maps.spatial_size(x_BHWC)
    kernel_KC = ops.reshape(kernel, (p * p * filters, channels))
    bias_K = None if bias_F is None else ops.tile(bias_F, p * p)
    x_TC = ops.reshape(x_BHWC, (-1, channels))
    y_TK = _affine(x_TC, ops.transpose(kernel_KC), bias_K)
    y = ops.reshape(y_TK, (-1, width, p, p * filters))
    y = ops.transpose(y, (0, 2, 1, 3))
    return ops.reshape(y, (-1, p * height, p * width, filters))


def _affine(x_TC: Tensor, kernel_CF: Tensor, bias_F: Tensor | None) -> Tensor:
    if keras.backend.backend() == "torch" and bias_F is not None:
        import torch

        return torch.addmm(ops.convert_to_tensor(bias_F), x_TC, kernel_CF)
    y_TF = ops.matmul(x_TC, kernel_CF)
    return y_TF if bias_F is None else ops.add(y_TF, bias_F)
