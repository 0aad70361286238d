"""Deterministic weights and images that need no download.

The reference outputs in `tests/golden` were made with weights that follow
from each tensor's name and shape, so that anyone can make them again.
"""

import hashlib
import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np


def rule_tensor(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the tensor that a name stands for.

    Normal values seeded by the name: norm weights around 1, other vectors
    around 0, matrices and kernels scaled by their fan-in.

    Args:
        key: Name of the tensor in its own code base.
        shape: Shape in torch's layout.

    Returns:
        Array of `shape`: float32, or int64 for `num_batches_tracked`.
    """
    kind = key.split(".")[-1]
    if kind == "num_batches_tracked":
        return np.zeros(shape, dtype=np.int64)
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode())))
    values = generator.standard_normal(tuple(shape), dtype=np.float32)
    tenth = np.float32(0.1)
    if kind == "running_var":
        return np.asarray(1 + tenth * np.abs(values))
    if len(shape) == 1 and kind == "weight":
        return np.asarray(1 + tenth * values)
    if len(shape) <= 1:
        return np.asarray(tenth * values)
    return values * np.float32(math.sqrt(1 / math.prod(shape[1:])))


def rule_state(model: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns the weights of a model of a manifest.

    Args:
        model: Entry of `models` in a manifest of `tests/golden`: the list
            `state_dict` of names, shapes and dtypes; `scaled_keys` are
            multiplied by `gain` where these are given.

    Returns:
        Arrays by name, in the order of the manifest.
    """
    scaled = frozenset(model.get("scaled_keys", ()))
    gain = np.float32(model.get("gain", 1.0))
    state = {}
    for key, shape, _ in model["state_dict"]:
        values = rule_tensor(key, tuple(shape))
        state[key] = values * gain if key in scaled else values
    return state


def rule_image(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the input of a case of a manifest, as Keras takes it.

    Args:
        seed: `seed` of the case.
        shape: `input_shape` of the case, `(batch, channels, height, width)`.

    Returns:
        Normal values of shape `(batch, height, width, channels)`.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    images = generator.standard_normal(tuple(shape), dtype=np.float32)
    return np.ascontiguousarray(images.transpose(0, 2, 3, 1))


def digest(state: Mapping[str, np.ndarray]) -> str:
    """Returns the sha256 of the tensors' bytes, in the mapping's order.

    Args:
        state: Arrays by name.

    Returns:
        64 hexadecimal digits; a manifest holds them as `weights_sha256`.
    """
    result = hashlib.sha256()
    for values in state.values():
        result.update(np.ascontiguousarray(values).data)
    return result.hexdigest()


def content_digest(state: Mapping[str, np.ndarray]) -> str:
    """Returns a sha256 that does not depend on the kind of file.

    Two files with the same digest hold the same names, shapes, dtypes and
    values, whatever their order and container.

    Args:
        state: Arrays by name.

    Returns:
        64 hexadecimal digits.
    """
    result = hashlib.sha256()
    for name in sorted(state):
        values = np.ascontiguousarray(state[name])
        result.update(f"{name} {values.dtype} {values.shape}\n".encode())
        result.update(values.tobytes())
    return result.hexdigest()
