"""Small architectures and the means to run them, shared by the tests."""

import dataclasses
import math

import keras
import numpy as np

from keras_twins import TwinsConfig

SVT = TwinsConfig(
    embed_dims=(8, 16, 24, 32),
    depths=(2, 2, 3, 1),
    num_heads=(1, 2, 3, 4),
    mlp_ratios=(2, 2, 2, 2),
    attention_pattern=("LG",) * 4,
    window_sizes=(4, 4, 4, 4),
)
"""Local and global attention, every kind of layer, a hundred kB."""

SHALLOW = dataclasses.replace(SVT, depths=(2, 1, 1, 1))

MINIMAL = dataclasses.replace(
    SVT, depths=(1,) * 4, attention_pattern=("L", "G", "L", "G")
)
"""One block a stage, where the architecture is not what is tested."""

PCPVT = dataclasses.replace(
    SVT, attention_pattern=("G",) * 4, depths=(1, 1, 2, 1)
)


def images(*shape: int, seed: int = 0) -> np.ndarray:
    """Returns normal values of a shape `(batch, height, width, channels)`."""
    generator = np.random.default_rng(seed)
    return generator.standard_normal(shape, dtype=np.float32)


def to_numpy(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def randomise(model, seed: int = 0) -> None:
    """Gives every weight a value of its own, the same in every model.

    Zero biases and unit gammas would hide a layer that is left out.
    """
    generator = np.random.default_rng(seed)
    for variable in model.weights:
        shape = tuple(variable.shape)
        value = generator.standard_normal(shape, dtype=np.float32)
        fan_in = math.prod(shape[:-1]) if len(shape) > 1 else 100
        value /= math.sqrt(fan_in)
        if variable.path.endswith("gamma"):
            value += 1.0
        if variable.path.endswith("moving_variance"):
            value = 1.0 + np.abs(value)
        variable.assign(value)
