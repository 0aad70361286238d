"""Files that appear under their name complete, or not at all."""

import contextlib
import os
import pathlib
import secrets
import tempfile
from collections.abc import Callable
from collections.abc import Iterator

import keras


@contextlib.contextmanager
def replace_file(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yields a temporary path that takes the place of `path` at the end.

    The temporary file lies in the same folder, so the last step is one
    atomic rename. Its name is unique, so several processes may write the same
    file at once: the last one wins, and each one's file is complete. After an
    exception, `KeyboardInterrupt` included, the temporary file is gone and
    `path` is as it was.

    Args:
        path: The file to create or to replace.

    Yields:
        pathlib.Path: The temporary file, which does not exist yet.
    """
    path = pathlib.Path(path)
    unique = f"{os.getpid()}-{secrets.token_hex(4)}"
    temporary = path.with_name(f"{path.name}.{unique}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_keras_weights(
    model: keras.Model, path: str | os.PathLike[str]
) -> None:
    """Saves the weights of a model; the file is complete or not there.

    Args:
        model: The model.
        path: The file, its name ends with `.weights.h5`; an existing one is
            replaced.
    """
    _save_through_a_folder(model.save_weights, path)


def save_model(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Saves a model with its weights; the file is complete or not there.

    Args:
        model: The model.
        path: The file, its name ends with `.keras`; an existing one is
            replaced.
    """
    _save_through_a_folder(model.save, path)


def _save_through_a_folder(
    save: Callable[[pathlib.Path], object], path: str | os.PathLike[str]
) -> None:
    path = pathlib.Path(path)
    # Keras insists on its suffix, which `replace_file` does not keep.
    with tempfile.TemporaryDirectory(
        dir=path.parent, prefix=f"{path.name}."
    ) as folder:
        draft = pathlib.Path(folder) / path.name
        save(draft)
        os.replace(draft, path)
