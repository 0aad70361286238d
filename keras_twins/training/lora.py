"""Low-rank adaptation: fine-tuning a few weights beside frozen ones."""

import json
import math
import os
from collections.abc import Collection
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from safetensors import SafetensorError
from safetensors import safe_open
from safetensors.numpy import save_file

from keras_twins.training.lora_layers import check_optimizer
from keras_twins.training.lora_layers import dense_layers
from keras_twins.training.lora_layers import find_heads
from keras_twins.training.lora_layers import find_targets
from keras_twins.training.lora_layers import forget_programs
from keras_twins.training.lora_layers import lora_layers
from keras_twins.training.lora_layers import owned_trainable
from keras_twins.training.lora_layers import prefix_of
from keras_twins.training.lora_layers import require_layers
from keras_twins.weights.files import replace_file

TARGETS = ("qkv", "q", "kv", "projection", "fc1", "fc2")
"""Names of the dense layers of attention and MLP in this package."""

_FORMAT = "keras-twins-lora"
_PARTS = ("lora_kernel_a", "lora_kernel_b")


def enable_lora(
    model: keras.Model,
    rank: int,
    targets: Collection[str] = TARGETS,
    alpha: float | None = None,
    head: Collection[str] = ("predictions",),
) -> int:
    """Adds low-rank updates to dense layers and freezes everything else.

    The kernel of a target becomes `kernel + alpha / rank * a @ b`, by Keras's
    own `enable_lora`; `b` is zero at first, so the model computes what it did
    before. The updates stay in float32. Compile the model afterwards. To set
    `trainable` of the model or of a target later would free its kernel.

    Keras's `save` writes the sums, and what it loads cannot be trained on
    (both `a` and `b` are zero then): keep the updates with `save_lora`.

    Args:
        model: A built model.
        rank: Rank of the updates.
        targets: Names of the layers to update; see `TARGETS`.
        alpha: Scale of the updates; by default, the rank.
        head: Names of the layers that are trained as usual, such as the new
            classifier; `()` for none.

    Returns:
        Number of trainable values.

    Raises:
        ValueError: If the model has no such layers, has updates already, or
            its optimizer is in use.

    Reference:
        - [LoRA](https://arxiv.org/abs/2106.09685)

    Example:

    ```python
    from keras_twins.training import enable_lora

    config = dataclasses.replace(
        keras_twins.VARIANTS["svt_small"], depths=(1, 1, 1, 1)
    )
    model = keras_twins.classifier(config, classes=10)
    trained = enable_lora(model, rank=4)
    ```
    """
    if rank < 1:
        raise ValueError(f"`rank` must be at least 1. Received: {rank=}")
    check_optimizer(model)
    chosen = find_targets(model, targets)
    heads = find_heads(model, head)
    for variable in model.weights:
        variable.trainable = False
    for layer in chosen:
        layer.enable_lora(rank, lora_alpha=alpha)
    for layer in heads:
        for variable in owned_trainable(layer):
            variable.trainable = True
    forget_programs(model)
    return sum(_size(variable) for variable in model.trainable_variables)


