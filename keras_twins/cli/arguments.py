"""What the commands take, checked before anything runs."""

import argparse
import pathlib

from keras_twins.cli.models import variants_by_constructor
from keras_twins.config import VARIANTS

SAVED_MODEL = ".keras"
"""End of the name of a saved model."""

_WEIGHTS = (".h5", ".pth", ".pt", ".safetensors", ".pdparams")


def variant(text: str) -> str:
    """Returns the key of a published variant.

    Args:
        text: The key itself, or the name of the constructor.

    Returns:
        A key of `keras_twins.VARIANTS`.

    Raises:
        argparse.ArgumentTypeError: If there is no such variant.
    """
    name = variants_by_constructor().get(text, text)
    if name not in VARIANTS:
        raise argparse.ArgumentTypeError(
            f"expected one of {', '.join(VARIANTS)}, or the name of a "
            f"constructor such as TwinsSVTBase. Received: {text}"
        )
    return name


def variant_or_file(text: str) -> str | pathlib.Path:
    """Returns the key of a published variant, or the path of a saved model.

    Args:
        text: The key, the name of the constructor, or a path that ends in
            `.keras`.

    Returns:
        A key of `keras_twins.VARIANTS`, or a path.

    Raises:
        argparse.ArgumentTypeError: If there is no such variant.
    """
    if text.endswith(SAVED_MODEL):
        return pathlib.Path(text)
    if text.endswith(_WEIGHTS):
        raise argparse.ArgumentTypeError(
            f"{text} is a file of weights, which does not say of which model. "
            f"Name that first, such as svt_small, and pass --weights {text} "
            "with --head, --classes and --dialect as far as the command has "
            f"them. A model in one file ends in {SAVED_MODEL}"
        )
    return variant(text)


def positive(text: str) -> int:
    """Returns a number of at least 1.

    Args:
        text: The number in decimal digits.

    Returns:
        The number.

    Raises:
        argparse.ArgumentTypeError: If the text is no such number.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"expected an integer of at least 1. Received: {text}"
        )
    return int(text)
