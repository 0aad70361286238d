"""Layer normalization with a faster gradient, and that of batches."""

from typing import Any

import keras

from keras_twins import ops
from keras_twins.ops import Tensor


@keras.saving.register_keras_serializable(package="keras_twins")
class LayerNormalization(keras.layers.LayerNormalization):
    """Layer normalization over the channels, with scale and shift.

    Is Keras' own in everything but the way it computes, and in its name:
    files of weights call the parts of a model by it.

    Args:
        epsilon: Added to the variance.
        **kwargs: Arguments of `keras.layers.LayerNormalization`.

    Call arguments:
        inputs: Tensor of shape `(..., channels)`.

    Call returns:
        Tensor of the same shape.
    """

    def __init__(self, epsilon: float = 1e-5, **kwargs: Any):
        super().__init__(epsilon=epsilon, **kwargs)

    def call(self, inputs: Tensor) -> Tensor:
        if self.rms_scaling or self.gamma is None or self.beta is None:
            return super().call(inputs)
        if self.axis not in (-1, [-1]):
            return super().call(inputs)
        return ops.layer_norm(inputs, self.gamma, self.beta, self.epsilon)


@keras.saving.register_keras_serializable(package="keras_twins")
class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization as dense heads have it, over all devices.

    Is Keras' own in everything but its defaults, and that it takes the moments
    of the whole batch where several devices train on parts of it: on
    TensorFlow if it is built under a strategy of `tf.distribute`, on PyTorch
    among the processes of `torch.distributed`, which all have to call it, on
    JAX as is.

    Args:
        epsilon: Added to the variance.
        momentum: Share of the old moving moments in the new ones.
        **kwargs: Arguments of `keras.layers.BatchNormalization`.

    Call arguments:
        inputs: Tensor of shape `(batch, ..., channels)`.
        training: Whether the moments are those of the batch.

    Call returns:
        Tensor of the same shape.
    """

    def __init__(
        self, epsilon: float = 1e-5, momentum: float = 0.9, **kwargs: Any
    ):
        # Keras refuses it on other backends, also in what TensorFlow saved.
        kwargs["synchronized"] = ops.has_replicas()
        super().__init__(epsilon=epsilon, momentum=momentum, **kwargs)

    def _moments(self, inputs: Tensor, mask: Any) -> tuple[Tensor, Tensor]:
        mean, variance = super()._moments(inputs, mask)
        # Keras subtracts squares: rounding makes the variance of equal values
        # negative, by more than epsilon where they are large.
        variance = keras.ops.maximum(variance, 0.0)
        return ops.moments_of_processes(mean, variance, inputs, mask)


def norm_part(
    owner: keras.layers.Layer, epsilon: float, name: str
) -> LayerNormalization:
    """Returns a layer normalization.

    Args:
        owner: The layer that it is a part of; gives the dtype.
        epsilon: Added to the variance.
        name: Name of the part.

    Returns:
        The layer, not yet built.
    """
    return LayerNormalization(
        epsilon=epsilon, dtype=owner.dtype_policy, name=name
    )
