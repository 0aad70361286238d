"""Opens a file of any kind that Twins weights come in."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any
from typing import Literal

from keras_twins import TwinsConfig
from keras_twins.weights.code_bases import Naming
from keras_twins.weights.readers import file_kind
from keras_twins.weights.readers import read_checkpoint
from weights_port.keras_files import read_keras_file
from weights_port.official import OfficialState
from weights_port.official import examine
from weights_port.official import require
from weights_port.paddle import is_paddle_file
from weights_port.paddle import read_paddle

Container = Literal[
    "safetensors", "torch zip", "torch legacy", "Paddle pickle", "Keras HDF5"
]
_CONTAINERS: Mapping[str, Container] = {
    "safetensors": "safetensors",
    "torch_zip": "torch zip",
    "torch_legacy": "torch legacy",
    "hdf5": "Keras HDF5",
}


@dataclasses.dataclass(frozen=True)
class Opened:
    """A file that was opened, and what is wrong with it.

    Args:
        container: Kind of file.
        official: Its weights under official names.
        problems: A sentence for each fault.
    """

    container: Container
    official: OfficialState
    problems: tuple[str, ...]


def container_of(path: str | os.PathLike[str]) -> Container:
    """Recognises the kind of a file by its content.

    Args:
        path: The file.

    Returns:
        A `Container`.

    Raises:
        CheckpointError: If there is no such file, or its kind is unknown.
    """
    if is_paddle_file(path):
        return "Paddle pickle"
    return _CONTAINERS[file_kind(path)]


def open_weights(
    path: str | os.PathLike[str],
    naming: Naming | None = None,
    architecture: str | TwinsConfig | None = None,
    dialect: str | None = None,
) -> Opened:
    """Opens a file, and gives its weights official names.

    Args:
        path: A `.pth`, `.safetensors`, `.pdparams` or `.weights.h5` file.
        naming: Whose names it uses; by default, it is recognised.
        architecture: A key of `keras_twins.VARIANTS`, or a config; by
            default, the variant is recognised.
        dialect: A key of `keras_twins.config.DIALECTS`; by default, that of
            the code base.

    Returns:
        What the file holds, and what is wrong with it.

    Raises:
        CheckpointError: If the file cannot be read or recognised.
    """
    container = container_of(path)
    if container == "Keras HDF5":
        official = read_keras_file(pathlib.Path(path), architecture, dialect)
        return Opened(container, official, ())
    official, problems = examine(
        _read(path, container), naming, architecture, dialect
    )
    return Opened(container, official, problems)


def read_official(
    path: str | os.PathLike[str],
    naming: Naming | None = None,
    architecture: str | TwinsConfig | None = None,
    dialect: str | None = None,
) -> OfficialState:
    """Reads a file whose weights must be complete and right.

    Args:
        path: As for `open_weights`.
        naming: As for `open_weights`.
        architecture: As for `open_weights`.
        dialect: As for `open_weights`.

    Returns:
        Its weights under official names.

    Raises:
        CheckpointError: If anything is wrong; it lists all that is.
    """
    opened = open_weights(path, naming, architecture, dialect)
    return require(opened.official, opened.problems, f"The file {path}")


def _read(
    path: str | os.PathLike[str], container: Container
) -> Mapping[str, Any]:
    if container == "Paddle pickle":
        return read_paddle(path)
    return read_checkpoint(path)
