"""RetinaNet on Twins.

Shape suffixes: B batch, A anchors, K classes.
"""

from typing import Any
from typing import ClassVar

import keras

from keras_twins.backbone import DType
from keras_twins.backbone.pyramid import check_backbone
from keras_twins.backbone.pyramid import pyramid_maps
from keras_twins.detection.anchor_heads import RetinaHead
from keras_twins.detection.anchor_losses import retinanet_losses
from keras_twins.detection.anchors import RETINANET_ANCHORS
from keras_twins.detection.assignment import RETINANET_MATCH
from keras_twins.detection.assignment import assign
from keras_twins.detection.decoding import DetectionSettings
from keras_twins.detection.decoding import decode_retinanet
from keras_twins.detection.detector import Detector
from keras_twins.detection.detector_training import Batch
from keras_twins.detection.flat_outputs import flatten_outputs
from keras_twins.layers import FeaturePyramid
from keras_twins.ops import Tensor
from keras_twins.weights.detection_heads import DetectionHead


@keras.saving.register_keras_serializable(package="keras_twins")
class RetinaNet(Detector):
    """RetinaNet: every anchor of a feature pyramid is judged at once.

    Args:
        backbone: A functional model with `pyramid_outputs` `"P2"` to `"P5"`,
            such as `keras_twins.TwinsBackbone`.
        num_classes: Number of classes.
        filters: Number of channels of the feature pyramid and the head.
        score_threshold: Score that a detection must be above.
        iou_threshold: Overlap beyond which the lower of two detections of a
            class is left out.
        max_detections: Largest number of detections of an image.
        extra_activation: What comes before the coarsest level; `None`, or
            `"relu"` as in detectron2.
        bounding_box_format: Format of the boxes of KerasCV's and KerasHub's
            dictionaries in `fit`; the package's own have x1, y1, x2, y2.
        include_preprocessing: Whether the model takes pixels of 0 to 255 and
            normalises them, if they have 3 channels.
        dtype: Dtype policy of the heads.
        name: Name of the model.
        **kwargs: `trainable`, as for every layer.

    Call arguments:
        inputs: Images of shape `(batch, height, width, channels)`, or a
            dictionary with these as `"images"` and, if wanted,
            `"image_sizes"` and `"original_sizes"` of shape `(batch, 2)`:
            height and width in pixels of what is no padding, and of the image
            before it was resized. A dictionary with `"boxes"`, as `fit` takes
            it, gives what the losses need instead of predictions.
        training: Whether drop path is active.

    Call returns:
        Dictionary with `"boxes"` of shape `(batch, max_detections, 4)`, x1,
        y1, x2, y2 in pixels of the original image, `"scores"`, `"labels"` and
        `"valid"` of shape `(batch, max_detections)`, the best first; what is
        not valid is padding.

    Raises:
        ValueError: If the backbone has no pyramid, or an argument means
            nothing.

    Reference:
        - [Focal Loss](https://arxiv.org/abs/1708.02002)
        - [Twins](https://arxiv.org/abs/2104.13840), Section 4.3

    Example:

    ```python
    from keras_twins.detection import RetinaNet

    model = RetinaNet.from_twins("svt_small", weights=None, num_classes=5)
    detections = model.predict(numpy.zeros((1, 64, 96, 3)), verbose=0)
    ```
    """

    head_name: ClassVar[DetectionHead] = "retinanet"

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int = 80,
        filters: int = 256,
        score_threshold: float = 0.05,
        iou_threshold: float = 0.5,
        max_detections: int = 100,
        extra_activation: str | None = None,
        bounding_box_format: str = "xyxy",
        include_preprocessing: bool = True,
        dtype: DType = None,
        name: str | None = "retinanet",
        **kwargs: Any,
    ):
        check_backbone(backbone)
        settings = DetectionSettings(
            score_threshold=score_threshold,
            iou_threshold=iou_threshold,
            max_detections=max_detections,
        )
        images, maps = pyramid_maps(backbone, include_preprocessing, dtype)
        outputs = _head_outputs(
            maps[1:], num_classes, filters, extra_activation, dtype
        )
        arguments = {
            "num_classes": num_classes,
            "filters": filters,
            "score_threshold": score_threshold,
            "iou_threshold": iou_threshold,
            "max_detections": max_detections,
            "extra_activation": extra_activation,
            "bounding_box_format": bounding_box_format,
            "include_preprocessing": include_preprocessing,
            "dtype": dtype,
        }
        losses = ("class_loss", "box_loss")
        super().__init__(
            images, outputs, backbone, arguments, losses, name, **kwargs
        )
        self.settings = settings

    def training_outputs(
        self, raw: dict[str, Any], batch: Batch, sizes: Tensor
    ) -> dict[str, Any]:
        return {**raw, "sizes": sizes}

    def detection_losses(
        self, outputs: dict[str, Any], batch: Batch
    ) -> dict[str, Tensor]:
        flat = flatten_outputs(outputs, self.num_classes)
        anchors_A4 = RETINANET_ANCHORS.joined(flat.sizes)
        assigned_BA = assign(
            anchors_A4,
            batch["boxes"],
            batch["valid"],
            RETINANET_MATCH,
            RETINANET_ANCHORS.inside(flat.sizes, outputs["sizes"]),
        )
        return retinanet_losses(
            *flat.joined(),
            anchors_A4,
            assigned_BA,
            batch["boxes"],
            batch["labels"],
        )

    def decode(self, raw: dict[str, Any], sizes: Tensor) -> dict[str, Tensor]:
        flat = flatten_outputs(raw, self.num_classes)
        anchors_A4 = RETINANET_ANCHORS.grid(flat.sizes)
        return decode_retinanet(
            flat.logits, flat.deltas, anchors_A4, sizes, self.settings
        )


def _head_outputs(
    maps: list[Tensor],
    num_classes: int,
    filters: int,
    extra_activation: str | None,
    dtype: DType,
) -> dict[str, list[Tensor]]:
    """Returns what is said of the anchors."""
    neck = FeaturePyramid(
        filters,
        extra_levels=2,
        extra_activation=extra_activation,
        dtype=dtype,
        name="neck",
    )
    per_cell = RETINANET_ANCHORS.per_cell
    head = RetinaHead(
        num_classes, per_cell, filters, dtype=dtype, name="bbox_head"
    )
    return head(neck(maps))
