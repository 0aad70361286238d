"""Whole dense models, heads included: from the originals' files and back."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from keras_twins.detection.mask_rcnn import MaskRCNN
from keras_twins.detection.pretrained import export_state as export_detector
from keras_twins.detection.retinanet import RetinaNet
from keras_twins.segmentation import SemanticFPN
from keras_twins.segmentation import UPerNet
from keras_twins.segmentation import export_state as export_segmentation
from keras_twins.weights.dense_files import read_dense
from keras_twins.weights.dense_sizes import dense_arguments
from keras_twins.weights.digests import file_digest
from keras_twins.weights.errors import CheckpointError
from keras_twins.weights.files import replace_file
from keras_twins.weights.files import write_keras_weights
from keras_twins.weights.head_naming import DenseHead
from keras_twins.weights.head_naming import head_task
from keras_twins.weights.hints import recognise_variant
from keras_twins.weights.mapping import write_safetensors

MODELS: Mapping[DenseHead, Any] = {
    "semantic_fpn": SemanticFPN,
    "upernet": UPerNet,
    "retinanet": RetinaNet,
    "mask_rcnn": MaskRCNN,
}
"""By what a file holds."""

SUFFIXES = (".keras", ".weights.h5", ".safetensors")


@dataclasses.dataclass(frozen=True)
class DenseConversion:
    """What was read, and what was written.

    Args:
        model: The model.
        out: The file that was written.
        sha256: Its digest in hexadecimal.
    """

    model: Any
    out: pathlib.Path
    sha256: str

    def report(self) -> str:
        """Returns the result in words, one fact a line."""
        model = self.model
        return "\n".join(
            [
                describe_model(model),
                f"parameters: {model.count_params():,}, "
                f"{model.num_classes} classes",
                f"written: {self.out}",
                f"sha256: {self.sha256}",
            ]
        )


def describe_model(model: Any) -> str:
    """Returns in one line what a dense model is.

    Args:
        model: The model.

    Returns:
        Its class, the size of its backbone, and what code bases do otherwise.
    """
    config = model.backbone.config
    return (
        f"{type(model).__name__} of {head_task(model.head_name)}, depths "
        f"{config.depths}, widths {config.embed_dims}, window_padding="
        f"{config.window_padding!r}, output_norms={config.output_norms}"
    )


def open_dense(
    path: str | os.PathLike[str],
    variant: str | None = None,
    dialect: str | None = None,
) -> Any:
    """Builds the model that a file holds.

    Args:
        path: A `.keras` file of a dense model of this package, or a `.pth` or
            `.safetensors` file in the names of the originals.
        variant: A key of `keras_twins.VARIANTS`; by default, it is
            recognised.
        dialect: A key of `keras_twins.config.DIALECTS`; by default, that of
            the code base.

    Returns:
        The model.

    Raises:
        CheckpointError: If the file cannot be read, or holds something else.
    """
    if os.fspath(path).endswith(".keras"):
        return open_keras(path)
    if os.fspath(path).endswith(".weights.h5"):
        raise CheckpointError(
            f"{path}: a .weights.h5 file does not say of which model and of "
            "which numeric details it holds the weights. Load it with "
            "`from_twins` of the model's class, save that as .keras, and pass "
            "this file."
        )
    checkpoint = read_dense(path)
    variant = variant or recognise_variant(checkpoint.state)
    if variant is None:
        raise CheckpointError(
            f"{path}: weights of {checkpoint.head} on none of the published "
            "variants. Name one of them to hear what differs."
        )
    return MODELS[checkpoint.head].from_twins(
        variant,
        path,
        dialect=dialect,
        **dense_arguments(checkpoint.state, checkpoint.head),
    )


def open_keras(path: str | os.PathLike[str]) -> Any:
    """Loads a `.keras` file of a dense model.

    Args:
        path: The file.

    Returns:
        The model.

    Raises:
        CheckpointError: If it holds another one.
    """
    model = keras.saving.load_model(path, compile=False)
    if not isinstance(model, tuple(MODELS.values())):
        raise CheckpointError(
            f"{path}: expected one of the models "
            f"{', '.join(cls.__name__ for cls in MODELS.values())}. Received: "
            f"{type(model).__name__}"
        )
    return model


def convert_dense(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    variant: str | None = None,
    dialect: str | None = None,
) -> DenseConversion:
    """Converts a file of a whole dense model.

    Args:
        source: As for `open_dense`.
        out: The file to write: `.keras`, which holds everything,
            `.weights.h5`, or `.safetensors` in the names of the originals.
        variant: As for `open_dense`.
        dialect: As for `open_dense`.

    Returns:
        A `DenseConversion`.

    Raises:
        CheckpointError: If the weights are not complete and right.
        ValueError: If `out` has another suffix.

    Example:

    ```python
    from weights_port.dense import convert_dense

    result = convert_dense("retinanet.pth", "retinanet.keras")
    print(result.report())
    ```
    """
    out = pathlib.Path(out)
    if not out.name.endswith(SUFFIXES):
        raise ValueError(
            f"`out` must end with {' or '.join(SUFFIXES)}. Received: out={out}"
        )
    model = open_dense(source, variant, dialect)
    if out.name.endswith(".safetensors"):
        write_safetensors(export_dense_state(model), out)
    elif out.name.endswith(".weights.h5"):
        write_keras_weights(model, out)
    else:
        with replace_file(out) as temporary:
            draft = temporary.with_suffix(".keras")
            model.save(draft)
            draft.replace(temporary)
    return DenseConversion(model, out, file_digest(out))


def export_dense_state(model: Any) -> dict[str, np.ndarray]:
    """Returns the weights of a dense model by the names of the originals.

    Args:
        model: One of `MODELS`.

    Returns:
        Arrays in torch's layout.
    """
    if head_task(model.head_name) == "detection":
        return export_detector(model)
    return export_segmentation(model)
