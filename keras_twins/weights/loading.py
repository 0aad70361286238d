"""Any weights file into a model."""

import collections
import os
from typing import Any

import keras

from keras_twins.config import TwinsConfig
from keras_twins.weights.errors import CheckpointError
from keras_twins.weights.filling import value_fault
from keras_twins.weights.head_naming import head_layers
from keras_twins.weights.mapping import load_state
from keras_twins.weights.readers import file_kind
from keras_twins.weights.readers import read_checkpoint
from keras_twins.weights.unwrapping import unwrap

_AUXILIARY = "auxiliary_head"
_BESIDE = (_AUXILIARY, "box_head", "mask_head")
"""Attributes and groups of the heads that stand beside the model's graph."""


def load_weights_file(
    model: keras.Model,
    config: TwinsConfig,
    path: str | os.PathLike,
    *,
    include_top: bool,
    fresh_output_norms: bool = False,
) -> None:
    """Fills a model from a file; the kind is recognised by its content.

    Args:
        model: The model.
        config: Its architecture.
        path: A `.weights.h5` file of Keras, or a `.safetensors` or `.pth`
            file in the naming of the official code or of timm.
        include_top: Whether the model has the classifier.
        fresh_output_norms: As for `load_state`.

    Raises:
        CheckpointError: If the file cannot be read, or does not fit the
            model, which then is as it was.
    """
    if file_kind(path) == "hdf5":
        load_keras_file(model, path, include_top)
        return
    state, _ = unwrap(read_checkpoint(path))
    try:
        load_state(
            model,
            config,
            state,
            include_top=include_top,
            fresh_output_norms=fresh_output_norms,
        )
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def load_keras_file(
    model: keras.Model, path: str | os.PathLike, include_top: bool
) -> None:
    """Loads a `.weights.h5`, or leaves the model as it was.

    Args:
        model: The model.
        path: The file.
        include_top: Whether the model has the classifier; where not, the file
            may have one.

    Raises:
        CheckpointError: If the file does not fit.
    """
    before = model.get_weights()
    try:
        _check_keras_file(model, path, include_top)
        model.load_weights(path)
        _check_values(model)
    except Exception as error:
        # h5py and Keras raise whatever comes from damaged bytes.
        model.set_weights(before)
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise CheckpointError(
            f"The weights file {os.fspath(path)} does not fit the model "
            f"{model.name}, which was left as it was: {reason} "
            f"{_suggest(model)}"
        ) from error


def _suggest(model: keras.Model) -> str:
    file = "Pass a `.weights.h5` file that `save_weights` wrote for the same "
    heads = tuple(f"{name}/" for name in head_layers())
    if any(head in v.path for v in model.weights for head in heads):
        return (
            f"{file}class, variant and channels, with the same `num_classes` "
            "and numbers of filters."
        )
    return (
        f"{file}architecture, channels and number of classes; a file of "
        "another number of classes fits with `include_top=False`."
    )


def _check_values(model: keras.Model) -> None:
    for variable in model.weights:
        value = keras.ops.cast(keras.ops.convert_to_tensor(variable), "float32")
        fault = value_fault(variable.path, keras.ops.convert_to_numpy(value))
        if fault is not None:
            raise CheckpointError(f"{variable.path} holds {fault}.")


def _check_keras_file(
    model: keras.Model, path: str | os.PathLike, include_top: bool
) -> None:
    """Checks what Keras does not: weights that are too many.

    Keras numbers layers by their class, and does not look at those that a
    file has beyond the model's: the blocks of a deeper network would slip
    into wrong places. An auxiliary head that the model lacks may be there.
    """
    import h5py

    if not os.fspath(path).endswith(".weights.h5"):
        raise CheckpointError("Its name must end with .weights.h5: rename it.")
    with h5py.File(path, "r") as file:
        if "layers" not in file:
            raise CheckpointError("It holds no Keras model.")
        auxiliary = hasattr(model, _AUXILIARY)
        if auxiliary and _AUXILIARY not in file:
            raise CheckpointError(
                "It has no auxiliary head, but the model has: build it with "
                "`auxiliary_weight=0`."
            )
        beside = [x for x in _BESIDE if hasattr(model, x) and x in file]
        groups = ["layers", *beside]
        datasets = [x for group in groups for x in _weights_of(file[group])]
        head = [d for name, d in datasets if name.startswith("dense/")]
        wanted = collections.Counter(tuple(v.shape) for v in model.weights)
        found = collections.Counter(d.shape for _, d in datasets)
        spare = collections.Counter(
            () if include_top else (d.shape for d in head)
        )
        lacking, beyond = wanted - found, found - wanted - spare
        if lacking or beyond:
            raise CheckpointError(
                f"It lacks {lacking.total()} of {wanted.total()} weights and "
                f"has {beyond.total()} others, by their shapes."
            )


def _weights_of(group: Any) -> list[tuple[str, Any]]:
    """Returns the datasets of a group by path, without random seeds."""
    items: list[tuple[str, Any]] = []
    group.visititems(lambda name, item: items.append((name, item)))
    return [
        (name, item)
        for name, item in items
        if hasattr(item, "dtype") and "seed_generator" not in name
    ]
