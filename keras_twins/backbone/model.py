"""The backbone as a functional model with a feature pyramid."""

import dataclasses
import os
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Literal

import keras

from keras_twins.backbone.functional import check_model_keywords
from keras_twins.backbone.functional import frozen_layers
from keras_twins.backbone.functional import restore_trainable
from keras_twins.backbone.graph import BackboneOptions
from keras_twins.backbone.graph import DType
from keras_twins.backbone.graph import TwinsGraph
from keras_twins.backbone.graph import build_graph
from keras_twins.config import TwinsConfig
from keras_twins.config import read_config
from keras_twins.config import variant_config
from keras_twins.layers.composite import serialize_dtype
from keras_twins.ops import Tensor
from keras_twins.weights import load_pretrained


@keras.saving.register_keras_serializable(package="keras_twins")
class TwinsBackbone(keras.Model):
    """Twins without a head, with its feature pyramid `P2` to `P5`.

    A functional `keras.Model`. Heads of KerasCV and KerasHub read its
    attributes; it needs neither library. Beside the usual ones, these are
    `config` (the `TwinsConfig`), `pyramid_outputs` (`{"P2": tensor, ...}`;
    `Pn` has stride `2**n`), `pyramid_level_inputs` (names of the layers that
    give them), `hidden_dims` and `embedding_dims` (their channels),
    `stage_names`, `image_shape`, `data_format` and `feature_info` (channels,
    stride and layer of each level).

    Args:
        config: The architecture: a `TwinsConfig`, or its dictionary.
        image_shape: Shape of an image, `(height, width, channels)`. Height
            and width may be `None`.
        input_tensor: A `KerasTensor` to build upon, instead of a new input.
        drop_path_rate: Stochastic-depth rate of the last block; the rates
            rise linearly from 0.
        dropout_rate: Dropout after attention and in the MLPs.
        attention_dropout_rate: Dropout of the attention weights.
        gradient_checkpointing: Whether training computes each block a second
            time in the backward pass to save memory.
        final_norm: Whether the output goes through the final LayerNorm, as
            the classifier does. `P5` never does.
        image_dtype: Dtype of the input; by default the global floating one.
        dtype: Dtype policy of all layers.
        name: Name of the model.
        **kwargs: `trainable`, as for every layer.

    Call arguments:
        inputs: Images of shape `(batch, height, width, channels)`,
            normalised, at least 32 pixels high and wide.

    Call returns:
        Map of shape `(batch, height / 32, width / 32, channels)`.

    Raises:
        ValueError: If the shape or the data format does not fit.

    Reference:
        - [Twins](https://arxiv.org/abs/2104.13840)

    Example:

    ```python
    backbone = keras_twins.TwinsBackbone(
        keras_twins.VARIANTS["svt_small"], image_shape=(224, 224, 3)
    )
    images = keras.random.normal((1, 224, 224, 3))
    p2, p5 = backbone.feature_model([0, -1])(images)
    ```
    """

    def __init__(
        self,
        config: TwinsConfig | Mapping[str, Any],
        image_shape: tuple[int | None, int | None, int] = (None, None, 3),
        input_tensor: Tensor | None = None,
        drop_path_rate: float = 0.0,
        dropout_rate: float = 0.0,
        attention_dropout_rate: float = 0.0,
        gradient_checkpointing: bool = False,
        final_norm: bool = True,
        image_dtype: str | None = None,
        dtype: DType = None,
        name: str = "twins_backbone",
        **kwargs,
    ):
        check_model_keywords(type(self), kwargs)
        config = read_config(config, "TwinsBackbone.from_variant")
        options = BackboneOptions(
            drop_path_rate=drop_path_rate,
            dropout_rate=dropout_rate,
            attention_dropout_rate=attention_dropout_rate,
            gradient_checkpointing=gradient_checkpointing,
            final_norm=final_norm,
        )
        inputs = input_tensor
        if inputs is None:
            inputs = keras.Input(image_shape, dtype=image_dtype, name="images")
        graph = build_graph(config, inputs, options, dtype)
        sources = keras.utils.get_source_inputs(inputs)
        super().__init__(
            inputs=sources[0] if len(sources) == 1 else sources,
            outputs=graph.output,
            name=name,
            **kwargs,
        )
        self.dtype_policy = keras.dtype_policies.get(dtype)
        self.config = config
        self.image_shape = tuple(inputs.shape[1:])
        self._options = options
        # Only what starts at a plain input of its own can be made again.
        self._reproducible = inputs is sources[0] and len(sources) == 1
        self._image_dtype = keras.backend.standardize_dtype(inputs.dtype)
        self._graph_blocks = list(graph.blocks)
        self._describe_pyramid(graph)

    def _describe_pyramid(self, graph: TwinsGraph) -> None:
        names = [f"P{level}" for level in range(2, 2 + len(graph.stages))]
        self.pyramid_outputs = dict(zip(names, graph.stages, strict=True))
        self.pyramid_level_inputs = dict(
            zip(names, graph.stage_layers, strict=True)
        )
        self.stage_names = names
        self.hidden_dims = list(self.config.embed_dims)
        self.embedding_dims = list(self.config.embed_dims)
        self.data_format = "channels_last"
        self.feature_info = [
            {"num_chs": dim, "reduction": 2**level, "module": layer}
            for level, (dim, layer) in enumerate(
                zip(self.hidden_dims, graph.stage_layers, strict=True), start=2
            )
        ]

    @classmethod
    def from_variant(
        cls,
        variant: str,
        weights: str | os.PathLike | None = "imagenet",
        **kwargs,
    ) -> "TwinsBackbone":
        """Builds the backbone of a published variant, with its weights.

        Args:
            variant: A key of `keras_twins.VARIANTS`, such as `"svt_base"`.
            weights: `"imagenet"`, the path of a weights file, or `None` for
                random values.
            **kwargs: Arguments of `TwinsBackbone`.

        Returns:
            A `TwinsBackbone`.

        Example:

        ```python
        backbone = keras_twins.TwinsBackbone.from_variant(
            "svt_small", weights=None
        )
        ```
        """
        config = variant_config(variant)
        backbone = cls(config, **kwargs)
        load_pretrained(backbone, config, variant, weights, include_top=False)
        return backbone

    def feature_model(
        self,
        indices: Sequence[int | str],
        of: Literal["stages", "blocks"] = "stages",
    ) -> keras.Model:
        """Returns a model that gives intermediate maps, by index.

        Args:
            indices: Indices of the stages or blocks; negative ones count
                from the end. Stages also by name, `"P2"` to `"P5"`.
            of: `"stages"`: maps of the pyramid, `P2` to `P5`. `"blocks"`:
                maps after each block of the whole network.

        Returns:
            A `keras.Model` that shares this model's layers; its output is a
            list of maps of shape `(batch, height, width, channels)`, or the
            map itself if there is one index.

        Raises:
            ValueError: If an index is out of range, or `of` is unknown.
        """
        if of not in ("stages", "blocks"):
            raise ValueError(
                f"`of` must be 'stages' or 'blocks'. Received: of={of!r}"
            )
        maps = self._graph_blocks
        if of == "stages":
            maps = list(self.pyramid_outputs.values())
        choices: dict[int | str, Tensor] = {
            i: maps[i] for i in range(-len(maps), len(maps))
        }
        if of == "stages":
            choices.update(self.pyramid_outputs)
        if not indices or any(index not in choices for index in indices):
            raise ValueError(
                f"`indices` must hold indices of the {len(maps)} {of}, or "
                f"names of {self.stage_names} for stages. Received: "
                f"indices={list(indices)}"
            )
        model = keras.Model(self.input, [choices[i] for i in indices])
        model.dtype_policy = self.dtype_policy
        return model

    def get_config(self) -> dict[str, Any]:
        if not self._reproducible:
            raise ValueError(
                "A TwinsBackbone built upon the output of other layers "
                "(`input_tensor`) cannot be saved as such: these layers are "
                "not a part of its configuration. Save "
                "`keras.Model(backbone.input, backbone.output)` instead."
            )
        return {
            "config": self.config.to_dict(),
            "image_shape": list(self.image_shape),
            "image_dtype": self._image_dtype,
            **dataclasses.asdict(self._options),
            "dtype": serialize_dtype(self),
            "name": self.name,
            "trainable": self.trainable,
            "frozen_layers": frozen_layers(self),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "TwinsBackbone":
        config = dict(config)
        trainable = config.pop("trainable", True)
        frozen = config.pop("frozen_layers", None)
        config["image_shape"] = tuple(config["image_shape"])
        config["dtype"] = keras.dtype_policies.deserialize(config["dtype"])
        backbone = cls(**config)
        restore_trainable(backbone, trainable, frozen)
        return backbone
