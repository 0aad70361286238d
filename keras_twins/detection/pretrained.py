"""A detector on a published variant, with its weights."""

import os
import warnings
from collections.abc import Callable
from typing import Any
from typing import TypeVar

import keras
import numpy as np

from keras_twins.backbone.pretrained import build_dense_backbone
from keras_twins.config import variant_config
from keras_twins.weights.dense import export_dense
from keras_twins.weights.dense import load_dense
from keras_twins.weights.dense_files import read_dense
from keras_twins.weights.detection_heads import DetectionHead
from keras_twins.weights.dialects import DENSE_DIALECTS
from keras_twins.weights.dialects import dense_config
from keras_twins.weights.dialects import has_windows
from keras_twins.weights.readers import file_kind

OFFICIAL = DENSE_DIALECTS["detection"]["official"]
"""Numeric details of the official code, a key of
`keras_twins.config.DIALECTS`."""

Model = TypeVar("Model")


def build_from_twins(
    cls: Callable[..., Model],
    head: DetectionHead,
    variant: str,
    weights: str | os.PathLike | None,
    num_classes: int,
    *,
    dialect: str | None = None,
    output_norms: bool | None = None,
    image_shape: tuple[int | None, int | None, int] = (None, None, 3),
    drop_path_rate: float = 0.0,
    gradient_checkpointing: bool = False,
    frozen_stages: int = 0,
    dtype: Any = None,
    **kwargs: Any,
) -> Model:
    """Builds a detector on a published Twins variant.

    A `.weights.h5` file holds neither numeric details nor an activation:
    where the model that it was saved from was built with a `dialect`,
    `output_norms` or `extra_activation`, or from a file of detectron2, give
    the same again. A `.keras` file holds them all.

    Args:
        cls: Class of the model.
        head: Its name in the tables of weights.
        variant: A key of `keras_twins.VARIANTS`.
        weights: `"imagenet"` (of the backbone; norms between the stages start
            fresh), `None`, or the path of a file with all weights.
        num_classes: Number of classes.
        dialect: Numeric details of the backbone, a key of
            `keras_twins.config.DIALECTS`; by default those of the official
            detection code.
        output_norms: Whether the backbone has norms between its stages; by
            default, that of Twins-SVT has, as in the official code, but not
            with a file of detectron2.
        image_shape: Shape of an image, `(height, width, channels)`. Height
            and width may be `None`.
        drop_path_rate: Stochastic-depth rate of the last block.
        gradient_checkpointing: Whether training computes each block a second
            time in the backward pass to save memory.
        frozen_stages: Number of stages of the backbone, from the first, that
            are not trained.
        dtype: Dtype policy of all layers.
        **kwargs: Arguments of `cls`.

    Returns:
        The model.

    Raises:
        ValueError: If an argument does not fit.
        CheckpointError: If the weights do not fit the model.
    """
    path = _find_file(variant, weights)
    checkpoint = None
    if path is not None and file_kind(path) != "hdf5":
        checkpoint = read_dense(path, head)
        kwargs = {**checkpoint.arguments, **kwargs}
        dialect = dialect or checkpoint.dialect
        if output_norms is None:
            output_norms = checkpoint.output_norms
    config = dense_config(variant, dialect or OFFICIAL, output_norms)
    backbone = build_dense_backbone(
        config,
        variant,
        weights,
        image_shape,
        drop_path_rate=drop_path_rate,
        gradient_checkpointing=gradient_checkpointing,
        frozen_stages=frozen_stages,
        dtype=dtype,
    )
    model = cls(backbone, num_classes, dtype=dtype, **kwargs)
    if path is not None:
        load_dense(model, config, head, path, checkpoint)
    return model


def export_state(model: Any) -> dict[str, np.ndarray]:
    """Returns the weights of a detector as a state dict.

    Args:
        model: A `RetinaNet` or `MaskRCNN` on a `TwinsBackbone`.

    Returns:
        Arrays in torch's layout by the names of mmdetection, those of the
        backbone by the names of the official detection code, as
        `keras_twins.weights.write_safetensors` and `torch.save` take them. A
        warning says what such a file does not tell of the model.

    Raises:
        ValueError: If the backbone is another one.
    """
    state = export_dense(model, model.head_name, "official")
    config = model.backbone.config
    untold = []
    if config.output_norms != has_windows(config):
        untold.append(f"`output_norms={config.output_norms}`")
    activation = getattr(model.get_layer("neck"), "extra_activation", None)
    if activation not in (None, keras.activations.linear):
        name = keras.activations.serialize(activation)
        untold.append(f"`extra_activation={name!r}`")
    if untold:
        warnings.warn(
            "A file in the names of mmdetection does not tell of "
            f"{' and '.join(untold)}: pass the same to `from_twins` where the "
            "file is read.",
            stacklevel=2,
        )
    return state


def _find_file(
    variant: str, weights: str | os.PathLike | None
) -> str | os.PathLike | None:
    """Returns the file with all weights, if there is one."""
    variant_config(variant)
    if weights is None or weights == "imagenet":
        return None
    if weights == "coco":
        raise ValueError(
            '`weights="coco"` does not exist: nobody has published weights '
            "trained on COCO with the recipe of the paper. Pass the path of a "
            'file of your own, or start from `weights="imagenet"`. Received: '
            f"weights={weights!r}"
        )
    if not os.path.isfile(weights):
        raise ValueError(
            '`weights` must be `None`, "imagenet", or the path of a file. '
            f"Received: weights={weights!r}, which is no file."
        )
    return weights
