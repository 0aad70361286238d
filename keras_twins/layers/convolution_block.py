"""Convolution, batch normalization and ReLU, as dense heads stack them."""

from typing import Any

import keras

from keras_twins.layers.composite import AssembledLayer
from keras_twins.layers.convolution import SizedConvolution
from keras_twins.layers.convolution import sized_convolution
from keras_twins.layers.initializers import ClassifierNormal
from keras_twins.layers.initializers import ConvolutionNormal
from keras_twins.layers.normalization import BatchNormalization
from keras_twins.ops import Shape
from keras_twins.ops import Tensor


@keras.saving.register_keras_serializable(package="keras_twins")
class ConvolutionBlock(AssembledLayer):
    """A convolution without bias, batch normalization and ReLU.

    Args:
        filters: Number of output channels.
        kernel_size: Side of the kernel; the map keeps its size.
        **kwargs: Keywords of `keras.layers.Layer`.

    Call arguments:
        inputs: Map of shape `(batch, height, width, channels)`.
        training: Whether the moments are those of the batch.

    Call returns:
        Map of shape `(batch, height, width, filters)`.

    Example:

    ```python
    x = keras.random.normal((2, 16, 16, 32))
    y = keras_twins.layers.ConvolutionBlock(64)(x)
    ```
    """

    def __init__(self, filters: int, kernel_size: int = 3, **kwargs: Any):
        super().__init__(**kwargs)
        if filters < 1 or kernel_size < 1:
            raise ValueError(
                "`filters` and `kernel_size` must be positive. Received: "
                f"{filters=}, {kernel_size=}"
            )
        self.filters = filters
        self.kernel_size = kernel_size
        self.convolution = sized_convolution(
            filters,
            kernel_size,
            self.dtype_policy,
            "convolution",
            use_bias=False,
            kernel_initializer=ConvolutionNormal(),
        )
        self.norm = BatchNormalization(dtype=self.dtype_policy, name="norm")

    def build(self, input_shape: Shape) -> None:
        self.build_parts(input_shape)

    def part_inputs(
        self, input_shape: Any
    ) -> list[tuple[keras.layers.Layer, Shape]]:
        output = self.compute_output_shape(input_shape)
        return [(self.convolution, input_shape), (self.norm, output)]

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        x = self.norm(self.convolution(inputs), training=training)
        return keras.ops.relu(x)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:3], self.filters)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
        }


def classifier_part(
    owner: keras.layers.Layer, classes: int, name: str = "classifier"
) -> SizedConvolution:
    """Returns the convolution that gives each position its classes.

    Args:
        owner: The layer that it is a part of; gives the dtype.
        classes: Number of classes.
        name: Name of the part.

    Returns:
        The layer, not yet built.
    """
    return sized_convolution(
        classes,
        1,
        owner.dtype_policy,
        name,
        kernel_initializer=ClassifierNormal(),
    )
