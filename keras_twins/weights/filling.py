"""Variables from a state dict and back, all of them or none, checked."""

import math
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_twins.config import TwinsConfig
from keras_twins.weights.code_bases import IGNORED_SUFFIXES
from keras_twins.weights.errors import CheckpointError
from keras_twins.weights.hints import suggest
from keras_twins.weights.naming import STEM
from keras_twins.weights.naming import Pair

_SHOWN = 20
_FLOATS = ("float16", "bfloat16", "float32", "float64")


def fill(
    variables: Mapping[str, keras.Variable],
    pairs: list[Pair],
    state: Mapping[str, Any],
    config: TwinsConfig,
    spare: tuple[str, ...] = (),
) -> None:
    """Fills variables from a state dict, all of them or none.

    Args:
        variables: Variables by path, as `own_variables` returns them.
        pairs: What fills what.
        state: Arrays by the names of `pairs`, in torch's layout.
        config: The architecture, for the message of an error.
        spare: How names start that may be left over.

    Raises:
        CheckpointError: If anything does not fit; it lists all that does not.
    """
    problems = [
        *_name_problems(pairs, variables, state, spare),
        *_value_problems(pairs, variables, state),
    ]
    if problems:
        raise CheckpointError(_report(problems, pairs, state, config))
    for pair in pairs:
        variable = variables[pair.path]
        variable.assign(_converted(pair, state[pair.source], variable))


def extract(
    variables: Mapping[str, keras.Variable],
    pairs: list[Pair],
    config: TwinsConfig,
) -> dict[str, np.ndarray]:
    """Returns the values of variables as a state dict, undoing `fill`.

    Args:
        variables: Variables by path.
        pairs: What fills what.
        config: The architecture, for the message of an error.

    Returns:
        Arrays in torch's layout, by the names of `pairs`.

    Raises:
        CheckpointError: If the model has other weights than `pairs` say.
    """
    problems = list(_model_problems(pairs, variables))
    if problems:
        raise CheckpointError(_report(problems, pairs, {}, config))
    state = {}
    for pair in pairs:
        array = keras.ops.convert_to_numpy(variables[pair.path])
        array = pair.transform.to_torch(_widened(array))
        state[pair.source] = np.ascontiguousarray(array)
    return state


def adapt_stem(kernel: np.ndarray, channels: int) -> np.ndarray:
    """Returns a stem kernel for another number of image channels.

    As timm does: for one channel, the sum over red, green and blue; else the
    three are repeated and scaled by `3 / channels`, so that features keep
    their size.

    Args:
        kernel: Kernel of shape `(filters, 3, height, width)`.
        channels: Number of channels of the new images.

    Returns:
        Kernel of shape `(filters, channels, height, width)`.
    """
    if channels == kernel.shape[1]:
        return kernel
    if channels == 1:
        return kernel.sum(axis=1, keepdims=True)
    repeats = math.ceil(channels / 3)
    repeated = np.tile(kernel, (1, repeats, 1, 1))[:, :channels]
    return repeated * np.asarray(3 / channels, kernel.dtype)


def _converted(pair: Pair, array: Any, variable: keras.Variable) -> np.ndarray:
    """Returns a tensor of the checkpoint as the variable wants it."""
    array = np.asarray(array)
    if pair.source == STEM and array.ndim == 4 and array.shape[1] == 3:
        array = adapt_stem(array, variable.shape[-2])
    return _widened(pair.transform.to_keras(array))


def _widened(array: np.ndarray) -> np.ndarray:
    """Returns half precisions as float32, which holds them exactly."""
    return array if array.dtype == "float64" else array.astype("float32")


def _name_problems(
    pairs: list[Pair],
    variables: Mapping[str, keras.Variable],
    state: Mapping[str, Any],
    spare: tuple[str, ...],
) -> Iterator[str]:
    yield from _model_problems(pairs, variables)
    wanted = {pair.source for pair in pairs}
    for source in sorted(wanted - set(state)):
        yield f"{source}: missing in the file"
    for source in sorted(set(state) - wanted):
        known = source.startswith(spare) or source.endswith(IGNORED_SUFFIXES)
        if not known:
            yield f"{source}: unknown, no weight of the model takes it"


def _model_problems(
    pairs: list[Pair], variables: Mapping[str, keras.Variable]
) -> Iterator[str]:
    paths = {pair.path for pair in pairs}
    for path in sorted(paths - set(variables)):
        yield f"{path}: the model lacks this weight, which its config has"
    for path in sorted(set(variables) - paths):
        yield f"{path}: the model has this weight, which its config lacks"


def _value_problems(
    pairs: list[Pair],
    variables: Mapping[str, keras.Variable],
    state: Mapping[str, Any],
) -> Iterator[str]:
    for pair in pairs:
        if pair.source not in state or pair.path not in variables:
            continue
        array = state[pair.source]
        if not isinstance(array, np.ndarray) or str(array.dtype) not in _FLOATS:
            kind = getattr(array, "dtype", type(array).__name__)
            yield f"{pair.source}: expected floating numbers, found {kind}"
            continue
        variable = variables[pair.path]
        expected = tuple(variable.shape)
        shape = pair.transform.keras_shape(array.shape)
        if not _fits(pair, shape, expected):
            yield (
                f"{pair.source}: shape {array.shape}, that is {shape} in "
                f"Keras, but {pair.path} has {expected}"
            )
            continue
        fault = value_fault(pair.path, _converted(pair, array, variable))
        if fault is not None:
            yield f"{pair.source}: holds {fault}"


def value_fault(path: str, values: np.ndarray) -> str | None:
    """Returns what is wrong with the values of a weight.

    Args:
        path: `path` of the weight.
        values: Its values.

    Returns:
        What it must not hold but does, or `None`.
    """
    if not np.isfinite(values).all():
        return "values that are not finite"
    if path.endswith("moving_variance") and (values < 0).any():
        return "variances below zero, of which no batch norm has a root"
    return None


def _fits(
    pair: Pair, shape: tuple[int, ...], expected: tuple[int, ...]
) -> bool:
    if pair.source == STEM and len(shape) == 4 and shape[2] == 3:
        shape = (*shape[:2], expected[2], shape[3])
    return shape == expected


def _report(
    problems: list[str],
    pairs: list[Pair],
    state: Mapping[str, Any],
    config: TwinsConfig,
) -> str:
    lines = problems[:_SHOWN]
    if len(problems) > _SHOWN:
        lines.append(f"... and {len(problems) - _SHOWN} more")
    hint = suggest(problems, [pair.source for pair in pairs], state, config)
    return (
        f"The weights do not fit the model. {hint}. {len(problems)} problem"
        f"{'s' if len(problems) > 1 else ''}; nothing was assigned:\n  "
        + "\n  ".join(lines)
    )
