"""Tensors of torch files as records, and as views of the bytes they name."""

from typing import NamedTuple

import numpy as np


class StorageRecord(NamedTuple):
    """A run of numbers in the file: their dtype, its key, its length."""

    dtype: str
    key: str
    numel: int


class TensorRecord(NamedTuple):
    """A view of a storage; sizes, strides and offset count numbers."""

    storage: StorageRecord
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


STORAGE_DTYPES = {
    "torch DoubleStorage": "float64",
    "torch FloatStorage": "float32",
    "torch HalfStorage": "float16",
    "torch BFloat16Storage": "bfloat16",
    "torch LongStorage": "int64",
    "torch IntStorage": "int32",
    "torch ShortStorage": "int16",
    "torch CharStorage": "int8",
    "torch ByteStorage": "uint8",
    "torch BoolStorage": "bool",
}
"""The storage classes that a file may name, and their dtypes."""


def view_storage(
    record: TensorRecord, data: memoryview, *, little_endian: bool = True
) -> np.ndarray:
    """Returns a tensor as a view of its storage's bytes.

    Args:
        record: Which numbers of the storage, and their shape.
        data: The bytes of the storage.
        little_endian: Byte order of the numbers.

    Returns:
        Read-only array of shape `record.size`.

    Raises:
        ValueError: If the tensor reaches beyond its storage, or repeats it.
    """
    dtype = storage_dtype(record.storage.dtype)
    numel = record.storage.numel
    if numel * dtype.itemsize > len(data):
        raise ValueError("a storage reaches beyond the end of the file")
    numbers = np.frombuffer(data, dtype, numel)
    count = 1
    for side in record.size:
        count *= side
    if count == 0:
        return np.empty(record.size, dtype)
    pairs = zip(record.size, record.stride, strict=True)
    last = record.offset + sum((side - 1) * step for side, step in pairs)
    if last >= numel or count > numel:
        raise ValueError("a tensor reaches beyond its storage")
    view = np.lib.stride_tricks.as_strided(
        numbers[record.offset :],
        record.size,
        [step * dtype.itemsize for step in record.stride],
        writeable=False,
    )
    return view if little_endian else view.byteswap()


def storage_dtype(name: str) -> np.dtype:
    """Returns the numpy dtype of a storage, little endian."""
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name).newbyteorder("<")