def save_lora(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Writes the updates and whatever else is trainable, such as the head.

    Args:
        model: A model with low-rank updates.
        path: The `.safetensors` file; an existing one is replaced.

    Raises:
        ValueError: If the model has no updates.
    """
    layers = require_layers(model)
    arrays = {}
    for variable in model.trainable_variables:
        value = keras.ops.convert_to_numpy(variable).astype("float32")
        arrays[variable.path] = np.ascontiguousarray(value)
    updated = {
        prefix_of(layer): [layer.lora_rank, layer.lora_alpha]
        for layer in layers
    }
    metadata = {"format": _FORMAT, "layers": json.dumps(updated)}
    with replace_file(path) as temporary:
        save_file(arrays, temporary, metadata)


def load_lora(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Reads what `save_lora` wrote.

    A model without updates gets those of the file, and is frozen as
    `enable_lora` freezes it; the variables of the file are trainable.

    Args:
        model: A model of the same architecture, with the weights that the
            updates were trained upon.
        path: The file.

    Raises:
        ValueError: If the file is none of these, or its variables are not
            those of the model; nothing is changed then but for the layers
            without updates that get theirs.
    """
    arrays, updated = _read(path)
    if not lora_layers(model):
        _enable_as_saved(model, updated, arrays)
    known = {variable.path: variable for variable in model.weights}
    expected = {v.path for v in model.trainable_variables}
    _check_names(path, expected, set(arrays))
    for name, array in arrays.items():
        if tuple(known[name].shape) != array.shape:
            raise ValueError(
                f"`{name}` must have the shape {tuple(known[name].shape)}. "
                f"Received: {array.shape} in {os.fspath(path)}"
            )
    for name, array in arrays.items():
        known[name].assign(array)
    for layer in lora_layers(model):
        layer.lora_alpha = updated[prefix_of(layer)][1]
    forget_programs(model)


def merge_lora(model: keras.Model) -> int:
    """Adds the updates to the kernels, and removes them.

    The model computes the same as before and is a plain one: it is saved,
    exported and loaded like any other. All of its weights are trainable.

    Args:
        model: A model with low-rank updates.

    Returns:
        Number of layers that were merged.

    Raises:
        ValueError: If the model has no updates, or its kernels are
            quantized.
    """
    layers = require_layers(model)
    if any(layer.quantization_mode for layer in layers):
        raise ValueError(
            "Updates of quantized kernels cannot be merged here. Received: "
            f"{layers[0].name} in {layers[0].quantization_mode}. Merge before "
            "the model is quantized."
        )
    for layer in layers:
        _merge(layer)
    # Not `model.trainable`: to set what is set does nothing on TensorFlow.
    for variable in owned_trainable(model):
        variable.trainable = True
    forget_programs(model)
    return len(layers)


def _merge(layer: Any) -> None:
    a, b = (np.asarray(_read_value(layer, part), "float64") for part in _PARTS)
    scale = layer.lora_alpha / layer.lora_rank
    kernel = np.asarray(keras.ops.convert_to_numpy(layer._kernel), "float64")
    # Not `layer.kernel`, which is rounded to what the layer computes in.
    layer._kernel.assign((kernel + scale * (a @ b)).astype("float32"))
    for part in _PARTS:
        # To delete the attribute would collect garbage each time.
        layer._untrack_variable(getattr(layer, part))
        setattr(layer, part, None)
    layer.lora_enabled = False
    layer.lora_rank = layer.lora_alpha = None


def _read_value(layer: Any, part: str) -> np.ndarray:
    return keras.ops.convert_to_numpy(getattr(layer, part))


def _read(
    path: str | os.PathLike[str],
) -> tuple[dict[str, np.ndarray], Mapping[str, tuple[int, float]]]:
    """Returns the arrays by path, and rank and alpha of each layer."""
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"{os.fspath(path)} is no safetensors file: {error}"
        ) from error
    if metadata.get("format") != _FORMAT:
        raise ValueError(
            "`path` must be a file that `save_lora` wrote. Received: "
            f"{os.fspath(path)}"
        )
    return arrays, json.loads(metadata["layers"])


def _enable_as_saved(
    model: keras.Model,
    updated: Mapping[str, tuple[int, float]],
    arrays: Mapping[str, np.ndarray],
) -> None:
    """Gives a model the updates that a file has, freezing the others."""
    check_optimizer(model)
    found = {prefix_of(x): x for x in dense_layers(model) if x.built}
    _check_names("the layers", set(found) & set(updated), set(updated))
    for variable in model.weights:
        variable.trainable = variable.path in arrays
    for prefix, (rank, alpha) in updated.items():
        found[prefix].enable_lora(rank, lora_alpha=alpha)


def _check_names(
    path: str | os.PathLike[str], expected: set[str], received: set[str]
) -> None:
    if expected == received:
        return
    raise ValueError(
        "The model and the file must have the same variables. Received: "
        f"{os.fspath(path)} with {sorted(received - expected)[:3]} that the "
        f"model lacks, and without {sorted(expected - received)[:3]}"
    )


def _size(variable: keras.Variable) -> int:
    return math.prod(variable.shape)
