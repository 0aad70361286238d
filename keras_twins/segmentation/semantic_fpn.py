"""Semantic FPN on Twins."""

from typing import Any
from typing import ClassVar

import keras

from keras_twins.backbone import DType
from keras_twins.layers import FeaturePyramid
from keras_twins.segmentation.fpn_head import SemanticFPNHead
from keras_twins.segmentation.model import SegmentationModel
from keras_twins.weights.segmentation_heads import SegmentationHead


@keras.saving.register_keras_serializable(package="keras_twins")
class SemanticFPN(SegmentationModel):
    """Semantic FPN: a feature pyramid whose levels are added up.

    Args:
        backbone: A functional model with `pyramid_outputs` `"P2"` to `"P5"`,
            such as `keras_twins.TwinsBackbone`.
        num_classes: Number of classes.
        pyramid_filters: Number of channels of the feature pyramid.
        filters: Number of channels of the head.
        dropout_rate: Fraction of the channels that training leaves out before
            the classifier.
        classifier_activation: `None` for logits, or `"softmax"`.
        include_preprocessing: Whether the model takes pixels of 0 to 255 and
            normalises them, if they have 3 channels.
        dtype: Dtype policy of the heads.
        name: Name of the model.
        **kwargs: `trainable`, as for every layer.

    Call arguments:
        inputs: Images of shape `(batch, height, width, channels)`.
        training: Whether dropout is active, and moments are the batch's.

    Call returns:
        Scores of shape `(batch, height, width, num_classes)`, `float32`.

    Raises:
        ValueError: If the backbone has no pyramid.

    Reference:
        - [Panoptic Feature Pyramid Networks](https://arxiv.org/abs/1901.02446)
        - [Twins](https://arxiv.org/abs/2104.13840), Section 4.2

    Example:

    ```python
    from keras_twins.segmentation import SemanticFPN

    model = SemanticFPN.from_twins("svt_small", weights=None, num_classes=5)
    scores = model.predict(numpy.zeros((1, 64, 96, 3)))
    ```
    """

    head_name: ClassVar[SegmentationHead] = "semantic_fpn"

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int = 150,
        pyramid_filters: int = 256,
        filters: int = 128,
        dropout_rate: float = 0.1,
        classifier_activation: str | None = None,
        include_preprocessing: bool = True,
        dtype: DType = None,
        name: str | None = "semantic_fpn",
        **kwargs: Any,
    ):
        body = [
            FeaturePyramid(pyramid_filters, dtype=dtype, name="neck"),
            SemanticFPNHead(
                num_classes,
                filters,
                dropout_rate,
                dtype=dtype,
                name="decode_head",
            ),
        ]
        super().__init__(
            backbone,
            body,
            num_classes,
            dropout_rate=dropout_rate,
            classifier_activation=classifier_activation,
            include_preprocessing=include_preprocessing,
            dtype=dtype,
            name=name,
            **kwargs,
        )
        self.pyramid_filters = pyramid_filters
        self.filters = filters

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "pyramid_filters": self.pyramid_filters,
            "filters": self.filters,
        }
