"""KerasHub's segmentation models on Twins.

Their heads compute in Keras' global dtype policy, whatever the backbone's.
"""

from collections.abc import Sequence
from typing import Any

import keras
import keras_hub.layers
import keras_hub.models

from keras_twins.integrations.encoder import DEEPLAB
from keras_twins.integrations.encoder import LEVELS
from keras_twins.integrations.encoder import SEGFORMER
from keras_twins.integrations.encoder import ImageShape
from keras_twins.integrations.encoder import Weights
from keras_twins.integrations.encoder import make_encoder
from keras_twins.integrations.keras_hub.presets import PACKAGE
from keras_twins.integrations.keras_hub.presets import pixel_scaling


def deeplab_v3(
    backbone: keras.Model | str,
    num_classes: int,
    *,
    weights: Weights = "imagenet",
    image_shape: ImageShape = (512, 512, 3),
    low_level_feature_key: str | None = "P2",
    dilation_rates: Sequence[int] = (6, 12, 18),
    projection_filters: int = 48,
    activation: str | None = None,
    include_preprocessing: bool = True,
    **kwargs: Any,
) -> keras.Model:
    """Builds KerasHub's DeepLabV3 or DeepLabV3+ on a Twins backbone.

    KerasHub compiles its segmenters for one-hot labels. For maps of integers,
    compile the model with `SparseCategoricalCrossentropy` (`from_logits=True`
    unless there is an activation, `ignore_class=255` for ignored pixels) and
    with metrics of your own: its default metric wants one-hot labels, too.

    Args:
        backbone: A `keras_twins.TwinsBackbone` or KerasHub's `TwinsBackbone`,
            whose images have sides that are `None` or multiples of 32; or a
            key of `keras_twins.VARIANTS`.
        num_classes: Number of classes, background included.
        weights: Weights of the variant if `backbone` is a name:
            `"imagenet"`, the path of a weights file, or `None`.
        image_shape: Shape of an image if `backbone` is a name.
        low_level_feature_key: Level that is joined to the pooled one, `"P2"`
            to `"P4"` (DeepLabV3+); `None` for DeepLabV3.
        dilation_rates: Dilation rates of the pooling over `"P5"`.
        projection_filters: Channels that the low level is projected to.
        activation: Activation of the output; `None` gives logits.
        include_preprocessing: Whether `fit`, `evaluate` and `predict` take
            pixels of 0 to 255, if they have 3 channels: the model then has
            a `preprocessor`. A call takes normalised images.
        **kwargs: Arguments of `keras_hub.models.DeepLabV3ImageSegmenter`.

    Returns:
        A `keras_hub.models.DeepLabV3ImageSegmenter`, from images of shape
        `(batch, height, width, 3)` to `(batch, height, width, num_classes)`.

    Raises:
        ValueError: If the backbone or the level does not fit.

    Example:

    ```python
    from keras_twins.integrations import keras_hub as twins_hub

    model = twins_hub.deeplab_v3(
        "svt_small", num_classes=21, weights=None, image_shape=(64, 64, 3)
    )
    ```
    """
    if low_level_feature_key not in (None, *LEVELS[:-1]):
        raise ValueError(
            f"`low_level_feature_key` must be None or one of {LEVELS[:-1]}. "
            f"Received: low_level_feature_key={low_level_feature_key!r}"
        )
    encoder = make_encoder(backbone, DEEPLAB, num_classes, weights, image_shape)
    level = LEVELS.index(low_level_feature_key or "P2")
    features = keras_hub.models.DeepLabV3Backbone(
        image_encoder=encoder,
        spatial_pyramid_pooling_key="P5",
        low_level_feature_key=low_level_feature_key,
        upsampling_size=2 ** (LEVELS.index("P5") - level),
        dilation_rates=list(dilation_rates),
        projection_filters=projection_filters,
        image_shape=tuple(encoder.image_shape),
    )
    if include_preprocessing and encoder.image_shape[-1] == 3:
        converter = keras_hub.layers.DeepLabV3ImageConverter(**pixel_scaling())
        preprocessor = keras_hub.models.DeepLabV3ImageSegmenterPreprocessor
        kwargs.setdefault("preprocessor", preprocessor(converter))
    return keras_hub.models.DeepLabV3ImageSegmenter(
        features, int(num_classes), activation=activation, **kwargs
    )


