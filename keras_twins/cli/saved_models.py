"""Models that a command reads from a file."""

import pathlib
import zipfile
from typing import Any


def load_saved_model(path: pathlib.Path) -> Any:
    """Loads a model that `model.save` wrote.

    Args:
        path: A `.keras` file.

    Returns:
        The model, not compiled.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not whole, or cannot be loaded.
    """
    import keras

    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path} is not a whole .keras file, which is a zip archive. Save "
            "or copy it again."
        )
    try:
        return keras.saving.load_model(path, compile=False)
    # Keras raises whatever its parts raise: KeyError, OSError, TypeError.
    except Exception as error:
        raise ValueError(
            f"{path} cannot be loaded as a Keras model: "
            f"{type(error).__name__}: {error}"
        ) from error
