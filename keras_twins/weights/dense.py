"""Files of whole models of segmentation: backbone, head, auxiliary head."""

import dataclasses
import logging
import os
from collections.abc import Mapping

import keras
import numpy as np

from keras_twins.config import TwinsConfig
from keras_twins.weights.code_bases import Naming
from keras_twins.weights.dialects import DENSE_DIALECTS
from keras_twins.weights.errors import CheckpointError
from keras_twins.weights.filling import extract
from keras_twins.weights.filling import fill
from keras_twins.weights.head_naming import SegmentationHead
from keras_twins.weights.head_naming import head_pairs
from keras_twins.weights.head_naming import recognise_head
from keras_twins.weights.mapping import own_variables
from keras_twins.weights.naming import Pair
from keras_twins.weights.naming import expected_pairs
from keras_twins.weights.readers import read_checkpoint
from keras_twins.weights.recognition import recognise_naming
from keras_twins.weights.renaming import rename
from keras_twins.weights.unwrapping import unwrap


@dataclasses.dataclass(frozen=True, kw_only=True)
class DenseCheckpoint:
    """The weights of a model of segmentation.

    Args:
        state: Arrays in torch's layout: the backbone's by official name, the
            heads' by the names of OpenMMLab.
        naming: Whose names the file used for the backbone.
        dialect: Numeric details it was trained with, a key of
            `keras_twins.config.DIALECTS`.
        head: Which head it has.
        left_out: Names of tensors that no inference reads.
    """

    state: Mapping[str, np.ndarray]
    naming: Naming
    dialect: str
    head: SegmentationHead
    left_out: tuple[str, ...] = ()


def read_dense(
    path: str | os.PathLike, head: SegmentationHead
) -> DenseCheckpoint:
    """Reads a file of a model of segmentation.

    Args:
        path: A `.pth` or `.safetensors` file in the naming of mmsegmentation
            or of the official code.
        head: Which head is expected.

    Returns:
        A `DenseCheckpoint`.

    Raises:
        CheckpointError: If the file cannot be read, or holds something else.
    """
    state, _ = unwrap(read_checkpoint(path))
    found = recognise_head(state)
    if found != head:
        raise CheckpointError(
            f"{os.fspath(path)}: expected weights of {head}. Received: "
            f"weights of {found or 'no model of segmentation'}."
        )
    naming = recognise_naming(state)
    if naming not in DENSE_DIALECTS:
        raise CheckpointError(
            f"{os.fspath(path)}: expected the naming of one of "
            f"{sorted(DENSE_DIALECTS)}. Received: that of {naming}."
        )
    renaming = rename(state, naming, keep_heads=True)
    if renaming.problems:
        lines = "\n  ".join(renaming.problems)
        raise CheckpointError(f"{os.fspath(path)}:\n  {lines}")
    if renaming.left_out:
        logging.getLogger(__name__).info(
            "%s: not used: %s", path, ", ".join(renaming.left_out)
        )
    return DenseCheckpoint(
        state=renaming.state,
        naming=naming,
        dialect=DENSE_DIALECTS[naming],
        head=head,
        left_out=renaming.left_out,
    )


def fill_dense(
    model: keras.Model,
    config: TwinsConfig,
    head: SegmentationHead,
    state: Mapping[str, np.ndarray],
) -> None:
    """Fills every weight of a model of segmentation.

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
    model: keras.Model, config: TwinsConfig, head: SegmentationHead
) -> dict[str, np.ndarray]:
    """Returns the weights of a model of segmentation, undoing `fill_dense`.

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


def _pairs(
    config: TwinsConfig,
    head: SegmentationHead,
    variables: Mapping[str, keras.Variable],
) -> list[Pair]:
    auxiliary = any(path.startswith("auxiliary_head/") for path in variables)
    return [
        *expected_pairs(
            config, include_top=False, final_norm="norm/gamma" in variables
        ),
        *head_pairs(head, auxiliary=auxiliary),
    ]
