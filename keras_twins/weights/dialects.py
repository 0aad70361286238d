"""With which numeric details files of dense models are read.

The names in a file tell whose code trained its weights, and so what the code
bases do differently.
"""

import dataclasses
import warnings
from collections.abc import Mapping

from keras_twins.config import TwinsConfig
from keras_twins.config import variant_config
from keras_twins.weights.code_bases import Naming
from keras_twins.weights.head_naming import Task

DENSE_DIALECTS: Mapping[Task, Mapping[Naming, str]] = {
    "segmentation": {
        "official": "official_segmentation",
        "mmsegmentation": "mmsegmentation",
    },
    # mmdetection has no backbone of its own: the official code brings it.
    "detection": {"official": "official_detection"},
}
"""A key of `keras_twins.config.DIALECTS`, by what a model is for and by whose
names a file uses for the backbone."""


def dense_config(
    variant: str, dialect: str, output_norms: bool | None = None
) -> TwinsConfig:
    """Returns the architecture that the backbones of dense models have.

    Args:
        variant: A key of `keras_twins.VARIANTS`.
        dialect: A key of `keras_twins.config.DIALECTS`.
        output_norms: Whether there are norms between the stages; by default,
            in Twins-SVT, as in the official code.

    Returns:
        A `TwinsConfig`.

    Raises:
        ValueError: If variant or dialect are unknown.
    """
    config = variant_config(variant).with_dialect(dialect)
    if output_norms is None:
        output_norms = has_windows(config)
    return dataclasses.replace(config, output_norms=output_norms)


def choose_naming(
    config: TwinsConfig, naming: Naming | None, task: Task
) -> Naming:
    """Returns the naming for a file, so that it is read as it was written.

    Args:
        config: Architecture of the backbone.
        naming: The naming asked for; a warning says that it stands for other
            numeric details than the backbone's. `None` for the one that
            stands for them.
        task: What the model is for.

    Returns:
        A key of `DENSE_DIALECTS[task]`.

    Raises:
        ValueError: If the naming is unknown, or `None` where no naming
            stands for the details of the backbone.
    """
    dialects = DENSE_DIALECTS[task]
    fitting: list[Naming] = [
        name
        for name, dialect in dialects.items()
        if _has_dialect(config, dialect)
    ]
    chosen = naming or next(iter(fitting), None)
    dialect = dialects.get(chosen) if chosen else None
    if chosen is None or dialect is None:
        raise ValueError(
            f"`naming` must be one of {sorted(dialects)}; it has a "
            "default only if the backbone has the dialect "
            f"{' or '.join(map(repr, dialects.values()))}. Received: "
            f"naming={naming!r}"
        )
    if chosen not in fitting:
        warnings.warn(
            f"A file in {chosen!r} naming is read with the dialect "
            f"{dialect!r}, which the model does not have: the "
            "scores will be others. Pass the model's own as `dialect=` to "
            "`from_twins` where the file is read.",
            stacklevel=4,
        )
    return chosen


def has_windows(config: TwinsConfig) -> bool:
    """Returns whether any block has local attention.

    Args:
        config: The architecture.

    Returns:
        `True` for Twins-SVT.
    """
    return any("L" in pattern for pattern in config.attention_pattern)


def _has_dialect(config: TwinsConfig, dialect: str) -> bool:
    """Whether a backbone computes what it would with a dialect."""
    other = config.with_dialect(dialect)
    if not has_windows(config):
        padding = config.window_padding
        other = dataclasses.replace(other, window_padding=padding)
    return config == other
