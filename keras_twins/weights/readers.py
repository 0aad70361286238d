"""Checkpoint files as mappings from tensor names to arrays.

The kind of a file is recognised by its content, never by its name, and
nothing in a file is ever executed.
"""

import importlib.util
import os
import pathlib
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import Literal

import numpy as np

from keras_twins.weights.errors import CheckpointError
from keras_twins.weights.torch_files import LEGACY_MAGIC
from keras_twins.weights.torch_files import convert_tensors
from keras_twins.weights.torch_files import read_torch_legacy
from keras_twins.weights.torch_files import read_torch_zip

FileKind = Literal[
    "safetensors", "torch_zip", "torch_legacy", "hdf5", "pickle", "text"
]

_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
_LEGACY = LEGACY_MAGIC.to_bytes(10, "little")
_LFS = b"version https://git-lfs"
_SAFE_HEADER = 100_000_000
_WAY_OUT = "Get the file anew, and compare its sha256 with the published one."


class SafetensorsState(Mapping[str, np.ndarray]):
    """The tensors of a safetensors file, each read when it is asked for.

    Args:
        path: The file.
    """

    def __init__(self, path: str | os.PathLike[str]):
        import safetensors

        self._file = safetensors.safe_open(os.fspath(path), framework="np")
        self._names = frozenset(self._file.keys())
        self._path = path

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._names:
            raise KeyError(name)
        try:
            return np.asarray(self._file.get_tensor(name))
        except Exception as error:  # a dtype that numpy lacks, for example
            raise CheckpointError(
                f"The tensor {name!r} of the weight file {self._path} cannot "
                f"be read: {error}. {_WAY_OUT}"
            ) from error

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._names))

    def __len__(self) -> int:
        return len(self._names)


def read_checkpoint(
    path: str | os.PathLike[str], *, use_torch: bool | None = None
) -> Mapping[str, Any]:
    """Opens a `.safetensors` file or a file written by `torch.save`.

    Tensors are read when they are used, so that a large file is not held in
    memory as a whole (except a legacy torch file that torch itself reads).

    Args:
        path: The file; its kind is recognised by its content.
        use_torch: Whether torch reads `.pth` files. `True`: torch, with
            `weights_only=True`. `False`: a reader of this package, which
            needs no torch. `None`: torch where it is installed.

    Returns:
        Mapping from names to arrays in the file's own dtypes. The mapping of
        a training checkpoint may be nested: see `unwrap`.

    Raises:
        CheckpointError: If there is no such file, if it is damaged, of an
            unknown kind, or holds objects that would have to be executed.

    Example:
    ```python
    from keras_twins.weights import read_checkpoint
    from keras_twins.weights import unwrap

    state, _ = unwrap(read_checkpoint("twins_svt_small-42e5f78c.pth"))
    ```
    """
    path = pathlib.Path(path)
    kind = file_kind(path)
    if use_torch is None:
        use_torch = importlib.util.find_spec("torch") is not None
    try:
        if kind == "safetensors":
            return SafetensorsState(path)
        if use_torch:
            return _read_with_torch(path, zipped=kind == "torch_zip")
        if kind == "torch_zip":
            return read_torch_zip(path)
        return read_torch_legacy(path)
    except Exception as error:
        # Readers of damaged bytes raise whatever comes: to the caller, all
        # of it means that the file cannot be used.
        raise CheckpointError(
            f"The weight file {path} cannot be read: {_reason(error)}. "
            f"{_WAY_OUT} A training checkpoint that holds more than tensors "
            "can be reduced to its state dict with torch, where its origin "
            "is trusted."
        ) from error


def _reason(error: Exception) -> str:
    """Returns the line that says why, without torch's advice to trust."""
    _, mark, detail = str(error).partition("WeightsUnpickler error: ")
    lines = (detail if mark else str(error)).strip().split("\n")
    reason = lines[0].split(" Please use")[0].rstrip(". ")
    return reason or type(error).__name__


def file_kind(path: str | os.PathLike[str]) -> FileKind:
    """Recognises a weight file by its first bytes.

    Args:
        path: The file.

    Returns:
        `"safetensors"`, `"torch_zip"`, `"torch_legacy"` or `"hdf5"`.

    Raises:
        CheckpointError: If there is no such file, or it is none of these.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise CheckpointError(
            f"There is no weight file {path}. Expected the path of an "
            "existing file."
        )
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(64)
    if head.startswith(_HDF5):
        return "hdf5"
    if head.startswith(_ZIP):
        return "torch_zip"
    if head.startswith(b"\x80") and _LEGACY in head:
        return "torch_legacy"
    if _looks_like_safetensors(head, size):
        return "safetensors"
    raise CheckpointError(
        f"The weight file {path} ({size} bytes) is {_describe(head)}. "
        "Expected a .safetensors file, a .pth file of torch.save, or a "
        f".weights.h5 file of Keras. {_WAY_OUT}"
    )


def _looks_like_safetensors(head: bytes, size: int) -> bool:
    length = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and 2 <= length <= min(size - 8, _SAFE_HEADER)


def _describe(head: bytes) -> str:
    if not head:
        return "empty"
    if head.startswith(_LFS):
        return "a Git LFS pointer: the name of the weights, not the weights"
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page, not weights"
    if head[8:9] == b"{":
        return "a safetensors file that is cut off or damaged"
    if head.startswith(b"\x80"):
        return "a pickle that torch.save did not write, which is not opened"
    return "of an unknown kind"


def _read_with_torch(path: pathlib.Path, *, zipped: bool) -> dict[str, Any]:
    import torch

    content = torch.load(
        path, map_location="cpu", weights_only=True, mmap=zipped
    )
    return convert_tensors(content, _tensor_to_numpy)


def _tensor_to_numpy(value: Any) -> Any:
    import ml_dtypes
    import torch

    if not isinstance(value, torch.Tensor):
        return value
    tensor = value.detach()
    if tensor.dtype == torch.bfloat16:  # numpy itself has no such dtype
        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()
