"""Stochastic depth."""

from typing import Any

import keras
from keras import ops

from keras_twins.ops import Shape
from keras_twins.ops import Tensor


@keras.saving.register_keras_serializable(package="keras_twins")
class DropPath(keras.layers.Layer):
    """Drops whole samples of a residual branch at random (stochastic depth).

    During training, each sample of the batch is set to zero with probability
    `rate`, and the others are scaled by `1 / (1 - rate)`. At inference it is
    the identity.

    Args:
        rate: Probability to drop a sample, in `[0, 1)`.
        seed: Seed of the random numbers.
        **kwargs: Keywords of `keras.layers.Layer`.

    Call arguments:
        inputs: Tensor of shape `(batch, ...)`.
        training: Whether to drop.

    Call returns:
        Tensor of the shape of `inputs`.

    Raises:
        ValueError: If `rate` is outside `[0, 1)`.

    Reference:
        - [Deep Networks with Stochastic Depth](https://arxiv.org/abs/1603.09382)

    Example:

    ```python
    branch = keras.random.normal((8, 14, 14, 64))
    kept = keras_twins.layers.DropPath(0.2)(branch, training=True)
    ```
    """

    def __init__(self, rate: float = 0.0, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(
                f"`rate` must be at least 0 and below 1. Received: rate={rate}"
            )
        self.rate = rate
        self.seed = seed
        if rate > 0:
            # Named after the layer: unnamed ones are counted through the
            # process, and torch's state dicts would differ.
            self.seed_generator = keras.random.SeedGenerator(
                seed, name=f"{self.name}_seed"
            )
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if not training or self.rate == 0:
            return inputs
        keep = 1.0 - self.rate
        shape = (ops.shape(inputs)[0],) + (1,) * (len(inputs.shape) - 1)
        # In float32 whatever the policy: float16 has too few steps below 1.
        draw = keras.random.uniform(
            shape, dtype="float32", seed=self.seed_generator
        )
        scale = ops.cast(draw < keep, "float32") / keep
        return inputs * ops.cast(scale, inputs.dtype)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {**config, "rate": self.rate, "seed": self.seed}
