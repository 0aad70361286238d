"""Reads this package's own `.weights.h5` back into the official naming."""

import pathlib
import re
from collections.abc import Mapping
from typing import Any

import h5py

from keras_twins import TwinsConfig
from keras_twins.config import NUM_STAGES
from keras_twins.weights.errors import CheckpointError
from keras_twins.weights.loading import load_weights_file
from keras_twins.weights.mapping import export_state
from weights_port.models import Parts
from weights_port.models import build_model
from weights_port.official import OfficialState
from weights_port.official import resolve_config
from weights_port.recognise import Facts
from weights_port.recognise import match_variant

_BLOCK = re.compile(r"stage(\d)_block(\d+)")


def read_keras_file(
    path: pathlib.Path,
    architecture: str | TwinsConfig | None = None,
    dialect: str | None = None,
) -> OfficialState:
    """Reads a `.weights.h5` file.

    Args:
        path: The file.
        architecture: A key of `keras_twins.VARIANTS`, or a config; by
            default, the variant is recognised.
        dialect: A key of `keras_twins.config.DIALECTS`. The file cannot say
            which one it was trained with; by default `"timm"`.

    Returns:
        Its weights under official names.

    Raises:
        CheckpointError: If the file is damaged, or not of this package.
    """
    try:
        with h5py.File(path) as file:
            layers = _named_layers(file)
            facts = _observe(layers)
            parts = _parts(layers)
    except (OSError, KeyError, AttributeError, IndexError) as error:
        raise CheckpointError(
            f"The weight file {path} cannot be read: {error}. Expected a "
            ".weights.h5 file that a model of keras_twins saved."
        ) from error
    if architecture is None:
        architecture = match_variant(facts)
    config = resolve_config(
        architecture, dialect or "timm", "stage0_output_norm" in layers
    )
    model = build_model(config, parts)
    load_weights_file(
        model, config, path, include_top=parts.classes is not None
    )
    return OfficialState(
        state=export_state(model, config),
        config=config,
        variant=architecture if isinstance(architecture, str) else None,
        naming="official",
        dialect=dialect or "timm",
        classes=parts.classes,
        final_norm=parts.final_norm,
    )


def _named_layers(file: h5py.File) -> dict[str, Any]:
    """Returns the groups of the layers by the layers' own names."""
    groups = file["layers"].values()
    return {str(group["vars"].attrs["name"]): group for group in groups}


def _parts(layers: Mapping[str, Any]) -> Parts:
    head = layers.get("predictions")
    stem = layers["stage0_patch_embedding"]["projection/vars/0"]
    return Parts(
        channels=stem.shape[2],
        classes=None if head is None else head["vars/0"].shape[1],
        final_norm="norm" in layers,
    )


def _observe(layers: Mapping[str, Any]) -> Facts:
    stages = [_observe_stage(layers, stage) for stage in range(NUM_STAGES)]
    return {fact: tuple(stage[fact] for stage in stages) for fact in stages[0]}


def _observe_stage(layers: Mapping[str, Any], stage: int) -> dict[str, Any]:
    matches = [_BLOCK.fullmatch(name) for name in layers]
    depth = sum(1 for match in matches if match and int(match[1]) == stage)
    blocks = [layers[f"stage{stage}_block{block}"] for block in range(depth)]
    width = layers[f"stage{stage}_patch_embedding"]["norm/vars/0"].shape[0]
    hidden = blocks[0]["mlp/fc1/vars/1"].shape[0]
    ratios = [
        block["attention/reduction/vars/0"].shape[0]
        if "attention/reduction" in block
        else 1
        for block in blocks
        if "attention/kv" in block
    ]
    return {
        "embed_dims": width,
        "depths": depth,
        "attention": "".join(
            "G" if "attention/kv" in block else "L" for block in blocks
        ),
        "sr_ratios": ratios[0] if ratios else None,
        "mlp_ratios": hidden / width,
    }
