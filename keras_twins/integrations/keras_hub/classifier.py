"""The image classifier as a task of KerasHub, with its preprocessing."""

from typing import Any

import keras
import keras_hub.layers
import keras_hub.models

from keras_twins.config import VARIANTS
from keras_twins.integrations.keras_hub.backbone import TwinsBackbone
from keras_twins.integrations.keras_hub.presets import IMAGENET_CLASSES
from keras_twins.integrations.keras_hub.presets import PACKAGE
from keras_twins.integrations.keras_hub.presets import pixel_scaling
from keras_twins.integrations.keras_hub.presets import timm_variant
from keras_twins.weights import load_pretrained

# Of the images that timm's weights were trained on.
_SIDE = 224


@keras.saving.register_keras_serializable(package=PACKAGE)
class TwinsImageConverter(keras_hub.layers.ImageConverter):
    """Resizes and normalises pixels of 0 to 255 for a Twins backbone.

    Takes the arguments of `keras_hub.layers.ImageConverter`.
    """

    backbone_cls = TwinsBackbone

    @classmethod
    def from_preset(cls, preset: str, **kwargs: Any) -> "TwinsImageConverter":
        """Builds the converter that a preset describes.

        That of timm's handles resizes to 224 x 224 pixels by bicubic
        interpolation and cuts what sticks out. timm itself cuts 10 % off
        every side, see `keras_twins.preprocessing.load_image`.

        Args:
            preset: As for `TwinsBackbone.from_preset`.
            **kwargs: Arguments of the converter to set otherwise.

        Returns:
            A `TwinsImageConverter`.
        """
        if timm_variant(preset) is None:
            return super().from_preset(preset, **kwargs)
        defaults = {
            **pixel_scaling(),
            "image_size": (_SIDE, _SIDE),
            "interpolation": "bicubic",
            "antialias": True,
        }
        return cls(**{**defaults, **kwargs})


@keras.saving.register_keras_serializable(package=PACKAGE)
class TwinsImageClassifierPreprocessor(
    keras_hub.models.ImageClassifierPreprocessor
):
    """Prepares images and labels for a `TwinsImageClassifier`.

    Takes the arguments of `keras_hub.models.ImageClassifierPreprocessor`.
    """

    backbone_cls = TwinsBackbone
    image_converter_cls = TwinsImageConverter

    @classmethod
    def from_preset(
        cls, preset: str, **kwargs: Any
    ) -> "TwinsImageClassifierPreprocessor":
        """Builds the preprocessor that a preset describes.

        Args:
            preset: As for `TwinsBackbone.from_preset`.
            **kwargs: Arguments of the preprocessor to set otherwise.

        Returns:
            A `TwinsImageClassifierPreprocessor`.
        """
        if timm_variant(preset) is None:
            return super().from_preset(preset, **kwargs)
        converter = cls.image_converter_cls.from_preset(preset)
        return cls(**{"image_converter": converter, **kwargs})


@keras.saving.register_keras_serializable(package=PACKAGE)
class TwinsImageClassifier(keras_hub.models.ImageClassifier):
    """Twins as a `keras_hub.models.ImageClassifier`.

    Takes the arguments of that class; `activation=None`, its default, gives
    logits. `fit`, `evaluate` and `predict` put pixels through the
    preprocessor, if there is one; a call takes prepared images.

    Example:

    ```python
    from keras_twins.integrations import keras_hub as twins_hub

    backbone = twins_hub.TwinsBackbone(keras_twins.VARIANTS["svt_small"])
    model = twins_hub.TwinsImageClassifier(backbone, num_classes=5)
    logits = model(images)
    ```
    """

    backbone_cls = TwinsBackbone
    preprocessor_cls = TwinsImageClassifierPreprocessor

    @classmethod
    def from_preset(
        cls, preset: str, load_weights: bool = True, **kwargs: Any
    ) -> "TwinsImageClassifier":
        """Builds the classifier that a preset describes.

        Args:
            preset: As for `TwinsBackbone.from_preset`.
            load_weights: Whether to load the weights.
            **kwargs: Arguments of the classifier to set otherwise, and
                `dtype` and `image_shape` of the backbone. With
                `num_classes`, the head starts from random values. Of timm's
                handles, the preprocessor resizes to the height and width of
                `image_shape`.

        Returns:
            A `TwinsImageClassifier`.

        Raises:
            ValueError: If the preset is unknown, or holds something else.
        """
        variant = timm_variant(preset)
        if variant is None:
            return super().from_preset(
                preset, load_weights=load_weights, **kwargs
            )
        with_head = "num_classes" not in kwargs
        of_backbone = {
            key: kwargs.pop(key)
            for key in ("dtype", "image_shape")
            if key in kwargs
        }
        config = VARIANTS[variant]
        if "preprocessor" not in kwargs:
            sides = of_backbone.get("image_shape", (None, None))[:2]
            converter = cls.preprocessor_cls.image_converter_cls.from_preset(
                preset, image_size=tuple(side or _SIDE for side in sides)
            )
            kwargs["preprocessor"] = cls.preprocessor_cls.from_preset(
                preset, image_converter=converter
            )
        model = cls(
            backbone=TwinsBackbone(config, **of_backbone),
            num_classes=kwargs.pop("num_classes", IMAGENET_CLASSES),
            **kwargs,
        )
        load_pretrained(
            model if with_head else model.backbone,
            config,
            variant,
            "imagenet" if load_weights else None,
            include_top=with_head,
        )
        return model
