"""KerasCV's segmentation models on Twins.

They give probabilities, never logits. On the torch backend, train them on
one-hot labels with `CategoricalCrossentropy`: the sparse loss of Keras 3.15
has no gradient for maps of probabilities there.
"""

from typing import Any

import keras

from keras_twins.integrations.encoder import DEEPLAB
from keras_twins.integrations.encoder import SEGFORMER
from keras_twins.integrations.encoder import ImageShape
from keras_twins.integrations.encoder import Weights
from keras_twins.integrations.encoder import make_encoder
from keras_twins.integrations.keras_cv.library import keras_cv_library


def deeplab_v3_plus(
    backbone: keras.Model | str,
    num_classes: int,
    *,
    weights: Weights = "imagenet",
    image_shape: ImageShape = (512, 512, 3),
    projection_filters: int = 48,
    **kwargs: Any,
) -> keras.Model:
    """Builds KerasCV's DeepLabV3+ on a Twins backbone.

    Args:
        backbone: A `keras_twins.TwinsBackbone`, whose images have sides that
            are `None` or multiples of 32; or a key of `keras_twins.VARIANTS`.
        num_classes: Number of classes, background included.
        weights: Weights of the variant if `backbone` is a name:
            `"imagenet"`, the path of a weights file, or `None`.
        image_shape: Shape of an image if `backbone` is a name.
        projection_filters: Channels that the map of stride 4 is projected to.
        **kwargs: Arguments of `keras_cv.models.DeepLabV3Plus`, such as
            `segmentation_head`.

    Returns:
        A `keras_cv.models.DeepLabV3Plus`, from normalised images of shape
        `(batch, height, width, 3)` to probabilities of shape
        `(batch, height, width, num_classes)`.

    Raises:
        ImportError: If KerasCV is not installed.
        ValueError: If the backbone does not fit.

    Example:

    ```python
    from keras_twins.integrations import keras_cv as twins_cv

    model = twins_cv.deeplab_v3_plus(
        "svt_small", num_classes=21, weights=None, image_shape=(64, 64, 3)
    )
    ```
    """
    library = keras_cv_library()
    encoder = make_encoder(backbone, DEEPLAB, num_classes, weights, image_shape)
    return library.models.DeepLabV3Plus(
        backbone=encoder,
        num_classes=int(num_classes),
        projection_filters=projection_filters,
        **kwargs,
    )


def segformer(
    backbone: keras.Model | str,
    num_classes: int,
    *,
    weights: Weights = "imagenet",
    image_shape: ImageShape = (512, 512, 3),
    projection_filters: int = 256,
    **kwargs: Any,
) -> keras.Model:
    """Builds KerasCV's SegFormer with a Twins backbone as its encoder.

    Args:
        backbone: A `keras_twins.TwinsBackbone` of a known image size and
            different channels in each stage; or a key of
            `keras_twins.VARIANTS`.
        num_classes: Number of classes, background included.
        weights: Weights of the variant if `backbone` is a name:
            `"imagenet"`, the path of a weights file, or `None`.
        image_shape: Shape of an image if `backbone` is a name.
        projection_filters: Channels that each level is projected to.
        **kwargs: Arguments of `keras_cv.models.SegFormer`.

    Returns:
        A `keras_cv.models.SegFormer`, from normalised images of shape
        `(batch, height, width, 3)` to probabilities of shape
        `(batch, height, width, num_classes)`.

    Raises:
        ImportError: If KerasCV is not installed.
        ValueError: If the backbone does not fit.

    Example:

    ```python
    from keras_twins.integrations import keras_cv as twins_cv

    model = twins_cv.segformer(
        "svt_small", num_classes=21, weights=None, image_shape=(64, 64, 3)
    )
    ```
    """
    library = keras_cv_library()
    encoder = make_encoder(
        backbone, SEGFORMER, num_classes, weights, image_shape
    )
    return library.models.SegFormer(
        backbone=encoder,
        num_classes=int(num_classes),
        projection_filters=projection_filters,
        **kwargs,
    )
