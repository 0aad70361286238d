"""A model of segmentation on a published variant, with its weights."""

import os
from collections.abc import Callable
from typing import Any
from typing import TypeVar

import numpy as np

from keras_twins.backbone.pretrained import build_dense_backbone
from keras_twins.config import DIALECTS
from keras_twins.config import variant_config
from keras_twins.weights.code_bases import Naming
from keras_twins.weights.dense import export_dense
from keras_twins.weights.dense import load_dense
from keras_twins.weights.dense_files import DenseCheckpoint
from keras_twins.weights.dense_files import read_dense
from keras_twins.weights.dialects import DENSE_DIALECTS
from keras_twins.weights.dialects import dense_config
from keras_twins.weights.download import fetch_first
from keras_twins.weights.readers import file_kind
from keras_twins.weights.segmentation_heads import SegmentationHead
from keras_twins.weights.segmentation_registry import ADE20K

ADE20K_CLASSES = 150

_OFFICIAL = DENSE_DIALECTS["segmentation"]["official"]
_OPENMMLAB = DENSE_DIALECTS["segmentation"]["mmsegmentation"]

Model = TypeVar("Model")


def build_from_twins(
    cls: Callable[..., Model],
    head: SegmentationHead,
    variant: str,
    weights: str | os.PathLike | None,
    num_classes: int,
    *,
    dialect: str | None = None,
    image_shape: tuple[int | None, int | None, int] = (None, None, 3),
    drop_path_rate: float = 0.0,
    gradient_checkpointing: bool = False,
    frozen_stages: int = 0,
    dtype: Any = None,
    **kwargs: Any,
) -> Model:
    """Builds a model of segmentation on a published Twins variant.

    The backbone of Twins-SVT has the norms between its stages that the
    official dense models have.

    Args:
        cls: Class of the model.
        head: Its name in the tables of weights.
        variant: A key of `keras_twins.VARIANTS`.
        weights: `"ade20k"`, `"imagenet"` (of the backbone; norms between the
            stages start fresh), `None`, or the path of a file with all
            weights.
        num_classes: Number of classes.
        dialect: Numeric details of the backbone, a key of
            `keras_twins.config.DIALECTS`; by default those of the code whose
            names the file with all weights has, and of the official
            segmentation code without one. A `.weights.h5` file does not say:
            there it must be that of the model which the file was saved from.
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
        ValueError: If an argument does not fit, or `dialect` is missing for a
            `.weights.h5` file.
        CheckpointError: If the weights do not fit the model.
    """
    path = _find_file(head, variant, weights, num_classes)
    checkpoint = None
    if path is not None and file_kind(path) != "hdf5":
        checkpoint = read_dense(path, head)
    if dialect is None:
        dialect = _choose_dialect(path, checkpoint)
    config = dense_config(variant, dialect)
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


def export_state(
    model: Any, naming: Naming | None = None
) -> dict[str, np.ndarray]:
    """Returns the weights of a model of segmentation as a state dict.

    Args:
        model: A `SemanticFPN` or `UPerNet` on a `TwinsBackbone`.
        naming: `"mmsegmentation"` or `"official"`; by default that of the
            code whose numeric details the backbone has. `from_twins` takes
            those from the names: it warns if they are not the model's.

    Returns:
        Arrays in torch's layout, as `keras_twins.weights.write_safetensors`
        and `torch.save` take them.

    Raises:
        ValueError: If the backbone is another one, or the naming is unknown,
            or missing where the backbone has the details of neither code.
    """
    return export_dense(model, model.head_name, naming)


def _choose_dialect(
    path: str | os.PathLike | None, checkpoint: DenseCheckpoint | None
) -> str:
    if checkpoint is not None:
        return checkpoint.dialect
    if path is None:
        return _OFFICIAL
    raise ValueError(
        "`dialect` must be given for a `.weights.h5` file, which does not hold "
        "the numeric details of the model that it was saved from: "
        f'{_OFFICIAL!r} after `weights=None` and `weights="imagenet"`, '
        f'{_OPENMMLAB!r} after `weights="ade20k"`, otherwise that model\'s '
        f"own, of {sorted(DIALECTS)}. A `.keras` file holds them. Received: "
        f"dialect=None, weights={os.fspath(path)!r}"
    )


def _find_file(
    head: SegmentationHead,
    variant: str,
    weights: str | os.PathLike | None,
    num_classes: int,
) -> str | os.PathLike | None:
    """Returns the file with all weights, if there is one."""
    variant_config(variant)
    if weights is None or weights == "imagenet":
        return None
    if weights == "ade20k":
        if num_classes != ADE20K_CLASSES:
            raise ValueError(
                f'`weights="ade20k"` has {ADE20K_CLASSES} classes. Received: '
                f"num_classes={num_classes}. For others, start from "
                '`weights="imagenet"`.'
            )
        return fetch_first((ADE20K[head, variant].source,))
    if not os.path.isfile(weights):
        raise ValueError(
            '`weights` must be `None`, "imagenet", "ade20k", or the path of a '
            f"file. Received: weights={weights!r}, which is no file."
        )
    return weights
