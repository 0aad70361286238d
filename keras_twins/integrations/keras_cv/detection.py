"""KerasCV's detectors on Twins.

They learn from dictionaries of boxes that `detection.batches.to_keras_boxes`
makes of the package's batches, with `labels_key="classes"`.
"""

from typing import Any

import keras

from keras_twins.integrations.encoder import RETINANET
from keras_twins.integrations.encoder import YOLO_V8
from keras_twins.integrations.encoder import ImageShape
from keras_twins.integrations.encoder import Weights
from keras_twins.integrations.encoder import make_encoder
from keras_twins.integrations.keras_cv.library import keras_cv_library


def retinanet(
    backbone: keras.Model | str,
    num_classes: int,
    *,
    weights: Weights = "imagenet",
    image_shape: ImageShape = (512, 512, 3),
    bounding_box_format: str = "xyxy",
    **kwargs: Any,
) -> keras.Model:
    """Builds KerasCV's RetinaNet on a Twins backbone.

    Compile it with `box_loss="smoothl1"` and `classification_loss="focal"`.
    `fit` takes images and a dictionary of `boxes` and `classes`, both -1
    where they are padding. KerasCV names the input `images`, and Keras warns
    of images that come without that name; nothing is wrong with them.

    Args:
        backbone: A `keras_twins.TwinsBackbone`, whose images have sides that
            are `None` or multiples of 32; or a key of `keras_twins.VARIANTS`.
        num_classes: Number of classes.
        weights: Weights of the variant if `backbone` is a name:
            `"imagenet"`, the path of a weights file, or `None`.
        image_shape: Shape of an image if `backbone` is a name.
        bounding_box_format: Format of the boxes it learns from and predicts;
            see `keras_cv.bounding_box`.
        **kwargs: Arguments of `keras_cv.models.RetinaNet`, such as
            `prediction_decoder`.

    Returns:
        A `keras_cv.models.RetinaNet`, from normalised images of shape
        `(batch, height, width, 3)` to `"box"` and `"classification"`:
        deltas of shape `(batch, anchors, 4)` and logits of shape
        `(batch, anchors, num_classes)`. `predict` gives `boxes`,
        `confidence`, `classes` and `num_detections`; on the torch backend it
        needs torchvision.

    Raises:
        ImportError: If KerasCV is not installed.
        ValueError: If the backbone does not fit.

    Example:

    ```python
    from keras_twins.integrations import keras_cv as twins_cv

    model = twins_cv.retinanet(
        "svt_small", num_classes=20, weights=None, image_shape=(64, 64, 3)
    )
    model.compile(
        optimizer="sgd", box_loss="smoothl1", classification_loss="focal"
    )
    ```
    """
    library = keras_cv_library()
    encoder = make_encoder(
        backbone, RETINANET, num_classes, weights, image_shape
    )
    model = library.models.RetinaNet(
        backbone=encoder,
        num_classes=int(num_classes),
        bounding_box_format=bounding_box_format,
        **kwargs,
    )
    _explain_suppression(model.prediction_decoder)
    return model


def yolo_v8(
    backbone: keras.Model | str,
    num_classes: int,
    *,
    weights: Weights = "imagenet",
    image_shape: ImageShape = (512, 512, 3),
    bounding_box_format: str = "xyxy",
    fpn_depth: int = 2,
    **kwargs: Any,
) -> keras.Model:
    """Builds KerasCV's YOLOv8 detector on a Twins backbone.

    Compile it with `box_loss="ciou"` and
    `classification_loss="binary_crossentropy"`. `fit` takes images and a
    dictionary of `boxes` and `classes`, both -1 where they are padding.

    Args:
        backbone: A `keras_twins.TwinsBackbone`, whose images have sides that
            are `None` or multiples of 32; or a key of `keras_twins.VARIANTS`.
        num_classes: Number of classes.
        weights: Weights of the variant if `backbone` is a name:
            `"imagenet"`, the path of a weights file, or `None`.
        image_shape: Shape of an image if `backbone` is a name.
        bounding_box_format: Format of the boxes it learns from and predicts;
            see `keras_cv.bounding_box`.
        fpn_depth: Blocks that join two levels of the pyramid.
        **kwargs: Arguments of `keras_cv.models.YOLOV8Detector`, such as
            `prediction_decoder`.

    Returns:
        A `keras_cv.models.YOLOV8Detector`, from normalised images of shape
        `(batch, height, width, 3)` to `"boxes"` and `"classes"`:
        distributions of shape `(batch, points, 64)` and probabilities of
        shape `(batch, points, num_classes)`. `predict` gives `boxes`,
        `confidence`, `classes` and `num_detections`; on the torch backend it
        needs torchvision.

    Raises:
        ImportError: If KerasCV is not installed.
        ValueError: If the backbone does not fit.

    Example:

    ```python
    from keras_twins.integrations import keras_cv as twins_cv

    model = twins_cv.yolo_v8(
        "svt_small", num_classes=20, weights=None, image_shape=(64, 64, 3)
    )
    model.compile(
        optimizer="sgd",
        box_loss="ciou",
        classification_loss="binary_crossentropy",
    )
    ```
    """
    library = keras_cv_library()
    encoder = make_encoder(backbone, YOLO_V8, num_classes, weights, image_shape)
    model = library.models.YOLOV8Detector(
        backbone=encoder,
        num_classes=int(num_classes),
        bounding_box_format=bounding_box_format,
        fpn_depth=fpn_depth,
        **kwargs,
    )
    _explain_suppression(model.prediction_decoder)
    return model


def _explain_suppression(decoder: keras.layers.Layer) -> None:
    """Makes a decoder say what it misses; its class and config stay."""
    call = decoder.call

    def explained(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        except (ImportError, RuntimeError) as error:
            if "torchvision" not in str(error):
                raise
            raise ImportError(
                "KerasCV decodes boxes on the torch backend with "
                f"torchvision's `nms`, which does not work here ({error}). "
                "Install the torchvision that belongs to your PyTorch, call "
                "the model for its raw outputs, or save it and predict on "
                "another backend; `keras_twins.detection` has detectors that "
                "need none."
            ) from error

    decoder.call = explained
