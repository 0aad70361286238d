"""RetinaNet files of detectron2, read as those of mmdetection; one way only.

What differs beyond names: detectron2 counts the anchors of a cell by size,
then by ratio, mmdetection by ratio, then by size; P7 comes from P6 through a
ReLU; Twins-SVT has no norms between its stages.
"""

import re
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_twins.weights.errors import CheckpointError

DIALECT = "official_detection"
"""Numeric details of the backbones, whose code follows the official one."""

_MARKS = ("bottom_up.", "head.cls_subnet.")
_SIZES, _RATIOS = 3, 3
_BUFFER = re.compile(r"anchor_generator\.cell_anchors\.\d+")
# Of pixels 0..255 in the order red, green, blue; detectron2's own default is
# the other way round.
_PIXELS = {
    "pixel_mean": (123.675, 116.28, 103.53),
    "pixel_std": (58.395, 57.12, 57.375),
}


def _prefixes() -> dict[str, str]:
    """Returns how names start there and here; the first that fits counts."""
    # fmt: off
    # Twins-PCPVT has the names of PVT there.
    names = {}
    for i in range(4):
        names |= {
            f"bottom_up.patch_embed{i + 1}.": f"patch_embeds.{i}.",
            f"bottom_up.block{i + 1}.":       f"blocks.{i}.",
        }
        names |= {
            f"bottom_up.pos_block.{i}.proj.{p}": f"pos_block.{i}.proj.0.{p}"
            for p in ("weight", "bias")
        }
        names |= {
            f"head.cls_subnet.{2 * i}.":  f"bbox_head.cls_convs.{i}.conv.",
            f"head.bbox_subnet.{2 * i}.": f"bbox_head.reg_convs.{i}.conv.",
        }
    for i in range(3):
        names |= {
            f"fpn_lateral{i + 3}.": f"neck.lateral_convs.{i}.conv.",
            f"fpn_output{i + 3}.":  f"neck.fpn_convs.{i}.conv.",
        }
    return names | {
        "top_block.p6.":   "neck.fpn_convs.3.conv.",
        "top_block.p7.":   "neck.fpn_convs.4.conv.",
        "head.cls_score.": "bbox_head.retina_cls.",
        "head.bbox_pred.": "bbox_head.retina_reg.",
        # Twins-SVT has the official names.
        "bottom_up.patch_embeds.": "patch_embeds.",
        "bottom_up.blocks.":       "blocks.",
        "bottom_up.pos_block.":    "pos_block.",
    }
    # fmt: on


def is_detectron2(names: Iterable[str]) -> bool:
    """Returns whether a state is a RetinaNet of detectron2.

    Args:
        names: Names of its tensors, without wrappers and prefixes.

    Returns:
        Whether its backbone and its head are named so.
    """
    names = tuple(names)
    return all(any(name.startswith(mark) for name in names) for mark in _MARKS)


def to_mmdetection(
    state: Mapping[str, Any],
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Gives a RetinaNet of detectron2 the names and channels of mmdetection.

    Args:
        state: Arrays by name, without wrappers and prefixes.

    Returns:
        Arrays by the names of mmdetection, the backbone's by official name,
        and the names of buffers that are not needed.

    Raises:
        CheckpointError: If a name is unknown, or the model takes pixels of
            other means or in another order.
    """
    prefixes = _prefixes()
    result, left_out, problems = {}, [], []
    for name in state:
        if name in _PIXELS:
            problems += _pixel_problems(name, state[name])
            left_out.append(name)
            continue
        if _BUFFER.fullmatch(name):
            left_out.append(name)
            continue
        prefix = next((p for p in prefixes if name.startswith(p)), None)
        if prefix is None:
            problems.append(f"{name}: an unknown name")
            continue
        values = state[name]
        if prefix in ("head.cls_score.", "head.bbox_pred."):
            values = _reorder(name, values)
        result[prefixes[prefix] + name.removeprefix(prefix)] = values
    if problems:
        lines = "\n  ".join(problems)
        raise CheckpointError(
            "The file was taken as a RetinaNet of detectron2, which it does "
            f"not fit in {len(problems)} ways:\n  {lines}"
        )
    return result, tuple(left_out)


def _reorder(name: str, values: Any) -> np.ndarray:
    """Returns channels by ratio, then by size, instead of by size first."""
    values = np.asarray(values)
    anchors = _SIZES * _RATIOS
    if values.ndim == 0 or len(values) % anchors:
        raise CheckpointError(
            f"{name} must have as many values for each of {anchors} anchors. "
            f"Received: shape={values.shape}"
        )
    grid = values.reshape(_SIZES, _RATIOS, -1, *values.shape[1:])
    return grid.swapaxes(0, 1).reshape(values.shape)


def _pixel_problems(name: str, values: Any) -> list[str]:
    found = np.ravel(values)
    expected = _PIXELS[name]
    if found.shape == (3,) and np.allclose(found, expected, atol=0.01):
        return []
    return [
        f"{name}: expected {expected}, for red, green and blue, got "
        f"{found.tolist()}; models of other pixels are not supported"
    ]
