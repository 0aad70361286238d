"""Files of PaddlePaddle (`.pdparams`), read without it and without risk.

Such a file is a pickle of numpy arrays. Of all that a pickle may refer to,
only what describes arrays is understood, and even numpy's own functions are
replaced by the records below: nothing that a file names is ever called.
"""

import math
import os
import pathlib
import pickle
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_twins.weights.errors import CheckpointError
from keras_twins.weights.torch_files import LEGACY_MAGIC

NAME_TABLE = "StructuredToParameterName@@"
"""Entry with Paddle's internal names, which it adds to every state."""

_DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "b1")
_MAX_DEPTH = 8


def is_paddle_file(path: str | os.PathLike[str]) -> bool:
    """Returns whether a file is a plain pickle, as Paddle writes it.

    Args:
        path: The file.

    Returns:
        Whether it is a pickle of protocol 2 or later, and not torch's.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        head = file.read(64)
    torch = LEGACY_MAGIC.to_bytes(10, "little") in head
    return head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04" and not torch


def read_paddle(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads a `.pdparams` file.

    Args:
        path: The file.

    Returns:
        Its dictionary, with arrays in the file's dtypes.

    Raises:
        CheckpointError: If the file is damaged, or refers to anything but
            numpy arrays.
    """
    try:
        with open(path, "rb") as file:
            content = _ArrayUnpickler(file, encoding="latin1").load()
        return _resolve(content, {}, 0)
    except Exception as error:
        # A damaged pickle raises whatever comes.
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise CheckpointError(
            f"The weight file {path} cannot be read: {reason}. Expected a "
            ".pdparams file of numpy arrays; get the file anew, and compare "
            "its sha256 with the published one."
        ) from error


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = _KNOWN.get(f"{module}.{name}".replace("._core.", ".core."))
        if known is None:
            raise ValueError(
                f"it refers to '{module}.{name}', which a file of arrays does "
                "not need; nothing of it was run"
            )
        return _Known(known)

    def persistent_load(self, pid: Any) -> Any:
        raise ValueError("it refers to objects outside the file")


class _Known:
    """Stands for something a pickle may call; takes no attributes."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]):
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise ValueError("it sets attributes of a function")


class _DType:
    """Record of a numpy dtype."""

    __slots__ = ("_code", "_order")

    def __init__(self, code: Any, *_: Any):
        if code not in _DTYPES:
            raise ValueError(f"arrays of dtype {code!r} are refused")
        self._code = code
        self._order = "|"

    def __setstate__(self, state: Any) -> None:
        _, order, subtype, names, fields, *_ = state
        plain = (subtype, names, fields) == (None, None, None)
        if order not in ("<", ">", "|") or not plain:
            raise ValueError("arrays of a compound dtype are refused")
        self._order = order

    def to_numpy(self) -> np.dtype:
        return np.dtype(self._order + self._code)


class _Array:
    """Record of a numpy array."""

    __slots__ = ("_values",)

    def __init__(self, *_: Any):
        self._values = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        if type(dtype) is not _DType or type(shape) is not tuple:
            raise ValueError("an array is described in an unknown way")
        if any(type(side) is not int or side < 0 for side in shape):
            raise ValueError(f"an array has the shape {shape}")
        values = np.frombuffer(_to_bytes(data), dtype.to_numpy())
        if values.size != math.prod(shape):
            raise ValueError(
                f"an array of shape {shape} has {values.size} numbers"
            )
        self._values = values.reshape(shape, order="F" if fortran else "C")

    def to_numpy(self) -> np.ndarray:
        if self._values is None:
            raise ValueError("an array without numbers")
        return self._values


def _scalar(dtype: Any, data: Any) -> np.generic:
    if type(dtype) is not _DType:
        raise ValueError("a number is described in an unknown way")
    return np.frombuffer(_to_bytes(data), dtype.to_numpy(), 1)[0]


def _encode(text: Any, encoding: Any) -> bytes:
    if encoding != "latin1":
        raise ValueError(f"bytes in the encoding {encoding!r}")
    return _to_bytes(text)


def _to_bytes(data: Any) -> bytes:
    """Returns bytes, which older protocols store as text."""
    if isinstance(data, str):
        return data.encode("latin1")
    if not isinstance(data, bytes):
        raise ValueError(f"numbers stored as a {type(data).__name__}")
    return data


def _refuse(*_: Any) -> None:
    raise ValueError("it makes an array in an unknown way")


_KNOWN: Mapping[str, Callable[..., Any]] = {
    "numpy.core.multiarray._reconstruct": _Array,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy.ndarray": _refuse,
    "numpy.dtype": _DType,
    "_codecs.encode": _encode,
    "collections.OrderedDict": dict,
}


def _resolve(content: Any, done: dict[int, Any], depth: int) -> dict[str, Any]:
    """Replaces records by arrays; each dictionary once, or it might explode."""
    if not isinstance(content, dict):
        raise ValueError("it holds no dictionary of tensors")
    if depth > _MAX_DEPTH:
        raise ValueError("its dictionaries are nested too deeply")
    if id(content) not in done:
        done[id(content)] = {
            str(key): _resolve_value(value, done, depth)
            for key, value in content.items()
            if key != NAME_TABLE
        }
    return done[id(content)]


def _resolve_value(value: Any, done: dict[int, Any], depth: int) -> Any:
    if isinstance(value, tuple) and len(value) == 2:
        value = value[1]  # (internal name, array)
    if isinstance(value, _Array):
        return value.to_numpy()
    if isinstance(value, dict):
        return _resolve(value, done, depth + 1)
    return value
