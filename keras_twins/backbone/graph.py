"""From a config to the graph of a backbone."""

import dataclasses

import keras

from keras_twins.config import TwinsConfig
from keras_twins.layers import PatchEmbedding
from keras_twins.layers import PositionEncodingGenerator
from keras_twins.layers import TwinsBlock
from keras_twins.layers.normalization import LayerNormalization
from keras_twins.ops import Tensor

DType = str | keras.DTypePolicy | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class BackboneOptions:
    """What a backbone is built with beside its architecture.

    Args:
        drop_path_rate: Stochastic-depth rate of the last block.
        dropout_rate: Dropout after attention and in the MLPs.
        attention_dropout_rate: Dropout of the attention weights.
        gradient_checkpointing: Whether blocks are recomputed in the backward
            pass.
        final_norm: Whether the output goes through the final LayerNorm.

    Raises:
        ValueError: If a rate is outside `[0, 1)`.
    """

    drop_path_rate: float = 0.0
    dropout_rate: float = 0.0
    attention_dropout_rate: float = 0.0
    gradient_checkpointing: bool = False
    final_norm: bool = True

    def __post_init__(self):
        for field in (
            "drop_path_rate",
            "dropout_rate",
            "attention_dropout_rate",
        ):
            value = getattr(self, field)
            if not isinstance(value, int | float) or not 0 <= value < 1:
                raise ValueError(
                    f"`{field}` must be a number of at least 0 and below 1. "
                    f"Received: {field}={value!r}"
                )


@dataclasses.dataclass(frozen=True)
class TwinsGraph:
    """The tensors of a backbone that others build upon.

    Args:
        output: Last map, through the final norm if there is one.
        stages: Output of each stage, before the final norm.
        stage_layers: Name of the layer that gives each of `stages`.
        blocks: Output of each block, in order.
    """

    output: Tensor
    stages: tuple[Tensor, ...]
    stage_layers: tuple[str, ...]
    blocks: tuple[Tensor, ...]


def build_graph(
    config: TwinsConfig,
    inputs: Tensor,
    options: BackboneOptions,
    dtype: DType = None,
) -> TwinsGraph:
    """Applies new Twins layers to a tensor.

    Args:
        config: The architecture.
        inputs: `KerasTensor` of shape `(batch, height, width, channels)`.
        options: Regularisation and memory options.
        dtype: Dtype policy of all layers.

    Returns:
        A `TwinsGraph`.

    Raises:
        ValueError: If the data format is `channels_first`, or the images are
            too small.
    """
    _require_channels_last()
    _require_size(config, inputs)
    x, stages, names, blocks = inputs, [], [], []
    for stage in range(len(config.depths)):
        for layer in _stage_layers(config, stage, options, dtype):
            x = layer(x)
            if isinstance(layer, TwinsBlock):
                blocks.append(x)
            elif isinstance(layer, PositionEncodingGenerator):
                # The encoding belongs to the block that it follows.
                blocks[-1] = x
        stages.append(x)
        names.append(layer.name)
    if options.final_norm:
        x = _norm(config, "norm", dtype)(x)
    return TwinsGraph(x, tuple(stages), tuple(names), tuple(blocks))


def _stage_layers(
    config: TwinsConfig, stage: int, options: BackboneOptions, dtype: DType
) -> list[keras.layers.Layer]:
    """Returns the layers of one stage, in order."""
    layers: list[keras.layers.Layer] = [
        PatchEmbedding(
            config.embed_dims[stage],
            config.patch_sizes[stage],
            patch_padding=config.patch_padding,
            epsilon=config.patch_norm_epsilon,
            dtype=dtype,
            name=f"stage{stage}_patch_embedding",
        )
    ]
    for block in range(config.depths[stage]):
        layers.append(_block(config, stage, block, options, dtype))
        if block == 0 and config.position_encoding == "peg":
            layers.append(
                PositionEncodingGenerator(dtype=dtype, name=f"stage{stage}_peg")
            )
    if config.output_norms:
        layers.append(_norm(config, f"stage{stage}_output_norm", dtype))
    return layers


def _block(
    config: TwinsConfig,
    stage: int,
    block: int,
    options: BackboneOptions,
    dtype: DType,
) -> TwinsBlock:
    rates = config.drop_path_rates(options.drop_path_rate)
    return TwinsBlock(
        config.block_kinds(stage)[block],
        num_heads=config.num_heads[stage],
        mlp_ratio=config.mlp_ratios[stage],
        window_size=config.window_sizes[stage],
        window_padding=config.window_padding,
        sr_ratio=config.sr_ratios[stage],
        reduction=config.reduction,
        epsilon=config.layer_norm_epsilon,
        reduction_epsilon=config.reduction_norm_epsilon,
        drop_path_rate=rates[stage][block],
        dropout_rate=options.dropout_rate,
        attention_dropout_rate=options.attention_dropout_rate,
        gradient_checkpointing=options.gradient_checkpointing,
        dtype=dtype,
        name=f"stage{stage}_block{block}",
    )


def _norm(config: TwinsConfig, name: str, dtype: DType) -> LayerNormalization:
    return LayerNormalization(
        epsilon=config.layer_norm_epsilon, dtype=dtype, name=name
    )


def _require_channels_last() -> None:
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "Twins does not support the `channels_first` image data format. "
            "Switch to `channels_last` by editing your local config file at "
            "~/.keras/keras.json, or call "
            "`keras.config.set_image_data_format('channels_last')`."
        )


def _require_size(config: TwinsConfig, inputs: Tensor) -> None:
    shape = tuple(inputs.shape)
    minimum = config.min_size()
    if len(shape) != 4 or shape[-1] is None:
        raise ValueError(
            "Twins needs images of shape (batch, height, width, channels) "
            f"with known channels. Received: shape={shape}"
        )
    if any(size is not None and size < minimum for size in shape[1:3]):
        raise ValueError(
            f"Input size must be at least {minimum}x{minimum}; Received: "
            f"input_shape={shape[1:]}"
        )
