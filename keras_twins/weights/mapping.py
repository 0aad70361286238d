"""From a state dict to a model and back, as a bijection that is checked."""

import dataclasses
import os
import re
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_twins.config import TwinsConfig
from keras_twins.weights.files import replace_file
from keras_twins.weights.filling import extract
from keras_twins.weights.filling import fill
from keras_twins.weights.head_naming import head_layers
from keras_twins.weights.naming import expected_pairs


def load_state(
    model: keras.Model,
    config: TwinsConfig,
    state: Mapping[str, Any],
    *,
    include_top: bool,
    fresh_output_norms: bool = False,
) -> None:
    """Fills every weight of a model from a state dict.

    Every tensor is used once and every weight filled once; names, shapes and
    values are checked before the first one is assigned. Without the top, the
    tensors `head.*` may be left over, and `norm.*` if the model has no final
    norm. A stem of other than 3 channels is adapted, see `adapt_stem`.

    Args:
        model: The model; layers before the network, from an `input_tensor`,
            are left alone.
        config: Its architecture.
        state: Arrays by the names of the official code, in torch's layout;
            read twice, one at a time.
        include_top: Whether the model has the classifier.
        fresh_output_norms: Whether norms between the stages may be missing in
            the file, as in those of classifiers; they then stay as they are.

    Raises:
        CheckpointError: If anything does not fit; it lists all that does not,
            and the model is as it was.
    """
    variables = own_variables(model)
    if fresh_output_norms and not any(
        x.startswith("norm_list.") for x in state
    ):
        config = dataclasses.replace(config, output_norms=False)
        variables = {
            k: v for k, v in variables.items() if "_output_norm/" not in k
        }
    final_norm = "norm/gamma" in variables
    pairs = expected_pairs(
        config, include_top=include_top, final_norm=final_norm
    )
    spare = () if include_top else ("head.weight", "head.bias")
    if not final_norm:
        spare += ("norm.weight", "norm.bias")
    fill(variables, pairs, state, config, spare)


def export_state(
    model: keras.Model, config: TwinsConfig
) -> dict[str, np.ndarray]:
    """Returns the weights of a model as a state dict, undoing `load_state`.

    Args:
        model: The model.
        config: Its architecture.

    Returns:
        Arrays in torch's layout, by the names of the official code and timm;
        `float32`, or `float64` where the model is.

    Raises:
        CheckpointError: If the model has other weights than its config says.
    """
    variables = own_variables(model)
    pairs = expected_pairs(
        config,
        include_top="predictions/kernel" in variables,
        final_norm="norm/gamma" in variables,
    )
    return extract(variables, pairs, config)


def write_safetensors(
    state: Mapping[str, np.ndarray], path: str | os.PathLike
) -> None:
    """Writes a state dict as a safetensors file; complete or not at all.

    Args:
        state: Arrays by name.
        path: The file; an existing one is replaced.

    Raises:
        OSError: If the file cannot be written.
    """
    import safetensors.numpy

    arrays = {name: np.ascontiguousarray(a) for name, a in state.items()}
    with replace_file(path) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode  # as the user's other files have it
        try:
            safetensors.numpy.save_file(arrays, os.fspath(temporary))
            temporary.chmod(mode)
        except safetensors.SafetensorError as error:
            raise OSError(f"{path} cannot be written: {error}") from error


def own_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Returns the weights by path, without the scope they were built in.

    Args:
        model: A classifier, a backbone, or a model that has heads on one.

    Returns:
        Those of Twins and of its heads.
    """
    heads = "".join(f"|{name}/" for name in head_layers())
    own = re.compile(rf"stage\d+_|norm/|predictions/{heads}")
    first = "stage0_patch_embedding"
    layers = [layer.path for layer in model.layers if layer.name == first]
    scope = layers[0].removesuffix(first) if layers else ""
    paths = {v.path.removeprefix(scope): v for v in model.weights}
    return {path: v for path, v in paths.items() if own.match(path)}
