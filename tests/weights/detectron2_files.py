"""Files as detectron2 writes them, from files of mmdetection."""

import re
from collections.abc import Mapping

import numpy as np

SIZES, RATIOS = (4.0, 5.0, 6.0), (0.5, 1.0, 2.0)
"""Of the anchors of a cell; only the order matters."""

# fmt: off
_NAMES = (
    (r"backbone\.patch_embeds\.(\d)\.(.+)", "bottom_up.patch_embed{next}.{1}"),
    (r"backbone\.blocks\.(\d)\.(.+)",       "bottom_up.block{next}.{1}"),
    (r"backbone\.pos_block\.(\d)\.proj\.0\.(.+)",
                                            "bottom_up.pos_block.{0}.proj.{1}"),
    (r"neck\.lateral_convs\.(\d)\.conv\.(.+)", "fpn_lateral{third}.{1}"),
    (r"neck\.fpn_convs\.([012])\.conv\.(.+)",  "fpn_output{third}.{1}"),
    (r"neck\.fpn_convs\.([34])\.conv\.(.+)",   "top_block.p{third}.{1}"),
    (r"bbox_head\.cls_convs\.(\d)\.conv\.(.+)",
                                        "../head.cls_subnet.{twice}.{1}"),
    (r"bbox_head\.reg_convs\.(\d)\.conv\.(.+)",
                                        "../head.bbox_subnet.{twice}.{1}"),
    (r"bbox_head\.retina_(cls)\.(.+)",  "../head.cls_score.{1}"),
    (r"bbox_head\.retina_(reg)\.(.+)",  "../head.bbox_pred.{1}"),
)
# fmt: on


def to_detectron2(
    state: Mapping[str, np.ndarray], *, as_pvt: bool
) -> dict[str, np.ndarray]:
    """Returns a state of mmdetection as detectron2 has it.

    Args:
        state: Arrays by the names of mmdetection.
        as_pvt: Whether the backbone has the names of PVT.
    """
    result = {}
    for name, values in state.items():
        if name.startswith("backbone.norm_list."):
            continue
        if name.startswith("bbox_head.retina_"):
            values = by_size(values)
        result[_rename(name, as_pvt)] = values
    return result


def by_size(values: np.ndarray) -> np.ndarray:
    """Returns channels that are ordered by ratio first by size first."""
    anchors = np.split(values, len(SIZES) * len(RATIOS))
    return np.concatenate(
        [
            anchors[ratio * len(SIZES) + size]
            for size in range(len(SIZES))
            for ratio in range(len(RATIOS))
        ]
    )


def _rename(name: str, as_pvt: bool) -> str:
    if name.startswith("backbone.") and not as_pvt:
        return name.replace("backbone.", "backbone.bottom_up.", 1)
    for pattern, template in _NAMES:
        match = re.fullmatch(pattern, name)
        if match is not None:
            first = match[1]
            count = int(first) if first.isdigit() else 0
            found = "backbone." + template.format(
                *match.groups(),
                next=count + 1,
                third=count + 3,
                twice=2 * count,
            )
            return found.replace("backbone.../", "")
    raise AssertionError(name)
