"""Checkpoints of a training: one file each, whole or not at all."""

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors import safe_open

from keras_twins.training.run.errors import CorruptCheckpointError
from keras_twins.training.run.tensor_file import write_tensors
from keras_twins.weights.files import replace_file

_SUFFIX = ".safetensors"
_BEST = f"best{_SUFFIX}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """What a checkpoint holds.

    Args:
        path: The file.
        arrays: Arrays by name.
        state: Whatever JSON can hold.
    """

    path: pathlib.Path
    arrays: Mapping[str, np.ndarray]
    state: Mapping[str, Any]


def write_checkpoint(
    path: str | os.PathLike[str],
    arrays: Mapping[str, np.ndarray],
    state: Mapping[str, Any],
) -> None:
    """Writes a checkpoint; it is on the disk when this returns.

    A safetensors file. Its metadata are the state, and a digest of state and
    arrays, by which a damaged file is told.

    Args:
        path: The file; an existing one is replaced in one step.
        arrays: Arrays by name.
        state: Whatever JSON can hold.

    Raises:
        OSError: If it cannot be written; no part of it is left, and an
            existing file is as it was.
    """
    # Unlike `ascontiguousarray`, this leaves scalars without an axis.
    flat = {name: np.asarray(x, order="C") for name, x in arrays.items()}
    text = json.dumps(state)
    metadata = {"state": text, "sha256": _digest(flat, text)}
    with replace_file(path) as temporary:
        try:
            write_tensors(temporary, flat, metadata)
            _flush(temporary)
        except OSError as error:
            # A full disk does not say which file it was.
            raise OSError(error.errno, error.strerror, str(path)) from error
    _flush(pathlib.Path(path).parent)


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Reads a checkpoint and compares it with its digest.

    Args:
        path: The file.

    Returns:
        The checkpoint.

    Raises:
        CorruptCheckpointError: If it is not what was written.
        OSError: If it cannot be read.
    """
    try:
        with safe_open(path, framework="numpy") as content:
            metadata = content.metadata()
            names = content.keys()
            arrays = {name: content.get_tensor(name) for name in names}
        text, expected = metadata["state"], metadata["sha256"]
        state = json.loads(text)
    except (SafetensorError, ValueError, LookupError, TypeError) as error:
        raise CorruptCheckpointError(
            f"{path} is not a whole checkpoint: {error!r}."
        ) from error
    if _digest(arrays, text) != expected:
        raise CorruptCheckpointError(
            f"{path} is damaged: its content has another SHA-256 than it had "
            "when it was written."
        )
    return Checkpoint(path=pathlib.Path(path), arrays=arrays, state=state)


class CheckpointFolder:
    """The checkpoints of one training, the newest ones and the best.

    Args:
        path: The folder; it is made with the first checkpoint.
        keep: How many of the newest are kept.

    Raises:
        ValueError: If none would be kept.

    Example:

    ```python
    import tempfile

    import numpy as np

    from keras_twins.training.run import CheckpointFolder

    with tempfile.TemporaryDirectory() as path:
        folder = CheckpointFolder(path)
        folder.write(10, {"kernel": np.ones((2, 3))}, {"epoch": 1})
        checkpoint = folder.latest()
    ```
    """

    def __init__(self, path: str | os.PathLike[str], keep: int = 2) -> None:
        if keep < 1:
            raise ValueError(
                "`keep` must be a positive number of checkpoints. "
                f"Received: keep={keep}"
            )
        self.path = pathlib.Path(path)
        self.keep = keep

    def write(
        self,
        step: int,
        arrays: Mapping[str, np.ndarray],
        state: Mapping[str, Any],
    ) -> pathlib.Path:
        """Writes a checkpoint, then removes those that are too old.

        Args:
            step: Number of steps so far.
            arrays: Arrays by name.
            state: Whatever JSON can hold.

        Returns:
            The file.

        Raises:
            OSError: If it cannot be written; the others are as they were.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        path = self._file(step)
        write_checkpoint(path, arrays, state)
        for old in self._files()[self.keep :]:
            old.unlink(missing_ok=True)
        return path

    def mark_best(self, step: int) -> None:
        """Keeps a checkpoint as the best one, whatever comes later.

        Args:
            step: Number of steps of a checkpoint that is there.

        Raises:
            OSError: If it cannot be kept; the best one is as it was.
        """
        with replace_file(self.path / _BEST) as temporary:
            try:
                # A second name of the same file takes no room.
                os.link(self._file(step), temporary)
            except OSError:
                shutil.copyfile(self._file(step), temporary)
                _flush(temporary)

    def best(self) -> Checkpoint | None:
        """Reads the best checkpoint.

        Returns:
            The checkpoint, or `None` if none was marked.

        Raises:
            CorruptCheckpointError: If it is damaged.
        """
        path = self.path / _BEST
        return read_checkpoint(path) if path.exists() else None

    def latest(self) -> Checkpoint | None:
        """Returns the newest checkpoint that is whole.

        Newer ones that are damaged are named in a warning and set aside: they
        would count as some of those that are kept.

        Returns:
            The checkpoint, or `None` if there never was one.

        Raises:
            CorruptCheckpointError: If there are checkpoints, but none is
                whole.
        """
        damaged: dict[pathlib.Path, CorruptCheckpointError] = {}
        for path in self._files():
            try:
                found = read_checkpoint(path)
            except CorruptCheckpointError as error:
                damaged[path] = error
                continue
            _set_aside(damaged, found)
            return found
        if damaged:
            raise CorruptCheckpointError(
                f"No checkpoint of {self.path} can be used: "
                f"{_join(damaged)} Train from the beginning in another folder, "
                "or remove this one."
            )
        return None

    def remove_drafts(self) -> None:
        """Removes what a process that was killed had not finished.

        Only one process of a training does this, before it writes.
        """
        for path in self.path.glob(f"*{_SUFFIX}.*.part"):
            path.unlink(missing_ok=True)

    def newest(self) -> pathlib.Path | None:
        """Returns the newest file, or `None` if there is none."""
        return next(iter(self._files()), None)

    def _file(self, step: int) -> pathlib.Path:
        return self.path / f"step-{step:010d}{_SUFFIX}"

    def _files(self) -> list[pathlib.Path]:
        """Returns the checkpoints, the newest first."""
        return sorted(self.path.glob(f"step-*{_SUFFIX}"), reverse=True)


def _set_aside(
    damaged: Mapping[pathlib.Path, CorruptCheckpointError], found: Checkpoint
) -> None:
    if not damaged:
        return
    for path in damaged:
        os.replace(path, path.with_suffix(".damaged"))
    warnings.warn(
        f"{_join(damaged)} The training goes on from {found.path}.",
        stacklevel=3,
    )


def _join(damaged: Mapping[pathlib.Path, CorruptCheckpointError]) -> str:
    return " ".join(str(error) for error in damaged.values())


def _digest(arrays: Mapping[str, np.ndarray], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\n{name} {array.dtype} {array.shape}\n".encode())
        # As bytes: the buffer protocol does not know bfloat16.
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _flush(path: pathlib.Path) -> None:
    """Waits until a file or the names of a folder are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
