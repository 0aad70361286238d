"""The initial values of the originals, drawn by NumPy.

Keras' random initializers compile one program per shape on JAX: eight of
eleven seconds of building Twins-SVT-B went there. NumPy draws all of its 56
million values in half a second, the same on every backend.
"""

import math
import random
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_twins.ops import Tensor


class _NumpyNormal(keras.initializers.Initializer):
    """Normal values around zero; subclasses say how wide."""

    def __init__(self, seed: int | None = None):
        self.seed = seed
        # As Keras does: `keras.utils.set_random_seed` governs the default.
        self._drawn_seed = seed if seed is not None else random.getrandbits(32)

    def _stddev(self, shape: Sequence[int]) -> float:
        raise NotImplementedError

    def __call__(
        self, shape: Sequence[int], dtype: str | None = None, **kwargs: Any
    ) -> Tensor:
        generator = np.random.Generator(np.random.PCG64(self._drawn_seed))
        values = generator.standard_normal(tuple(shape), dtype=np.float32)
        values *= np.float32(self._stddev(shape))
        return keras.ops.convert_to_tensor(values, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


@keras.saving.register_keras_serializable(package="keras_twins")
class DenseNormal(_NumpyNormal):
    """Initial values of dense kernels: N(0, 0.02).

    The originals cut them at an absolute value of 2, a hundred standard
    deviations away.

    Args:
        seed: Seed of the random numbers.
    """

    def _stddev(self, shape: Sequence[int]) -> float:
        return 0.02


@keras.saving.register_keras_serializable(package="keras_twins")
class ConvolutionNormal(_NumpyNormal):
    """Initial values of convolutions: N(0, sqrt(2 / fan_out)).

    Args:
        seed: Seed of the random numbers.
    """

    def _stddev(self, shape: Sequence[int]) -> float:
        fan_out = math.prod(shape[:-2]) * shape[-1]
        return math.sqrt(2.0 / fan_out)


@keras.saving.register_keras_serializable(package="keras_twins")
class ClassifierNormal(_NumpyNormal):
    """Initial values of the last layer of dense heads: N(0, 0.01).

    Args:
        seed: Seed of the random numbers.
    """

    def _stddev(self, shape: Sequence[int]) -> float:
        return 0.01
