"""Weights of whole dense models: a backbone and its heads."""

import os
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_twins.config import TwinsConfig
from keras_twins.weights.code_bases import DENSE_HEADS
from keras_twins.weights.code_bases import Naming
from keras_twins.weights.dense_files import DenseCheckpoint
from keras_twins.weights.dialects import choose_naming
from keras_twins.weights.errors import CheckpointError
from keras_twins.weights.filling import extract
from keras_twins.weights.filling import fill
from keras_twins.weights.head_naming import DenseHead
from keras_twins.weights.head_naming import head_pairs
from keras_twins.weights.head_naming import head_task
from keras_twins.weights.loading import load_keras_file
from keras_twins.weights.mapping import own_variables
from keras_twins.weights.naming import Pair
from keras_twins.weights.naming import expected_pairs
from keras_twins.weights.renaming import restore


def load_dense(
    model: keras.Model,
    config: TwinsConfig,
    head: DenseHead,
    path: str | os.PathLike,
    checkpoint: DenseCheckpoint | None,
) -> None:
    """Fills every weight of a dense model from a file.

    Args:
        model: The model.
        config: Architecture of its backbone.
        head: Which head it has.
        path: The file.
        checkpoint: What `read_dense` returned for it; `None` for a
            `.weights.h5` file.

    Raises:
        CheckpointError: If anything does not fit.
    """
    if checkpoint is None:
        load_keras_file(model, path, include_top=True)
        return
    try:
        fill_dense(model, config, head, checkpoint.state)
    except CheckpointError as error:
        raise CheckpointError(f"{os.fspath(path)}: {error}") from error


def fill_dense(
    model: keras.Model,
    config: TwinsConfig,
    head: DenseHead,
    state: Mapping[str, np.ndarray],
) -> None:
    """Fills every weight of a dense model.

    Args:
        model: The model.
        config: Architecture of its backbone.
        head: Which head it has.
        state: Arrays as in `DenseCheckpoint`. Those of an auxiliary head may
            be left over.

    Raises:
        CheckpointError: If anything does not fit; it lists all that does not,
            and the model is as it was.
    """
    variables = own_variables(model)
    pairs = _pairs(config, head, variables)
    fill(variables, pairs, state, config, ("auxiliary_head.",))


def extract_dense(
    model: keras.Model, config: TwinsConfig, head: DenseHead
) -> dict[str, np.ndarray]:
    """Returns the weights of a dense model, undoing `fill_dense`.

    Args:
        model: The model.
        config: Architecture of its backbone.
        head: Which head it has.

    Returns:
        Arrays as in `DenseCheckpoint`.

    Raises:
        CheckpointError: If the model has other weights than its config says.
    """
    variables = own_variables(model)
    return extract(variables, _pairs(config, head, variables), config)


def export_dense(
    model: Any, head: DenseHead, naming: Naming | None = None
) -> dict[str, np.ndarray]:
    """Returns the weights of a dense model as files of OpenMMLab hold them.

    Args:
        model: A model on a `TwinsBackbone`.
        head: Which head it has.
        naming: Whose names the backbone gets; by default those of the code
            whose numeric details it has. A warning says if they stand for
            others.

    Returns:
        Arrays in torch's layout.

    Raises:
        ValueError: If the backbone is another one, or the naming is unknown,
            or missing where the backbone has the details of no code.
    """
    config = getattr(model.backbone, "config", None)
    if not isinstance(config, TwinsConfig):
        raise ValueError(
            "`model` must have a `TwinsBackbone`. Received: "
            f"backbone={model.backbone!r}"
        )
    naming = choose_naming(config, naming, head_task(head))
    state = restore(extract_dense(model, config, head), naming)
    return {
        name if name.startswith(DENSE_HEADS) else f"backbone.{name}": values
        for name, values in state.items()
    }


def _pairs(
    config: TwinsConfig,
    head: DenseHead,
    variables: Mapping[str, keras.Variable],
) -> list[Pair]:
    auxiliary = any(path.startswith("auxiliary_head/") for path in variables)
    return [
        *expected_pairs(
            config, include_top=False, final_norm="norm/gamma" in variables
        ),
        *head_pairs(head, auxiliary=auxiliary),
    ]
