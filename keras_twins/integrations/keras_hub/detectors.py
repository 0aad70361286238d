"""KerasHub's RetinaNet on Twins.

It learns from dictionaries of boxes that `detection.batches.to_keras_boxes`
makes of the package's batches.
"""

import dataclasses
from typing import Any

import keras
import keras_hub.layers
import keras_hub.models

from keras_twins.integrations.encoder import RETINANET
from keras_twins.integrations.encoder import ImageShape
from keras_twins.integrations.encoder import Weights
from keras_twins.integrations.encoder import make_encoder
from keras_twins.integrations.keras_hub.presets import pixel_scaling

_COARSEST = (5, 6, 7)


def retinanet(
    backbone: keras.Model | str,
    num_classes: int,
    *,
    weights: Weights = "imagenet",
    image_shape: ImageShape = (512, 512, 3),
    bounding_box_format: str = "xyxy",
    max_level: int = 7,
    use_p5: bool = False,
    include_preprocessing: bool = True,
    **kwargs: Any,
) -> keras.Model:
    """Builds KerasHub's RetinaNet on a Twins backbone.

    KerasHub compiles it with losses of its own; metrics it does not take.
    `fit` takes images and a dictionary of `boxes` and `labels`, both -1 where
    they are padding.

    Args:
        backbone: A `keras_twins.TwinsBackbone` or KerasHub's `TwinsBackbone`,
            whose images have sides that are multiples of `2**max_level`; or
            a key of `keras_twins.VARIANTS`.
        num_classes: Number of classes.
        weights: Weights of the variant if `backbone` is a name:
            `"imagenet"`, the path of a weights file, or `None`.
        image_shape: Shape of an image if `backbone` is a name.
        bounding_box_format: Format of the boxes it learns from and predicts,
            such as `"xyxy"`, `"yxyx"`, `"xywh"` or `"center_xywh"`, in
            pixels.
        max_level: The coarsest level, 5 to 7; its stride is `2**max_level`.
        use_p5: Whether level 6 comes from the map of the backbone, not from
            that of the pyramid.
        include_preprocessing: Whether `fit`, `evaluate` and `predict` take
            pixels of 0 to 255, if they have 3 channels: the model then has
            a `preprocessor`. A call takes normalised images.
        **kwargs: Arguments of `keras_hub.models.RetinaNetObjectDetector`,
            such as `prediction_decoder`.

    Returns:
        A `keras_hub.models.RetinaNetObjectDetector`, from images of shape
        `(batch, height, width, 3)` to `"bbox_regression"` and
        `"cls_logits"`: deltas of shape `(batch, anchors, 4)` and logits of
        shape `(batch, anchors, num_classes)`. `predict` gives `boxes`,
        `confidence`, `labels` and `num_detections`.

    Raises:
        ValueError: If the backbone, the level or the format does not fit.

    Example:

    ```python
    from keras_twins.integrations import keras_hub as twins_hub

    model = twins_hub.retinanet(
        "svt_small", num_classes=20, weights=None, image_shape=(128, 128, 3)
    )
    ```
    """
    _check(max_level, bounding_box_format)
    # Its anchors lie on a grid that is stretched to the image: only at these
    # sizes it is that of the maps.
    rule = dataclasses.replace(
        RETINANET, multiple=2**max_level, known_size=True
    )
    encoder = make_encoder(backbone, rule, num_classes, weights, image_shape)
    features = keras_hub.models.RetinaNetBackbone(
        image_encoder=encoder,
        min_level=3,
        max_level=max_level,
        use_p5=use_p5,
        image_shape=tuple(encoder.image_shape),
    )
    if include_preprocessing and encoder.image_shape[-1] == 3:
        converter = keras_hub.layers.RetinaNetImageConverter(
            **pixel_scaling(), bounding_box_format=bounding_box_format
        )
        preprocessor = keras_hub.models.RetinaNetObjectDetectorPreprocessor
        kwargs.setdefault("preprocessor", preprocessor(converter))
    return keras_hub.models.RetinaNetObjectDetector(
        features,
        int(num_classes),
        bounding_box_format=bounding_box_format,
        **kwargs,
    )


def _check(max_level: int, bounding_box_format: str) -> None:
    if max_level not in _COARSEST:
        raise ValueError(
            f"`max_level` must be one of {_COARSEST}. Received: "
            f"max_level={max_level!r}"
        )
    if "rel" in bounding_box_format:
        raise ValueError(
            "`bounding_box_format` must be one in pixels: KerasHub's anchors "
            "have no others. Convert the boxes with "
            "`keras.utils.bounding_boxes.convert_format`. Received: "
            f"bounding_box_format={bounding_box_format!r}"
        )
