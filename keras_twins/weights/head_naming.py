"""Which tensor fills which weight of the heads of dense models, as tables.

Names are those of OpenMMLab, which the official code shares. `{i}` and `{j}`
count.
"""

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Literal

from keras_twins.weights.naming import CONVOLUTION
from keras_twins.weights.naming import SAME
from keras_twins.weights.naming import Pair
from keras_twins.weights.naming import Parts

SegmentationHead = Literal["semantic_fpn", "upernet"]

# fmt: off
_CONV: Parts = (
    ("weight",          "kernel",                     CONVOLUTION),
    ("bias",            "bias",                       SAME),
)
_BLOCK: Parts = (
    ("conv.weight",     "convolution/kernel",         CONVOLUTION),
    ("bn.weight",       "norm/gamma",                 SAME),
    ("bn.bias",         "norm/beta",                  SAME),
    ("bn.running_mean", "norm/moving_mean",           SAME),
    ("bn.running_var",  "norm/moving_variance",       SAME),
)

_Rows = tuple[tuple[str, str, Parts], ...]

# Doublings stand between the blocks of a scale there: 0, 2, 4.
_PYRAMID: _Rows = (
    *((f"lateral_convs.{i}.conv",      f"lateral{i}",      _CONV)
      for i in range(4)),
    *((f"fpn_convs.{i}.conv",          f"output{i}",       _CONV)
      for i in range(4)),
)
_SEMANTIC_FPN: _Rows = (
    *((f"scale_heads.{i}.{2 * j}",     f"scale{i}_{j}",    _BLOCK)
      for i in range(4) for j in range(max(i, 1))),
    ("conv_seg",                       "classifier",       _CONV),
)
_UPERNET: _Rows = (
    *((f"psp_modules.{i}.1",           f"pooled{i}",       _BLOCK)
      for i in range(4)),
    ("bottleneck",                     "bottleneck",       _BLOCK),
    *((f"lateral_convs.{i}",           f"lateral{i}",      _BLOCK)
      for i in range(3)),
    *((f"fpn_convs.{i}",               f"output{i}",       _BLOCK)
      for i in range(3)),
    ("fpn_bottleneck",                 "fusion",           _BLOCK),
    ("conv_seg",                       "classifier",       _CONV),
)
_AUXILIARY: _Rows = (
    ("convs.0",                        "convolution",      _BLOCK),
    ("conv_seg",                       "classifier",       _CONV),
)
# fmt: on

_TABLES: Mapping[SegmentationHead, Mapping[str, _Rows]] = {
    "semantic_fpn": {"neck": _PYRAMID, "decode_head": _SEMANTIC_FPN},
    "upernet": {"decode_head": _UPERNET},
}
"""By head, then by part of the model, which both sides call the same."""

_MARKS: Mapping[str, str] = {
    "semantic_fpn": "decode_head.scale_heads.",
    "upernet": "decode_head.psp_modules.",
    "retinanet": "bbox_head.",
    "mask_rcnn": "roi_head.",
}


def head_pairs(head: SegmentationHead, *, auxiliary: bool) -> list[Pair]:
    """Returns every pair of tensor and weight of a head.

    Args:
        head: Which head.
        auxiliary: Whether there is an auxiliary head.

    Returns:
        A list of `Pair`s.
    """
    parts = dict(_TABLES[head])
    if auxiliary:
        parts["auxiliary_head"] = _AUXILIARY
    return [
        Pair(f"{part}.{source}.{name}", f"{part}/{path}/{variable}", transform)
        for part, rows in parts.items()
        for source, path, parameters in rows
        for name, variable, transform in parameters
    ]


def recognise_head(names: Iterable[str]) -> str | None:
    """Returns what a file of a dense model holds.

    Args:
        names: Names of its tensors.

    Returns:
        `"semantic_fpn"`, `"upernet"`, `"retinanet"` or `"mask_rcnn"`; `None`
        for anything else.
    """
    names = tuple(names)
    for head, mark in _MARKS.items():
        if any(name.startswith(mark) for name in names):
            return head
    return None
