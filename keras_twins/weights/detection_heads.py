"""Which tensor fills which weight of the heads of detection.

Names are those of mmdetection 2 and 3, with which the official code trains.
`{i}` counts. Channels of scores and deltas are anchors, then classes or
coordinates, on both sides.
"""

from collections.abc import Mapping
from typing import Literal

from keras_twins.weights.naming import CONV
from keras_twins.weights.naming import DENSE
from keras_twins.weights.naming import FLATTENED_REGION
from keras_twins.weights.naming import SAME
from keras_twins.weights.naming import TRANSPOSED_CONVOLUTION
from keras_twins.weights.naming import Parts
from keras_twins.weights.naming import Rows

DetectionHead = Literal["retinanet", "mask_rcnn"]


def _pyramid(laterals: int, outputs: int) -> Rows:
    """Returns the rows of a neck; outputs beyond the laterals are halvings."""
    # fmt: off
    return (
        *((f"neck.lateral_convs.{i}.conv", f"neck/lateral{i}", CONV)
          for i in range(laterals)),
        *((f"neck.fpn_convs.{i}.conv",     f"neck/output{i}",  CONV)
          for i in range(outputs)),
    )
    # fmt: on


# fmt: off
_FLATTENED: Parts = (
    ("weight", "kernel", FLATTENED_REGION),       ("bias", "bias", SAME))
_TRANSPOSED: Parts = (
    ("weight", "kernel", TRANSPOSED_CONVOLUTION), ("bias", "bias", SAME))

_HEAD = "bbox_head"
_RETINANET: Rows = (
    *_pyramid(3, 5),
    *((_HEAD + f".cls_convs.{i}.conv", f"bbox_head/class_convolution{i}", CONV)
      for i in range(4)),
    *((_HEAD + f".reg_convs.{i}.conv", f"bbox_head/box_convolution{i}",   CONV)
      for i in range(4)),
    (_HEAD + ".retina_cls",            "bbox_head/classifier",            CONV),
    (_HEAD + ".retina_reg",            "bbox_head/regressor",             CONV),
)
_BOX, _MASK = "roi_head.bbox_head", "roi_head.mask_head"
_MASK_RCNN: Rows = (
    *_pyramid(4, 4),
    ("rpn_head.rpn_conv",        "rpn_head/convolution",     CONV),
    ("rpn_head.rpn_cls",         "rpn_head/classifier",      CONV),
    ("rpn_head.rpn_reg",         "rpn_head/regressor",       CONV),
    (_BOX + ".shared_fcs.0",     "box_head/shared0",         _FLATTENED),
    (_BOX + ".shared_fcs.1",     "box_head/shared1",         DENSE),
    (_BOX + ".fc_cls",           "box_head/classifier",      DENSE),
    (_BOX + ".fc_reg",           "box_head/regressor",       DENSE),
    *((f"{_MASK}.convs.{i}.conv", f"mask_head/convolution{i}", CONV)
      for i in range(4)),
    (_MASK + ".upsample",        "mask_head/upsample",       _TRANSPOSED),
    (_MASK + ".conv_logits",     "mask_head/classifier",     CONV),
)
# fmt: on

DETECTION_HEADS: Mapping[DetectionHead, Rows] = {
    "retinanet": _RETINANET,
    "mask_rcnn": _MASK_RCNN,
}
"""All but the backbone, by name of the model."""
