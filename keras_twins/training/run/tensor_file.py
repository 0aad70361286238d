"""Writing safetensors files without a second copy in memory."""

import json
import os
from collections.abc import Mapping

import numpy as np

_ALIGNMENT = 8
_DTYPES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "uint32": "U32",
    "int32": "I32",
    "uint64": "U64",
    "int64": "I64",
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
}


def write_tensors(
    path: str | os.PathLike[str],
    arrays: Mapping[str, np.ndarray],
    metadata: Mapping[str, str],
) -> None:
    """Writes a safetensors file.

    `safetensors` itself writes to a hidden file of its own, which nobody
    removes after a process was killed, and which only its owner may read.

    Args:
        path: The file, which does not exist yet.
        arrays: Arrays by name, their values in a row in memory.
        metadata: Texts by name.

    Raises:
        OSError: If it cannot be written.

    Reference:
        - [The format](https://github.com/huggingface/safetensors#format)
    """
    # The widest first: everything lies at a multiple of its size.
    names = sorted(arrays, key=lambda name: -arrays[name].itemsize)
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    end = 0
    for name in names:
        array = arrays[name]
        begin, end = end, end + array.nbytes
        header[name] = {
            "dtype": _DTYPES[array.dtype.name],
            "shape": array.shape,
            "data_offsets": (begin, end),
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    with open(path, "xb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            # `write` does not know bfloat16.
            file.write(arrays[name].reshape(-1).view(np.uint8).data)
