"""Recognises which architecture a file holds.

It follows from names and shapes alone; what a file is called plays no part.
"""

import operator
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_twins import VARIANTS
from keras_twins import TwinsConfig
from keras_twins.config import NUM_STAGES
from keras_twins.weights.errors import CheckpointError

Facts = Mapping[str, tuple[Any, ...]]
"""What shapes say about an architecture; `None` where they say nothing."""

_BLOCK = re.compile(r"blocks\.(\d+)\.(\d+)\.")


def match_variant(seen: Facts) -> str:
    """Returns which published variant a file holds.

    Args:
        seen: What `observe` found in it.

    Returns:
        A key of `keras_twins.VARIANTS`.

    Raises:
        CheckpointError: If it is none of them, or may be several.
    """
    differences = {
        variant: _differences(seen, expect(config))
        for variant, config in VARIANTS.items()
    }
    fitting = [name for name, facts in differences.items() if not facts]
    if len(fitting) == 1:
        return fitting[0]
    shown = ", ".join(f"{k}={v}" for k, v in seen.items())
    if fitting:
        raise CheckpointError(
            f"The file may hold several variants: {fitting}. Seen: {shown}. "
            "Name one of them."
        )
    nearest = min(
        VARIANTS, key=lambda name: _distance(seen, expect(VARIANTS[name]))
    )
    reasons = "; ".join(differences[nearest])
    raise CheckpointError(
        f"The file holds none of the published variants. Seen: {shown}. The "
        f"nearest is {nearest!r}, but: {reasons}."
    )


def _differences(seen: Facts, expected: Facts) -> list[str]:
    return [
        f"{fact}={seen[fact]} instead of {expected[fact]}"
        for fact in seen
        if _distance({fact: seen[fact]}, expected)
    ]


def _distance(seen: Facts, expected: Facts) -> int:
    """Returns how many entries differ; what is not known differs nowhere."""
    return sum(
        None not in pair and pair[0] != pair[1]
        for fact in seen
        for pair in zip(seen[fact], expected[fact], strict=True)
    )


def expect(config: TwinsConfig) -> Facts:
    """Returns what `observe` finds in the weights of an architecture.

    Args:
        config: The architecture.

    Returns:
        Facts, each with one entry per stage.
    """
    stages = range(len(config.depths))
    kinds = [config.block_kinds(stage) for stage in stages]
    return {
        "embed_dims": config.embed_dims,
        "depths": config.depths,
        "attention": tuple(
            "".join("L" if kind == "local" else "G" for kind in row)
            for row in kinds
        ),
        "sr_ratios": tuple(
            ratio if "global" in row else None
            for ratio, row in zip(config.sr_ratios, kinds, strict=True)
        ),
        "mlp_ratios": config.mlp_ratios,
    }


def observe(state: Mapping[str, np.ndarray]) -> Facts:
    """Returns what names and shapes say about the architecture.

    Args:
        state: Arrays by official name.

    Returns:
        Facts, each with one entry per stage, `None` if nothing is known.
    """
    stages = [_observe_stage(state, stage) for stage in range(NUM_STAGES)]
    return {fact: tuple(stage[fact] for stage in stages) for fact in stages[0]}


def _observe_stage(
    state: Mapping[str, np.ndarray], stage: int
) -> dict[str, Any]:
    root = rf"blocks\.{stage}\.\d+\."
    widths = _sides(state, root + r"norm[12]\.bias", 0)
    hidden = _sides(state, root + r"mlp\.fc1\.bias", 0)
    depth, attention = _observe_blocks(state, stage)
    width = widths[0] if widths else None
    return {
        "embed_dims": width,
        "depths": depth,
        "attention": attention,
        "sr_ratios": _observe_ratio(state, stage),
        "mlp_ratios": hidden[0] / width if hidden and width else None,
    }


def _observe_blocks(
    state: Mapping[str, np.ndarray], stage: int
) -> tuple[int | None, str | None]:
    """Returns the number of blocks, and a letter for each."""
    matches = [_BLOCK.match(name) for name in state]
    blocks = {int(m[2]) for m in matches if m and int(m[1]) == stage}
    if not blocks:
        return None, None
    depth = max(blocks) + 1
    roots = [f"blocks.{stage}.{block}.attn." for block in sorted(blocks)]
    local = [f"{root}qkv.weight" in state for root in roots]
    either = [f"{root}kv.weight" in state for root in roots]
    if len(blocks) < depth or not all(map(operator.or_, local, either)):
        return depth, None
    return depth, "".join("L" if kind else "G" for kind in local)


def _observe_ratio(state: Mapping[str, np.ndarray], stage: int) -> int | None:
    """Returns the sub-sampling of GSA: the side of its kernels, or none."""
    root = rf"blocks\.{stage}\.\d+\.attn\."
    ratios = _sides(state, root + r"sr\.weight", 2)
    if ratios:
        return ratios[0]
    globally = _sides(state, root + r"kv\.weight", 0)
    remains = _sides(state, root + r"(sr|norm)\.(weight|bias)", 0)
    return 1 if globally and not remains else None


def _sides(
    state: Mapping[str, np.ndarray], pattern: str, axis: int
) -> list[int]:
    compiled = re.compile(pattern)
    return [
        state[name].shape[axis]
        for name in state
        if compiled.fullmatch(name) and state[name].ndim > axis
    ]
