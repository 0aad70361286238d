"""UPerNet on Twins."""

from typing import Any
from typing import ClassVar

import keras

from keras_twins.backbone import DType
from keras_twins.segmentation.model import Auxiliary
from keras_twins.segmentation.model import SegmentationModel
from keras_twins.segmentation.uper_head import UPerHead
from keras_twins.weights.segmentation_heads import SegmentationHead


@keras.saving.register_keras_serializable(package="keras_twins")
class UPerNet(SegmentationModel):
    """UPerNet: pyramid pooling, a feature pyramid, and one fusion of all.

    Args:
        backbone: A functional model with `pyramid_outputs` `"P2"` to `"P5"`,
            such as `keras_twins.TwinsBackbone`.
        num_classes: Number of classes.
        filters: Number of channels of the head.
        auxiliary_weight: Share of the loss of an FCN head on `"P4"`, which
            helps training; 0 for no such head.
        auxiliary_filters: Number of channels of that head.
        dropout_rate: Fraction of the channels that training leaves out before
            the classifiers.
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
        `call_with_auxiliary` has those of the auxiliary head, too.

    Raises:
        ValueError: If the backbone has no pyramid, or an argument is out of
            range.

    Reference:
        - [Unified Perceptual Parsing](https://arxiv.org/abs/1807.10221)
        - [Twins](https://arxiv.org/abs/2104.13840), Section 4.2

    Example:

    ```python
    from keras_twins.segmentation import UPerNet

    model = UPerNet.from_twins(
        "svt_small", weights=None, num_classes=5, filters=64
    )
    scores = model.predict(numpy.zeros((1, 64, 96, 3)))
    ```
    """

    head_name: ClassVar[SegmentationHead] = "upernet"

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int = 150,
        filters: int = 512,
        auxiliary_weight: float = 0.4,
        auxiliary_filters: int = 256,
        dropout_rate: float = 0.1,
        classifier_activation: str | None = None,
        include_preprocessing: bool = True,
        dtype: DType = None,
        name: str | None = "upernet",
        **kwargs: Any,
    ):
        if auxiliary_weight < 0:
            raise ValueError(
                "`auxiliary_weight` must not be negative. Received: "
                f"{auxiliary_weight=}"
            )
        auxiliary = Auxiliary(
            weight=auxiliary_weight, filters=auxiliary_filters
        )
        head = UPerHead(
            num_classes, filters, dropout_rate, dtype=dtype, name="decode_head"
        )
        super().__init__(
            backbone,
            [head],
            num_classes,
            auxiliary if auxiliary_weight else None,
            dropout_rate=dropout_rate,
            classifier_activation=classifier_activation,
            include_preprocessing=include_preprocessing,
            dtype=dtype,
            name=name,
            **kwargs,
        )
        self.filters = filters
        self.auxiliary_weight = auxiliary_weight
        self.auxiliary_filters = auxiliary_filters

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "auxiliary_weight": self.auxiliary_weight,
            "auxiliary_filters": self.auxiliary_filters,
        }
