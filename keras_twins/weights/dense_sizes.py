"""How large the heads in a file of a dense model are."""

from collections.abc import Mapping
from typing import Any

from keras_twins.weights.head_naming import DenseHead

# fmt: off
DENSE_SIZES: Mapping[DenseHead, tuple[tuple[str, str, int], ...]] = {
    "semantic_fpn": (
        ("num_classes",       "decode_head.conv_seg.bias",            1),
        ("pyramid_filters",   "neck.lateral_convs.0.conv.bias",       1),
        ("filters",           "decode_head.scale_heads.0.0.bn.bias",  1),
    ),
    "upernet": (
        ("num_classes",       "decode_head.conv_seg.bias",            1),
        ("filters",           "decode_head.fpn_bottleneck.bn.bias",   1),
        ("auxiliary_filters", "auxiliary_head.convs.0.bn.bias",       1),
    ),
    # Nine anchors.
    "retinanet": (
        ("num_classes",       "bbox_head.retina_cls.bias",            9),
        ("filters",           "neck.lateral_convs.0.conv.bias",       1),
    ),
    "mask_rcnn": (
        ("num_classes",       "roi_head.mask_head.conv_logits.bias",  1),
        ("filters",           "neck.lateral_convs.0.conv.bias",       1),
        ("units",             "roi_head.bbox_head.shared_fcs.0.bias", 1),
    ),
}
# fmt: on
"""By head: arguments of its model, a vector, and how many times as long the
vector is."""


def dense_arguments(
    state: Mapping[str, Any], head: DenseHead
) -> dict[str, Any]:
    """Returns the arguments that build a model as large as a file.

    Args:
        state: Arrays by the names of OpenMMLab.
        head: Which head the file has.

    Returns:
        Arguments of the head's model. What the file lacks has none.
    """
    arguments: dict[str, Any] = {
        argument: state[name].size // times
        for argument, name, times in DENSE_SIZES[head]
        if name in state
    }
    if head == "upernet" and "auxiliary_filters" not in arguments:
        arguments["auxiliary_weight"] = 0
    return arguments
