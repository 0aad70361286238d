"""Conditional position encoding."""

import keras

from keras_twins.layers.composite import CompositeLayer
from keras_twins.layers.convolution import ResidualDepthwiseConvolution
from keras_twins.layers.initializers import ConvolutionNormal
from keras_twins.ops import Shape
from keras_twins.ops import Tensor


@keras.saving.register_keras_serializable(package="keras_twins")
class PositionEncodingGenerator(CompositeLayer):
    """PEG: adds a 3x3 depthwise convolution of the map to the map.

    The zeros around the map tell the convolution where the border is, and
    so every position where it stands, at any image size.

    Args:
        **kwargs: Keywords of `keras.layers.Layer`.

    Call arguments:
        inputs: Map of shape `(batch, height, width, channels)`.

    Call returns:
        Map of the shape of `inputs`.

    Reference:
        - [Conditional Positional Encodings](https://arxiv.org/abs/2102.10882)
        - [Twins](https://arxiv.org/abs/2104.13840), Section 3.1

    Example:

    ```python
    x = keras.random.normal((2, 14, 14, 64))
    y = keras_twins.layers.PositionEncodingGenerator()(x)
    ```
    """

    def build(self, input_shape: Shape) -> None:
        self.depthwise = ResidualDepthwiseConvolution(
            kernel_size=3,
            padding="same",
            data_format="channels_last",
            depthwise_initializer=ConvolutionNormal(),
            dtype=self.dtype_policy,
            name="depthwise",
        )
        self.depthwise.build(input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        return self.depthwise(inputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape
