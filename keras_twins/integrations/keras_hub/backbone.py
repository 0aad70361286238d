"""The backbone as a class of KerasHub."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import keras_hub.models

from keras_twins.backbone import BackboneOptions
from keras_twins.backbone import DType
from keras_twins.backbone import build_graph
from keras_twins.config import VARIANTS
from keras_twins.config import TwinsConfig
from keras_twins.config import read_config
from keras_twins.integrations.encoder import LEVELS
from keras_twins.integrations.encoder import ImageShape
from keras_twins.integrations.keras_hub.presets import PACKAGE
from keras_twins.integrations.keras_hub.presets import timm_variant
from keras_twins.layers.composite import serialize_dtype
from keras_twins.weights import load_pretrained

_BY_NAME = 'TwinsBackbone.from_preset("hf://timm/twins_svt_small.in1k")'


@keras.saving.register_keras_serializable(package=PACKAGE)
class TwinsBackbone(keras_hub.models.FeaturePyramidBackbone):
    """Twins as a `keras_hub.models.FeaturePyramidBackbone`.

    The same layers and weights as `keras_twins.TwinsBackbone`, with what
    KerasHub adds: presets, LoRA, and tasks that find it by its presets.

    Args:
        config: The architecture: a `keras_twins.TwinsConfig`, or its
            dictionary.
        image_shape: Shape of an image, `(height, width, channels)`. Height
            and width may be `None`.
        drop_path_rate: Stochastic-depth rate of the last block; the rates
            rise linearly from 0.
        dropout_rate: Dropout after attention and in the MLPs.
        attention_dropout_rate: Dropout of the attention weights.
        gradient_checkpointing: Whether training computes each block a second
            time in the backward pass to save memory.
        final_norm: Whether the output goes through the final LayerNorm.
        dtype: Dtype policy of all layers.
        **kwargs: Keywords of `keras_hub.models.Backbone`.

    Call arguments:
        inputs: Images of shape `(batch, height, width, channels)`,
            normalised, at least 32 pixels high and wide.

    Call returns:
        Map of shape `(batch, height / 32, width / 32, channels)`.

    Raises:
        ValueError: If the config, the shape or the data format does not fit.

    Example:

    ```python
    from keras_twins.integrations.keras_hub import TwinsBackbone

    backbone = TwinsBackbone(keras_twins.VARIANTS["svt_small"])
    backbone.save_to_preset("twins")
    backbone = TwinsBackbone.from_preset("twins", image_shape=(64, 64, 3))
    ```
    """

    def __init__(
        self,
        config: TwinsConfig | Mapping[str, Any],
        image_shape: ImageShape = (None, None, 3),
        drop_path_rate: float = 0.0,
        dropout_rate: float = 0.0,
        attention_dropout_rate: float = 0.0,
        gradient_checkpointing: bool = False,
        final_norm: bool = True,
        dtype: DType = None,
        **kwargs: Any,
    ):
        config = read_config(config, _BY_NAME)
        options = BackboneOptions(
            drop_path_rate=drop_path_rate,
            dropout_rate=dropout_rate,
            attention_dropout_rate=attention_dropout_rate,
            gradient_checkpointing=gradient_checkpointing,
            final_norm=final_norm,
        )
        height, width, channels = image_shape
        inputs = keras.Input((height, width, channels), name="images")
        graph = build_graph(config, inputs, options, dtype)
        super().__init__(
            inputs=inputs, outputs=graph.output, dtype=dtype, **kwargs
        )
        self.config = config
        self.image_shape = (height, width, channels)
        self.options = options
        self.pyramid_outputs = dict(zip(LEVELS, graph.stages, strict=True))
        # What heads of KerasHub and KerasCV read.
        self.pyramid_level_inputs = dict(
            zip(LEVELS, graph.stage_layers, strict=True)
        )
        self.stage_names = list(LEVELS)
        self.hidden_dims = list(config.embed_dims)
        self.embedding_dims = list(config.embed_dims)
        self.data_format = "channels_last"

    @classmethod
    def from_preset(
        cls, preset: str, load_weights: bool = True, **kwargs: Any
    ) -> "TwinsBackbone":
        """Builds the backbone that a preset describes.

        Args:
            preset: A folder that `save_to_preset` wrote, a handle of such a
                folder on a hub, or `"hf://timm/twins_<variant>.in1k"`. The
                latter's weights come from the package's verified sources.
            load_weights: Whether to load the weights.
            **kwargs: Arguments of `TwinsBackbone` to set otherwise.

        Returns:
            A `TwinsBackbone`.

        Raises:
            ValueError: If the preset is unknown, or holds something else.
        """
        variant = timm_variant(preset)
        if variant is None:
            return super().from_preset(
                preset, load_weights=load_weights, **kwargs
            )
        config = VARIANTS[variant]
        backbone = cls(config, **kwargs)
        weights = "imagenet" if load_weights else None
        load_pretrained(backbone, config, variant, weights, include_top=False)
        return backbone

    def default_lora_layer_names(self) -> list[str]:
        """Returns the names of the layers that make queries and values."""
        return ["q", "kv", "qkv"]

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make this backbone again."""
        return {
            **super().get_config(),
            "config": self.config.to_dict(),
            "image_shape": list(self.image_shape),
            **dataclasses.asdict(self.options),
            "dtype": serialize_dtype(self),
        }
