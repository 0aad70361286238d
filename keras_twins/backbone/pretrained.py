"""The backbone of a dense model, with or without its published weights."""

import os
from typing import Any

from keras_twins.backbone.functional import freeze_stages
from keras_twins.backbone.model import TwinsBackbone
from keras_twins.config import TwinsConfig
from keras_twins.weights import load_pretrained


def build_dense_backbone(
    config: TwinsConfig,
    variant: str,
    weights: str | os.PathLike | None,
    image_shape: tuple[int | None, int | None, int] = (None, None, 3),
    *,
    drop_path_rate: float = 0.0,
    gradient_checkpointing: bool = False,
    frozen_stages: int = 0,
    dtype: Any = None,
) -> TwinsBackbone:
    """Builds the backbone of a dense model.

    Args:
        config: Its architecture, as `dense_config` returns it.
        variant: A key of `keras_twins.VARIANTS`.
        weights: `"imagenet"` for the published weights; norms between the
            stages start fresh. Anything else does nothing.
        image_shape: Shape of an image, `(height, width, channels)`. Height
            and width may be `None`.
        drop_path_rate: Stochastic-depth rate of the last block.
        gradient_checkpointing: Whether training computes each block a second
            time in the backward pass to save memory.
        frozen_stages: Number of stages, from the first, that are not trained.
        dtype: Dtype policy of all layers.

    Returns:
        The backbone, without a final norm.

    Raises:
        ValueError: If an argument does not fit.
    """
    backbone = TwinsBackbone(
        config,
        image_shape,
        drop_path_rate=drop_path_rate,
        gradient_checkpointing=gradient_checkpointing,
        final_norm=False,
        dtype=dtype,
    )
    if weights == "imagenet":
        load_pretrained(
            backbone,
            config,
            variant,
            weights,
            include_top=False,
            fresh_output_norms=True,
        )
    freeze_stages(backbone, frozen_stages)
    return backbone
