"""With which numeric details files of models of segmentation are read.

The names in a file tell whose code trained its weights, and so what the code
bases do differently.
"""

import dataclasses
import warnings
from collections.abc import Mapping

from keras_twins.config import TwinsConfig
from keras_twins.weights.code_bases import Naming

DENSE_DIALECTS: Mapping[Naming, str] = {
    "official": "official_segmentation",
    "mmsegmentation": "mmsegmentation",
}
"""A key of `keras_twins.config.DIALECTS`, by whose names a file uses."""


def choose_naming(config: TwinsConfig, naming: Naming | None) -> Naming:
    """Returns the naming for a file, so that it is read as it was written.

    Args:
        config: Architecture of the backbone.
        naming: The naming asked for; a warning says that it stands for other
            numeric details than the backbone's. `None` for the one that
            stands for them.

    Returns:
        A key of `DENSE_DIALECTS`.

    Raises:
        ValueError: If the naming is unknown, or `None` where no naming
            stands for the details of the backbone.
    """
    fitting: list[Naming] = [
        name
        for name, dialect in DENSE_DIALECTS.items()
        if _has_dialect(config, dialect)
    ]
    chosen = naming or next(iter(fitting), None)
    dialect = DENSE_DIALECTS.get(chosen) if chosen else None
    if chosen is None or dialect is None:
        raise ValueError(
            f"`naming` must be one of {sorted(DENSE_DIALECTS)}; it has a "
            "default only if the backbone has the dialect "
            f"{' or '.join(map(repr, DENSE_DIALECTS.values()))}. Received: "
            f"naming={naming!r}"
        )
    if chosen not in fitting:
        warnings.warn(
            f"A file in {chosen!r} naming is read with the dialect "
            f"{dialect!r}, which the model does not have: the "
            "scores will be others. Pass the model's own as `dialect=` to "
            "`from_twins` where the file is read.",
            stacklevel=3,
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
