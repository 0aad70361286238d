"""Dense layers with a faster path."""

from typing import Any

import keras

from keras_twins import ops
from keras_twins.layers.initializers import DenseNormal
from keras_twins.ops import Tensor


@keras.saving.register_keras_serializable(package="keras_twins")
class Projection(keras.layers.Dense):
    """Dense layer that is one matrix product, whatever the rank of its input.

    Takes the arguments of `keras.layers.Dense` and is Keras' own in
    everything but the way it computes: variables, configuration, quantization
    and LoRA are inherited.

    Call arguments:
        inputs: Tensor of shape `(..., channels)`.
        training: Not used.

    Call returns:
        Tensor of shape `(..., units)`.
    """

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        x = ops.project(inputs, self.kernel, self.bias)
        return x if self.activation is None else self.activation(x)

    def quantize(
        self, mode: str | None = None, type_check: bool = True, **kwargs: Any
    ) -> None:
        # Keras refuses subclasses, which might compute something else.
        super().quantize(mode, type_check=False, **kwargs)


def dense_part(owner: keras.layers.Layer, units: int, name: str) -> Projection:
    """Returns a dense layer with the originals' initial values.

    Args:
        owner: The layer that it is a part of; gives the dtype.
        units: Number of output channels.
        name: Name of the part.

    Returns:
        The layer, not yet built.
    """
    return Projection(
        units,
        kernel_initializer=DenseNormal(),
        dtype=owner.dtype_policy,
        name=name,
    )