def segformer(
    backbone: keras.Model | str,
    num_classes: int,
    *,
    weights: Weights = "imagenet",
    image_shape: ImageShape = (512, 512, 3),
    projection_filters: int = 256,
    include_preprocessing: bool = True,
    **kwargs: Any,
) -> keras.Model:
    """Builds KerasHub's SegFormer with a Twins backbone as its encoder.

    It is compiled for one-hot labels, see `deeplab_v3`.

    Args:
        backbone: A `keras_twins.TwinsBackbone` or KerasHub's `TwinsBackbone`
            of a known image size and different channels in each stage; or a
            key of `keras_twins.VARIANTS`.
        num_classes: Number of classes, background included.
        weights: Weights of the variant if `backbone` is a name:
            `"imagenet"`, the path of a weights file, or `None`.
        image_shape: Shape of an image if `backbone` is a name.
        projection_filters: Channels that each level is projected to.
        include_preprocessing: Whether `fit`, `evaluate` and `predict` take
            pixels of 0 to 255, if they have 3 channels: the model then has
            a `preprocessor`. A call takes normalised images.
        **kwargs: Arguments of `keras_hub.models.SegFormerImageSegmenter`.

    Returns:
        A `keras_hub.models.SegFormerImageSegmenter`, from images of shape
        `(batch, height, width, 3)` to logits of shape
        `(batch, height, width, num_classes)`.

    Raises:
        ValueError: If the backbone does not fit.

    Example:

    ```python
    from keras_twins.integrations import keras_hub as twins_hub

    model = twins_hub.segformer(
        "svt_small", num_classes=21, weights=None, image_shape=(64, 64, 3)
    )
    ```
    """
    encoder = make_encoder(
        backbone, SEGFORMER, num_classes, weights, image_shape
    )
    features = keras_hub.models.SegFormerBackbone(
        image_encoder=SegFormerEncoder(encoder),
        projection_filters=projection_filters,
    )
    if include_preprocessing and encoder.image_shape[-1] == 3:
        converter = keras_hub.layers.SegFormerImageConverter(**pixel_scaling())
        preprocessor = keras_hub.models.SegFormerImageSegmenterPreprocessor
        kwargs.setdefault("preprocessor", preprocessor(converter))
    return keras_hub.models.SegFormerImageSegmenter(
        features, int(num_classes), **kwargs
    )


@keras.saving.register_keras_serializable(package=PACKAGE)
class SegFormerEncoder(keras.Model):
    """A backbone whose levels are named as KerasHub's SegFormer wants them.

    Its own encoder calls the maps of strides 4 to 32 `P1` to `P4`, where
    every other backbone says `P2` to `P5`, and its head asks for these names.

    Args:
        backbone: A backbone with `pyramid_outputs` `P2` to `P5`; its layers
            are shared.
        **kwargs: Keywords of `keras.Model`.

    Call arguments:
        inputs: What the backbone takes.

    Call returns:
        What the backbone gives.
    """

    def __init__(self, backbone: keras.Model, **kwargs: Any):
        super().__init__(
            inputs=backbone.input, outputs=backbone.output, **kwargs
        )
        self.backbone = backbone
        self.hidden_dims = list(backbone.hidden_dims)
        self.pyramid_outputs = {
            f"P{index}": backbone.pyramid_outputs[level]
            for index, level in enumerate(LEVELS, start=1)
        }

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments that make this encoder again."""
        return {
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "name": self.name,
            "trainable": self.trainable,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Any = None
    ) -> "SegFormerEncoder":
        """Builds an encoder from what `get_config` returned."""
        backbone = keras.saving.deserialize_keras_object(
            config["backbone"], custom_objects=custom_objects
        )
        return cls(**{**config, "backbone": backbone})
