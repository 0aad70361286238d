"""Which tensor fills which weight of the heads of segmentation.

Names are those of mmsegmentation, which the official code shares. `{i}` and
`{j}` count.
"""

from collections.abc import Mapping
from typing import Literal

from keras_twins.weights.naming import CONV
from keras_twins.weights.naming import CONVOLUTION
from keras_twins.weights.naming import SAME
from keras_twins.weights.naming import Parts
from keras_twins.weights.naming import Rows

SegmentationHead = Literal["semantic_fpn", "upernet"]

# fmt: off
_BLOCK: Parts = (
    ("conv.weight",     "convolution/kernel",         CONVOLUTION),
    ("bn.weight",       "norm/gamma",                 SAME),
    ("bn.bias",         "norm/beta",                  SAME),
    ("bn.running_mean", "norm/moving_mean",           SAME),
    ("bn.running_var",  "norm/moving_variance",       SAME),
)

# Doublings stand between the blocks of a scale there: 0, 2, 4.
_PYRAMID: Rows = (
    *((f"lateral_convs.{i}.conv",      f"lateral{i}",      CONV)
      for i in range(4)),
    *((f"fpn_convs.{i}.conv",          f"output{i}",       CONV)
      for i in range(4)),
)
_SEMANTIC_FPN: Rows = (
    *((f"scale_heads.{i}.{2 * j}",     f"scale{i}_{j}",    _BLOCK)
      for i in range(4) for j in range(max(i, 1))),
    ("conv_seg",                       "classifier",       CONV),
)
_UPERNET: Rows = (
    *((f"psp_modules.{i}.1",           f"pooled{i}",       _BLOCK)
      for i in range(4)),
    ("bottleneck",                     "bottleneck",       _BLOCK),
    *((f"lateral_convs.{i}",           f"lateral{i}",      _BLOCK)
      for i in range(3)),
    *((f"fpn_convs.{i}",               f"output{i}",       _BLOCK)
      for i in range(3)),
    ("fpn_bottleneck",                 "fusion",           _BLOCK),
    ("conv_seg",                       "classifier",       CONV),
)
_AUXILIARY: Rows = (
    ("convs.0",                        "convolution",      _BLOCK),
    ("conv_seg",                       "classifier",       CONV),
)
# fmt: on


def _within(part: str, rows: Rows) -> Rows:
    """Returns the rows of a part that both sides call the same."""
    return tuple(
        (f"{part}.{source}", f"{part}/{path}", parameters)
        for source, path, parameters in rows
    )


AUXILIARY_HEAD: Rows = _within("auxiliary_head", _AUXILIARY)
"""The head that only training reads."""

SEGMENTATION_HEADS: Mapping[SegmentationHead, Rows] = {
    "semantic_fpn": (
        *_within("neck", _PYRAMID),
        *_within("decode_head", _SEMANTIC_FPN),
    ),
    "upernet": _within("decode_head", _UPERNET),
}
"""All but the backbone and the auxiliary head, by name of the model."""
