"""The feed-forward part of a block.

Shape suffixes: T positions of all maps, C channels or hidden units.
"""

from typing import Any

import keras

from keras_twins import ops
from keras_twins.layers.composite import CompositeLayer
from keras_twins.layers.projection import dense_part
from keras_twins.ops import Shape
from keras_twins.ops import Tensor


@keras.saving.register_keras_serializable(package="keras_twins")
class MLP(CompositeLayer):
    """Two dense layers with an exact GELU between, position by position.

    Args:
        hidden_dim: Width of the hidden layer.
        dropout_rate: Dropout after each dense layer.
        **kwargs: Keywords of `keras.layers.Layer`.

    Call arguments:
        inputs: Tensor of shape `(..., channels)`.
        training: Whether dropout is active.

    Call returns:
        Tensor of the shape of `inputs`.

    Example:

    ```python
    x = keras.random.normal((2, 14, 14, 64))
    y = keras_twins.layers.MLP(hidden_dim=256)(x)
    ```
    """

    def __init__(self, hidden_dim: int, dropout_rate: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        if hidden_dim < 1:
            raise ValueError(
                "`hidden_dim` must be positive. Received: "
                f"hidden_dim={hidden_dim}"
            )
        self.hidden_dim = hidden_dim
        self.dropout_rate = dropout_rate
        self.dropout = keras.layers.Dropout(
            dropout_rate, dtype=self.dtype_policy, name="dropout"
        )

    def build(self, input_shape: Shape) -> None:
        channels = input_shape[-1]
        self.fc1 = dense_part(self, self.hidden_dim, "fc1")
        self.fc2 = dense_part(self, channels, "fc2")
        self.fc1.build(input_shape)
        self.fc2.build((*input_shape[:-1], self.hidden_dim))

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        # A matrix throughout: a reshape between product and activation would
        # keep TensorFlow from fusing them.
        x_TC = keras.ops.reshape(inputs, (-1, inputs.shape[-1]))
        x_TC = ops.gelu(self.fc1(x_TC))
        x_TC = self.dropout(x_TC, training=training)
        x_TC = self.dropout(self.fc2(x_TC), training=training)
        return keras.ops.reshape(x_TC, (-1, *keras.ops.shape(inputs)[1:]))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "hidden_dim": self.hidden_dim,
            "dropout_rate": self.dropout_rate,
        }
