"""What an export gave, and how far it is from Keras."""

import dataclasses
import pathlib

import numpy as np


class ExportError(RuntimeError):
    """An artefact that does not compute what the Keras model computes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What an export gave, measured on the artefact itself.

    Args:
        format: Name of the format.
        path: The artefact: a file or a folder.
        bytes: Its size; for a folder, the sum of its files.
        max_abs_difference: Largest difference from Keras on the images.
        max_abs_output: Largest output of Keras on the images.
        top1_agreement: Fraction of the images whose largest output is the
            same one in Keras; `None` unless there is one output of shape
            `(batch, classes)`.
        seconds: Time to write the artefact.
        load_seconds: Time to load it and to run it once.
    """

    format: str
    path: pathlib.Path
    bytes: int
    max_abs_difference: float
    max_abs_output: float
    top1_agreement: float | None
    seconds: float
    load_seconds: float


def max_difference(
    expected: list[np.ndarray], received: list[np.ndarray]
) -> float:
    """Returns the largest difference between two lists of outputs.

    Args:
        expected: Outputs of Keras.
        received: Outputs of an artefact.

    Returns:
        The difference; NaN if one of them holds NaN.

    Raises:
        ExportError: If the shapes differ.
    """
    shapes = [x.shape for x in expected], [x.shape for x in received]
    if shapes[0] != shapes[1]:
        raise ExportError(
            f"The artefact's outputs have shapes {shapes[1]}; Keras's have "
            f"{shapes[0]}. It was removed."
        )
    pairs = zip(expected, received, strict=True)
    # NumPy's maximum keeps NaN, the built-in one may lose it.
    return float(np.max([np.abs(a - b).max() for a, b in pairs]))


def top1_agreement(
    expected: list[np.ndarray], received: list[np.ndarray]
) -> float | None:
    """Returns the fraction of rows whose largest value is the same one.

    Args:
        expected: Outputs of Keras.
        received: Outputs of an artefact.

    Returns:
        The fraction; `None` unless there is one output of shape
        `(batch, classes)`.
    """
    if len(expected) != 1 or expected[0].ndim != 2:
        return None
    same = expected[0].argmax(axis=-1) == received[0].argmax(axis=-1)
    return float(same.mean())


def artifact_bytes(path: pathlib.Path) -> int:
    """Returns the size of a file, or of all files in a folder.

    Args:
        path: The file or folder.

    Returns:
        Number of bytes.
    """
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
