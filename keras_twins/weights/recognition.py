"""Recognises whose names a file uses, from names and shapes alone."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_twins.weights.code_bases import TABLES
from keras_twins.weights.code_bases import Naming
from keras_twins.weights.errors import CheckpointError
from keras_twins.weights.renaming import match_count

_BLOCKS: Mapping[str, tuple[Naming, ...]] = {
    "blocks.": ("official", "paddle"),
    "stages.": ("mmpretrain",),
    "layers.": ("mmsegmentation",),
}
_PACKED = re.compile(r"blocks\.\d+\.\d+\.attn\.(qkv|kv)\.weight")


def recognise_naming(state: Mapping[str, Any]) -> Naming:
    """Returns whose names a state uses.

    Args:
        state: Arrays by name, without wrappers and prefixes.

    Returns:
        A key of `TABLES`. PaddleClas uses the official names, but stores the
        matrices of linear layers the other way round.

    Raises:
        CheckpointError: If the names are nobody's, or of several.
    """
    found = [
        prefix
        for prefix in _BLOCKS
        if any(name.startswith(prefix) for name in state)
    ]
    if len(found) != 1:
        raise CheckpointError(_describe_names(state, found))
    candidates = _BLOCKS[found[0]]
    if len(candidates) == 1:
        return candidates[0]
    return "paddle" if _stores_inputs_first(state) else "official"


def _describe_names(state: Mapping[str, Any], found: list[str]) -> str:
    seen = Counter(name.split(".")[0] for name in state)
    groups = ", ".join(f"{name} ({n})" for name, n in seen.most_common(8))
    counts = {naming: match_count(state, naming) for naming in TABLES}
    nearest = max(counts, key=lambda naming: counts[naming])
    kind = "of several code bases" if found else "unknown"
    return (
        f"The tensor names are {kind}. Seen: {groups}. Expected blocks named "
        f"in one of these ways: {', '.join(_BLOCKS)}. The nearest naming is "
        f"{nearest!r}, with {counts[nearest]} of {len(state)} names."
    )


def _stores_inputs_first(state: Mapping[str, Any]) -> bool:
    """Whether packed matrices are wide: queries, keys, values are outputs."""
    shapes = [
        np.shape(state[name]) for name in state if _PACKED.fullmatch(name)
    ]
    wide = [len(shape) == 2 and shape[0] < shape[1] for shape in shapes]
    if any(wide) and not all(wide):
        raise CheckpointError(
            "The tensor names are official, but some matrices are stored as "
            f"(outputs, inputs) and others as (inputs, outputs): {shapes[:6]}. "
            "Expected one way, that of torch or that of Paddle."
        )
    return any(wide)
