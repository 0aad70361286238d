"""From the weights of any code base to the official names, checked.

What is expected follows from the architecture; what is there must be exactly
that. Everything that is wrong is collected, and told at once.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_twins import TwinsConfig
from keras_twins.config import variant_config
from keras_twins.weights.code_bases import TABLES
from keras_twins.weights.code_bases import Naming
from keras_twins.weights.detectron2 import is_detectron2
from keras_twins.weights.detectron2 import to_mmdetection
from keras_twins.weights.errors import CheckpointError
from keras_twins.weights.head_naming import DenseHead
from keras_twins.weights.head_naming import recognise_head
from keras_twins.weights.recognition import recognise_naming
from keras_twins.weights.renaming import is_dense
from keras_twins.weights.renaming import rename
from keras_twins.weights.unwrapping import unwrap
from weights_port.faults import find_faults
from weights_port.recognise import match_variant
from weights_port.recognise import observe
from weights_port.shapes import expected_shapes

_DETECTION = ("bbox_head.", "rpn_head.", "roi_head.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class OfficialState:
    """Weights under official names, and the model they belong to.

    Args:
        state: Arrays by official name, in torch's layout.
        config: The architecture, with its dialect and output norms.
        variant: A key of `keras_twins.VARIANTS`, or `None` for another
            architecture.
        naming: Whose names the source used.
        dialect: Numeric details of the source, a key of
            `keras_twins.config.DIALECTS`.
        classes: Classes of the classifier, `None` without one.
        final_norm: Whether the norm after the last stage is there.
        wrappers: Containers and prefixes that were taken off.
        left_out: Names of the source that are known and not needed.
        head: Which dense model the backbone was a part of, as
            `recognise_head` names it; `None` for none that is known.
    """

    state: Mapping[str, np.ndarray]
    config: TwinsConfig
    variant: str | None
    naming: Naming
    dialect: str
    classes: int | None
    final_norm: bool
    wrappers: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    head: DenseHead | None = None

    @property
    def include_top(self) -> bool:
        """Whether there is a classifier."""
        return self.classes is not None

    @property
    def channels(self) -> int:
        """Channels of the images."""
        stem = self.state.get("patch_embeds.0.proj.weight")
        return 3 if stem is None or stem.ndim != 4 else stem.shape[1]

    @property
    def parameters(self) -> int:
        """How many numbers the tensors hold."""
        return sum(values.size for values in self.state.values())


def to_official(
    state: Mapping[str, Any],
    naming: Naming | None = None,
    architecture: str | TwinsConfig | None = None,
    dialect: str | None = None,
) -> OfficialState:
    """Gives weights their official names, and checks that they are complete.

    Args:
        state: Arrays by name, wrapped or not, as `open_checkpoint` or
            `weights_port.golden.rule_state` return them.
        naming: Whose names they are; by default, it is recognised.
        architecture: A key of `keras_twins.VARIANTS`, or a config; by
            default, the variant is recognised.
        dialect: A key of `keras_twins.config.DIALECTS`; by default, that of
            the code base.

    Returns:
        An `OfficialState`.

    Raises:
        CheckpointError: If names, shapes or values are wrong; it lists all
            that are.
    """
    official, problems = examine(state, naming, architecture, dialect)
    return require(official, problems, "The state")


def require(
    official: OfficialState, problems: tuple[str, ...], subject: str
) -> OfficialState:
    """Returns a state that must be free of problems.

    Args:
        official: The state.
        problems: A sentence for each fault.
        subject: What the message is about.

    Returns:
        `official`.

    Raises:
        CheckpointError: If there are problems; it lists them all.
    """
    if problems:
        lines = "\n  ".join(problems)
        raise CheckpointError(
            f"{subject} was taken as {official.variant or 'the given config'} "
            f"with {official.naming} names, which it does not fit in "
            f"{len(problems)} ways:\n  {lines}"
        )
    return official


def examine(
    state: Mapping[str, Any],
    naming: Naming | None = None,
    architecture: str | TwinsConfig | None = None,
    dialect: str | None = None,
) -> tuple[OfficialState, tuple[str, ...]]:
    """Gives weights their official names, and lists what is wrong.

    Args:
        state: Arrays by name, wrapped or not.
        naming: As for `to_official`.
        architecture: As for `to_official`.
        dialect: As for `to_official`.

    Returns:
        What there is, and a sentence for each fault.

    Raises:
        CheckpointError: If naming or variant are not given and cannot be
            recognised.
        ValueError: If an argument is unknown.
    """
    _check_naming(naming)
    flat, wrappers = unwrap(state)
    buffers: tuple[str, ...] = ()
    if is_detectron2(flat):
        flat, buffers = to_mmdetection(flat)
    naming = naming or recognise_naming(flat)
    renaming = rename(flat, naming)
    found = renaming.state
    if architecture is None:
        architecture = match_variant(observe(found))
    variant = architecture if isinstance(architecture, str) else None
    dialect = dialect or _dialect(flat, naming, found)
    head = found.get("head.weight")
    norms = any(name.startswith("norm_list.") for name in found)
    official = OfficialState(
        state=found,
        config=resolve_config(architecture, dialect, norms),
        variant=variant,
        naming=naming,
        dialect=dialect,
        classes=None if head is None or head.ndim == 0 else len(head),
        final_norm="norm.weight" in found,
        wrappers=wrappers,
        left_out=(*buffers, *renaming.left_out),
        head=recognise_head(flat),
    )
    return official, (*renaming.problems, *_compare(official))


def _check_naming(naming: str | None) -> None:
    if naming is not None and naming not in TABLES:
        raise ValueError(
            f"`naming` must be one of {sorted(TABLES)}. Received: "
            f"naming={naming!r}"
        )


def _dialect(
    flat: Mapping[str, Any], naming: Naming, found: Mapping[str, np.ndarray]
) -> str:
    """Returns the dialect of a code base.

    Of the official dense models, those without their heads may be either's;
    windows are then padded as in segmentation.
    """
    if naming == "mmpretrain":
        local = any(".attn.qkv." in name for name in found)
        return "mmpretrain_svt" if local else "mmpretrain_pcpvt"
    if naming == "mmsegmentation":
        return "mmsegmentation"
    if not is_dense(flat):
        return "official"
    detection = any(name.startswith(_DETECTION) for name in flat)
    return "official_detection" if detection else "official_segmentation"


def resolve_config(
    architecture: str | TwinsConfig, dialect: str, output_norms: bool
) -> TwinsConfig:
    """Returns the config of a file.

    Args:
        architecture: A key of `keras_twins.VARIANTS`, or a config.
        dialect: A key of `keras_twins.config.DIALECTS`.
        output_norms: Whether the file has norms after the stages.

    Returns:
        The config with these.

    Raises:
        ValueError: If variant or dialect are unknown.
    """
    if isinstance(architecture, str):
        architecture = variant_config(architecture)
    return dataclasses.replace(
        architecture.with_dialect(dialect), output_norms=output_norms
    )


def _compare(official: OfficialState) -> list[str]:
    """Compares names, shapes and values with what the config says."""
    expected = expected_shapes(
        official.config,
        channels=official.channels,
        classes=official.classes,
        final_norm=official.final_norm or official.include_top,
    )
    return find_faults(official.state, expected)
