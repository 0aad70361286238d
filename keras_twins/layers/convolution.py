"""Convolutions with a faster path.

The layers are Keras' own in everything but the way they compute: variables,
configuration and serialisation are inherited.
"""

from typing import Any

import keras

from keras_twins import ops
from keras_twins.layers.initializers import ConvolutionNormal
from keras_twins.ops import Shape
from keras_twins.ops import Tensor


@keras.saving.register_keras_serializable(package="keras_twins")
class PatchConvolution(keras.layers.Conv2D):
    """Convolution whose stride equals its kernel, as one matrix product.

    Takes the arguments of `keras.layers.Conv2D`; `strides` must equal
    `kernel_size`, and padding is `"valid"`.

    Call arguments:
        inputs: Map of shape `(batch, height, width, channels)`.

    Call returns:
        Map of shape `(batch, height // p, width // p, filters)`, `p` being
        the kernel's side.
    """

    def call(self, inputs: Tensor) -> Tensor:
        return ops.convolve_patches(inputs, self.kernel, self.bias)


@keras.saving.register_keras_serializable(package="keras_twins")
class SpreadingConvolution(keras.layers.Conv2DTranspose):
    """Transposed convolution without overlap, as one matrix product.

    Takes the arguments of `keras.layers.Conv2DTranspose`; `strides` must equal
    `kernel_size`, and padding is `"valid"`.

    Call arguments:
        inputs: Map of shape `(batch, height, width, channels)`.

    Call returns:
        Map of shape `(batch, p * height, p * width, filters)`, `p` being the
        kernel's side.
    """

    def call(self, inputs: Tensor) -> Tensor:
        return ops.spread_patches(inputs, self.kernel, self.bias)


@keras.saving.register_keras_serializable(package="keras_twins")
class ResidualDepthwiseConvolution(keras.layers.DepthwiseConv2D):
    """A map plus its depthwise convolution, as is fast on the backend.

    Takes the arguments of `keras.layers.DepthwiseConv2D`; the stride is 1,
    the padding `"same"`, the kernel square and odd.

    Call arguments:
        inputs: Map of shape `(batch, height, width, channels)`.

    Call returns:
        Map of shape `(batch, height, width, channels)`.
    """

    def call(self, inputs: Tensor) -> Tensor:
        return ops.add_depthwise(inputs, self.kernel, self.bias)


_SIZED = {
    "padding": "same",
    "strides": (1, 1),
    "dilation_rate": (1, 1),
    "groups": 1,
    "data_format": "channels_last",
}


@keras.saving.register_keras_serializable(package="keras_twins")
class SizedConvolution(keras.layers.Conv2D):
    """Convolution that keeps the size of a map, as is fast on the backend.

    Takes the arguments of `keras.layers.Conv2D`; `padding` must be `"same"`,
    and strides, dilation, groups and activation as by default.

    Call arguments:
        inputs: Map of shape `(batch, height, width, channels)`.

    Call returns:
        Map of shape `(batch, height, width, filters)`.

    Raises:
        ValueError: If an argument asks for another kind of convolution.
    """

    def build(self, input_shape: Shape) -> None:
        found = {name: getattr(self, name) for name in _SIZED}
        if (
            found != _SIZED
            or keras.activations.serialize(self.activation) != "linear"
        ):
            raise ValueError(
                f"A `SizedConvolution` has {_SIZED} and no activation. "
                f"Received: {found}, activation={self.activation}"
            )
        super().build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        if self.kernel_size == (1, 1):
            return ops.project(inputs, self.kernel[0, 0], self.bias)
        if self.kernel_size != (3, 3):
            return super().call(inputs)
        x = ops.convolve_3x3(inputs, self.kernel)
        return x if self.bias is None else keras.ops.add(x, self.bias)


@keras.saving.register_keras_serializable(package="keras_twins")
class HalvingConvolution(keras.layers.Conv2D):
    """3 x 3 convolution of stride 2, padded by one pixel on every side.

    Keras' own padding depends on the size of the map; the originals' does not.

    Args:
        filters: Number of output channels.
        **kwargs: Keywords of `keras.layers.Conv2D` but those of its geometry.

    Call arguments:
        inputs: Map of shape `(batch, height, width, channels)`.

    Call returns:
        Map of shape `(batch, ceil(height / 2), ceil(width / 2), filters)`.
    """

    def __init__(self, filters: int, **kwargs: Any):
        kwargs.update(kernel_size=3, strides=2, padding="valid")
        kwargs["data_format"] = "channels_last"
        super().__init__(filters, **kwargs)

    def call(self, inputs: Tensor) -> Tensor:
        edges = ((0, 0), (1, 1), (1, 1), (0, 0))
        return super().call(keras.ops.pad(inputs, edges))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, height, width, _ = input_shape
        halved = ((size + 1) // 2 if size else size for size in (height, width))
        return (batch, *halved, self.filters)


def sized_convolution(
    filters: int,
    kernel_size: int,
    dtype: keras.DTypePolicy,
    name: str,
    *,
    use_bias: bool = True,
    kernel_initializer: str | keras.initializers.Initializer = "glorot_uniform",
) -> SizedConvolution:
    """Returns a `SizedConvolution`.

    Args:
        filters: Number of output channels.
        kernel_size: Side of the kernel.
        dtype: Dtype policy.
        name: Name of the layer.
        use_bias: Whether it adds a bias.
        kernel_initializer: Initial values of the kernel.

    Returns:
        The layer, not yet built.
    """
    return SizedConvolution(
        filters,
        kernel_size,
        padding="same",
        data_format="channels_last",
        use_bias=use_bias,
        kernel_initializer=kernel_initializer,
        dtype=dtype,
        name=name,
    )


def patch_convolution(
    filters: int,
    patch_size: int,
    dtype: keras.DTypePolicy,
    name: str,
) -> PatchConvolution:
    """Returns a `PatchConvolution` with the originals' initial values.

    Args:
        filters: Number of output channels.
        patch_size: Side of the kernel and the stride.
        dtype: Dtype policy.
        name: Name of the layer.

    Returns:
        The layer, not yet built.
    """
    return PatchConvolution(
        filters,
        patch_size,
        strides=patch_size,
        data_format="channels_last",
        kernel_initializer=ConvolutionNormal(),
        dtype=dtype,
        name=name,
    )
