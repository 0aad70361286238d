"""Any weights file into a model."""

import collections
import os
from typing import Any

import keras

from keras_twins.config import TwinsConfig
from keras_twins.weights.errors import CheckpointError
from keras_twins.weights.mapping import load_state
from keras_twins.weights.readers import file_kind
from keras_twins.weights.readers import read_checkpoint
from keras_twins.weights.unwrapping import unwrap


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
        include_top: Whether the model has what the file may have beyond it.

    Raises:
        CheckpointError: If the file does not fit.
    """
    before = model.get_weights()
    try:
        _check_keras_file(model, path, include_top)
        model.load_weights(path)
        _check_finite(model)
    except Exception as error:
        # h5py and Keras raise whatever comes from damaged bytes.
        model.set_weights(before)
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise CheckpointError(
            f"The weights file {os.fspath(path)} does not fit the model "
            f"{model.name}, which was left as it was: {reason} Pass a "
            "`.weights.h5` file that `save_weights` wrote for the same "
            "architecture, channels and number of classes; a file of another "
            "number of classes fits with `include_top=False`."
        ) from error


def _check_finite(model: keras.Model) -> None:
    for variable in model.weights:
        value = keras.ops.cast(keras.ops.convert_to_tensor(variable), "float32")
        if not bool(keras.ops.all(keras.ops.isfinite(value))):
            raise CheckpointError(f"{variable.path} has values not finite.")


def _check_keras_file(
    model: keras.Model, path: str | os.PathLike, include_top: bool
) -> None:
    """Checks what Keras does not: weights that are too many.

    Keras numbers layers by their class, and does not look at those that a
    file has beyond the model's: the blocks of a deeper network would slip
    into wrong places.
    """
    import h5py

    if not os.fspath(path).endswith(".weights.h5"):
        raise CheckpointError("Its name must end with .weights.h5: rename it.")
    with h5py.File(path, "r") as file:
        if "layers" not in file:
            raise CheckpointError("It holds no Keras model.")
        datasets = dict(_weights_of(file["layers"]))
        head = {n: d for n, d in datasets.items() if n.startswith("dense/")}
        wanted = collections.Counter(tuple(v.shape) for v in model.weights)
        found = collections.Counter(d.shape for d in datasets.values())
        spare = collections.Counter(
            () if include_top else (d.shape for d in head.values())
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
