"""Layers that give maps another size."""

from typing import Any

import keras

from keras_twins import ops
from keras_twins.ops import Shape
from keras_twins.ops import Tensor


@keras.saving.register_keras_serializable(package="keras_twins")
class ResizeLike(keras.layers.Layer):
    """Resizes a map bilinearly to the height and width of another tensor.

    Corners are not aligned, and nothing is smoothed before.

    Args:
        **kwargs: Keywords of `keras.layers.Layer`.

    Call arguments:
        inputs: Map of shape `(batch, height, width, channels)`.
        reference: Tensor of shape `(batch, new_height, new_width, ...)`; only
            its size is read.

    Call returns:
        Map of shape `(batch, new_height, new_width, channels)`.

    Example:

    ```python
    scores = keras.random.normal((2, 16, 16, 5))
    images = keras.random.normal((2, 64, 64, 3))
    scores = keras_twins.layers.ResizeLike()(scores, images)
    ```
    """

    def call(self, inputs: Tensor, reference: Tensor) -> Tensor:
        return ops.resize_bilinear(inputs, *ops.spatial_size(reference))

    def compute_output_shape(
        self, inputs_shape: Shape, reference_shape: Shape
    ) -> Shape:
        return (inputs_shape[0], *reference_shape[1:3], inputs_shape[3])


@keras.saving.register_keras_serializable(package="keras_twins")
class AdaptiveAveragePooling(keras.layers.Layer):
    """Means over a grid of bins, for maps of any size.

    Args:
        bins: Height and width of the grid.
        **kwargs: Keywords of `keras.layers.Layer`.

    Call arguments:
        inputs: Map of shape `(batch, height, width, channels)`.

    Call returns:
        Map of shape `(batch, bins, bins, channels)`.

    Example:

    ```python
    x = keras.random.normal((2, 17, 23, 64))
    means = keras_twins.layers.AdaptiveAveragePooling(6)(x)
    ```
    """

    def __init__(self, bins: int, **kwargs: Any):
        super().__init__(**kwargs)
        if bins < 1:
            raise ValueError(f"`bins` must be positive. Received: {bins=}")
        self.bins = bins

    def call(self, inputs: Tensor) -> Tensor:
        return ops.adaptive_average_pool(inputs, self.bins)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self.bins, self.bins, input_shape[3])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bins": self.bins}
