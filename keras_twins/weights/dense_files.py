"""Files of whole dense models: what they hold, and by which names."""

import dataclasses
import logging
import os
from collections.abc import Mapping
from typing import Any
from typing import Literal

import numpy as np

from keras_twins.weights import detectron2
from keras_twins.weights.code_bases import Naming
from keras_twins.weights.dialects import DENSE_DIALECTS
from keras_twins.weights.errors import CheckpointError
from keras_twins.weights.head_naming import DenseHead
from keras_twins.weights.head_naming import head_task
from keras_twins.weights.head_naming import recognise_head
from keras_twins.weights.readers import read_checkpoint
from keras_twins.weights.recognition import recognise_naming
from keras_twins.weights.renaming import rename
from keras_twins.weights.unwrapping import unwrap


@dataclasses.dataclass(frozen=True, kw_only=True)
class DenseCheckpoint:
    """The weights of a model of segmentation or detection.

    Args:
        state: Arrays in torch's layout: the backbone's by official name, the
            heads' by the names of OpenMMLab.
        naming: Whose names the file used for the backbone.
        dialect: Numeric details it was trained with, a key of
            `keras_twins.config.DIALECTS`.
        head: Which head it has.
        output_norms: Whether the backbone has norms between its stages;
            `None` where Twins-SVT has and Twins-PCPVT has not.
        arguments: What else its code base does otherwise, as arguments of
            the model.
        left_out: Names of tensors that no inference reads.
    """

    state: Mapping[str, np.ndarray]
    naming: Naming | Literal["detectron2"]
    dialect: str
    head: DenseHead
    output_norms: bool | None = None
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    left_out: tuple[str, ...] = ()


def read_dense(
    path: str | os.PathLike, head: DenseHead | None = None
) -> DenseCheckpoint:
    """Reads a file of a model of segmentation or detection.

    Args:
        path: A `.pth` or `.safetensors` file in the naming of mmsegmentation,
            of mmdetection with the official backbone, of the official code,
            or, for RetinaNet, of detectron2.
        head: Which head is expected; by default, it is recognised.

    Returns:
        A `DenseCheckpoint`.

    Raises:
        CheckpointError: If the file cannot be read, or holds something else.
    """
    state, _ = unwrap(read_checkpoint(path))
    try:
        checkpoint = identify_dense(state, head)
    except CheckpointError as error:
        raise CheckpointError(f"{os.fspath(path)}: {error}") from error
    if checkpoint.left_out:
        logging.getLogger(__name__).info(
            "%s: not used: %s", path, ", ".join(checkpoint.left_out)
        )
    return checkpoint


def identify_dense(
    state: Mapping[str, Any], head: DenseHead | None = None
) -> DenseCheckpoint:
    """Gives a state of a dense model the names that `fill_dense` takes.

    Args:
        state: Arrays by name, without wrappers and prefixes.
        head: As for `read_dense`.

    Returns:
        A `DenseCheckpoint`.

    Raises:
        CheckpointError: If the state is something else.
    """
    if detectron2.is_detectron2(state):
        return _read_detectron2(state, head)
    found = _check_head(recognise_head(state), head)
    naming = recognise_naming(state)
    dialects = DENSE_DIALECTS[head_task(found)]
    if naming not in dialects:
        raise CheckpointError(
            f"expected the naming of one of {sorted(dialects)}. Received: "
            f"that of {naming}."
        )
    renamed, left_out = _rename(state, naming)
    return DenseCheckpoint(
        state=renamed,
        naming=naming,
        dialect=dialects[naming],
        head=found,
        left_out=left_out,
    )


def _read_detectron2(
    state: Mapping[str, Any], head: DenseHead | None
) -> DenseCheckpoint:
    found = _check_head("retinanet", head)
    state, buffers = detectron2.to_mmdetection(state)
    renamed, left_out = _rename(state, "official")
    return DenseCheckpoint(
        state=renamed,
        naming="detectron2",
        dialect=detectron2.DIALECT,
        head=found,
        output_norms=False,
        arguments={"extra_activation": "relu"},
        left_out=(*buffers, *left_out),
    )


def _check_head(found: DenseHead | None, head: DenseHead | None) -> DenseHead:
    if found is None or found != (head or found):
        kind = head_task(head) if head else "segmentation or detection"
        raise CheckpointError(
            f"expected weights of {head or 'a model with heads'}. Received: "
            f"weights of {found or f'no model of {kind} that is known here'}."
        )
    return found


def _rename(
    state: Mapping[str, Any], naming: Naming
) -> tuple[Mapping[str, np.ndarray], tuple[str, ...]]:
    renaming = rename(state, naming, keep_heads=True)
    if renaming.problems:
        raise CheckpointError("\n  " + "\n  ".join(renaming.problems))
    return renaming.state, renaming.left_out
