"""Names of other code bases and the official ones, as tables.

`{s}` stands for a stage, `{b}` for a block within it and `{p}` for `weight`
or `bias`. A row gives one official tensor, or several, for each tensor of the
source. The official names are timm's too, and `keras_twins` reads them.
"""

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import Literal
from typing import NamedTuple

import numpy as np

Naming = Literal["official", "mmpretrain", "mmsegmentation", "paddle"]
Transform = Callable[[np.ndarray], tuple[np.ndarray, ...]]


def same(values: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns the tensor as it is."""
    return (values,)


def transposed(values: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns a matrix that is stored as (inputs, outputs) turned around."""
    return (values.T,)


def split_qkv(values: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns the rows of the queries, and those of the keys and values."""
    return tuple(np.split(values, [len(values) // 3]))


class Row(NamedTuple):
    """One row of a table: a name, what it is officially, and how.

    `beside` is an official tensor of the same block without which the name
    is not used.
    """

    source: str
    official: tuple[str, ...]
    transform: Transform = same
    beside: str = ""

    def undo(self, parts: list[np.ndarray]) -> np.ndarray:
        """Returns the tensor of the source from the official ones."""
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return whole.T if self.transform is transposed else whole


def _rows(*rows: tuple[Any, ...]) -> tuple[Row, ...]:
    return tuple(_row(*row) for row in rows)


def _row(
    source: str, official: str, transform: Transform = same, beside: str = ""
) -> Row:
    return Row(source, tuple(official.split()), transform, beside)


# fmt: off
_OFFICIAL = (
    "patch_embeds.{s}.proj.{p}",
    "patch_embeds.{s}.norm.{p}",
    "pos_block.{s}.proj.0.{p}",
    "blocks.{s}.{b}.norm1.{p}",
    "blocks.{s}.{b}.norm2.{p}",
    "blocks.{s}.{b}.attn.qkv.{p}",
    "blocks.{s}.{b}.attn.q.{p}",
    "blocks.{s}.{b}.attn.kv.{p}",
    "blocks.{s}.{b}.attn.sr.{p}",
    "blocks.{s}.{b}.attn.norm.{p}",
    "blocks.{s}.{b}.attn.proj.{p}",
    "blocks.{s}.{b}.mlp.fc1.{p}",
    "blocks.{s}.{b}.mlp.fc2.{p}",
    "norm_list.{s}.{p}",
    "norm.{p}",
    "head.{p}",
)

_OPENMMLAB = _rows(
    ("patch_embeds.{s}.projection.{p}",  "patch_embeds.{s}.proj.{p}"),
    ("patch_embeds.{s}.norm.{p}",        "patch_embeds.{s}.norm.{p}"),
    ("position_encodings.{s}.proj.{p}",  "pos_block.{s}.proj.0.{p}"),
)

_MMPRETRAIN = _OPENMMLAB + _rows(
    ("stages.{s}.{b}.norm1.{p}",          "blocks.{s}.{b}.norm1.{p}"),
    ("stages.{s}.{b}.norm2.{p}",          "blocks.{s}.{b}.norm2.{p}"),
    ("stages.{s}.{b}.attn.qkv.{p}",       "blocks.{s}.{b}.attn.qkv.{p}"),
    ("stages.{s}.{b}.attn.q.{p}",         "blocks.{s}.{b}.attn.q.{p}"),
    ("stages.{s}.{b}.attn.kv.{p}",        "blocks.{s}.{b}.attn.kv.{p}"),
    ("stages.{s}.{b}.attn.sr.{p}",        "blocks.{s}.{b}.attn.sr.{p}"),
    ("stages.{s}.{b}.attn.norm.{p}",      "blocks.{s}.{b}.attn.norm.{p}"),
    ("stages.{s}.{b}.attn.proj.{p}",      "blocks.{s}.{b}.attn.proj.{p}"),
    ("stages.{s}.{b}.ffn.layers.0.0.{p}", "blocks.{s}.{b}.mlp.fc1.{p}"),
    ("stages.{s}.{b}.ffn.layers.1.{p}",   "blocks.{s}.{b}.mlp.fc2.{p}"),
    ("norm_after_stage3.{p}",             "norm.{p}"),
    ("head.fc.{p}",                       "head.{p}"),
)

# GSA is torch's MultiheadAttention there, which packs q, k and v; LSA is not.
_MMSEGMENTATION = _OPENMMLAB + _rows(
    ("layers.{s}.{b}.norm1.{p}",              "blocks.{s}.{b}.norm1.{p}"),
    ("layers.{s}.{b}.norm2.{p}",              "blocks.{s}.{b}.norm2.{p}"),
    ("layers.{s}.{b}.attn.qkv.{p}",           "blocks.{s}.{b}.attn.qkv.{p}"),
    ("layers.{s}.{b}.attn.proj.{p}",          "blocks.{s}.{b}.attn.proj.{p}"),
    ("layers.{s}.{b}.attn.attn.in_proj_{p}",  "blocks.{s}.{b}.attn.q.{p} "
                                              "blocks.{s}.{b}.attn.kv.{p}",
                                              split_qkv),
    ("layers.{s}.{b}.attn.attn.out_proj.{p}", "blocks.{s}.{b}.attn.proj.{p}",
                                              same,
                                              "blocks.{s}.{b}.attn.q.{p}"),
    ("layers.{s}.{b}.attn.sr.{p}",            "blocks.{s}.{b}.attn.sr.{p}"),
    ("layers.{s}.{b}.attn.norm.{p}",          "blocks.{s}.{b}.attn.norm.{p}"),
    ("layers.{s}.{b}.ffn.layers.0.0.{p}",     "blocks.{s}.{b}.mlp.fc1.{p}"),
    ("layers.{s}.{b}.ffn.layers.1.{p}",       "blocks.{s}.{b}.mlp.fc2.{p}"),
    ("norm_list.{s}.{p}",                     "norm_list.{s}.{p}"),
    ("norm.{p}",                              "norm.{p}"),
)
# fmt: on

# Paddle stores the matrices of linear layers as (inputs, outputs).
_PADDLE_LINEAR = (
    "attn.qkv.{p}",
    "attn.q.{p}",
    "attn.kv.{p}",
    "attn.proj.{p}",
    "mlp.fc1.{p}",
    "mlp.fc2.{p}",
)


def _paddle_rows() -> tuple[Row, ...]:
    rows = []
    for name in _OFFICIAL:
        if name.endswith(_PADDLE_LINEAR) or name == "head.{p}":
            weight = name.replace("{p}", "weight")
            bias = name.replace("{p}", "bias")
            rows += _rows((weight, weight, transposed), (bias, bias))
        else:
            rows += _rows((name, name))
    return tuple(rows)


TABLES: Mapping[Naming, tuple[Row, ...]] = {
    "official": _rows(*((name, name) for name in _OFFICIAL)),
    "mmpretrain": _MMPRETRAIN,
    "mmsegmentation": _MMSEGMENTATION,
    "paddle": _paddle_rows(),
}

IGNORED_SUFFIXES = ("num_batches_tracked",)
"""Counters of batch norms, which no inference reads."""

DENSE_HEADS = (
    "decode_head.",
    "auxiliary_head.",
    "neck.",
    "bbox_head.",
    "rpn_head.",
    "roi_head.",
)
"""What surrounds the backbone in files of segmentation and detection."""

UNUSED_IN_DENSE = ("norm.", "head.")
"""The classifier that the official dense models carry along, untrained."""
