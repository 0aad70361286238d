"""The handles of timm's repositories, and how their images are prepared."""

import re
from typing import Any

from keras_twins import preprocessing
from keras_twins.config import VARIANTS

# KerasHub has a class of the same name for other families; the package keeps
# the names in files apart from those of `keras_twins` itself.
PACKAGE = "keras_twins_hub"

IMAGENET_CLASSES = 1000

_PREFIX = "hf://timm/twins_"


def timm_variant(preset: object) -> str | None:
    """Returns the variant whose weights a handle names.

    KerasHub has no converter for these repositories; the package has its own,
    with a table of verified sources.

    Args:
        preset: Whatever `from_preset` takes.

    Returns:
        A key of `keras_twins.VARIANTS` for `hf://timm/twins_<variant>.in1k`,
        `None` for what is not a Twins of timm.

    Raises:
        ValueError: If it is one, but none that was published.
    """
    if not isinstance(preset, str) or not preset.startswith(_PREFIX):
        return None
    match = re.fullmatch(r"(\w+)\.in1k", preset.removeprefix(_PREFIX))
    if match is None or match[1] not in VARIANTS:
        handles = [f"{_PREFIX}{variant}.in1k" for variant in VARIANTS]
        raise ValueError(
            f"`preset` must be one of {handles}, or no Twins of timm. "
            f"Received: preset={preset!r}"
        )
    return match[1]


def pixel_scaling() -> dict[str, Any]:
    """Returns `scale` and `offset` of ImageNet for an image converter."""
    layer = preprocessing.normalization_layer()
    return {"scale": list(layer.scale), "offset": list(layer.offset)}
