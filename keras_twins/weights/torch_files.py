"""The two layouts of `torch.save`, read without torch.

Both hold a pickle of records that name storages, and the storages' bytes: as
members of a zip archive, or (until torch 1.6) one after the other.
"""

import mmap
import pathlib
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_twins.weights.torch_pickle import Cursor
from keras_twins.weights.torch_pickle import read_pickle
from keras_twins.weights.torch_tensors import StorageRecord
from keras_twins.weights.torch_tensors import TensorRecord
from keras_twins.weights.torch_tensors import storage_dtype
from keras_twins.weights.torch_tensors import view_storage

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_LOCAL_HEADER = 30
_MAX_DEPTH = 16

_Fetch = Callable[[TensorRecord], np.ndarray]


def read_torch_zip(path: pathlib.Path) -> dict[str, Any]:
    """Reads a zip file of `torch.save`; tensors are views of the file.

    Args:
        path: The file.

    Returns:
        Its dictionary, with arrays in place of tensors.

    Raises:
        ValueError: If the file is damaged or holds anything but tensors,
            containers, numbers and strings. Other errors of `zipfile` mean
            that the archive is damaged.
    """
    data = _map_file(path)
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: info for info in archive.infolist()}
    pickles = [name for name in members if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ValueError("a zip archive, but not one that torch.save wrote")
    root = pickles[0].removesuffix("data.pkl")

    def member(name: str) -> memoryview:
        if root + name not in members:
            raise ValueError(f"the archive lacks {root + name!r}")
        return _member_bytes(data, members[root + name])

    little = True
    if root + "byteorder" in members:
        little = bytes(member("byteorder")) == b"little"

    def fetch(record: TensorRecord) -> np.ndarray:
        storage = member(f"data/{record.storage.key}")
        return view_storage(record, storage, little_endian=little)

    return _resolve(read_pickle(Cursor(member("data.pkl"))), fetch)


def _map_file(path: pathlib.Path) -> memoryview:
    with open(path, "rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _member_bytes(data: memoryview, info: zipfile.ZipInfo) -> memoryview:
    """Returns the bytes of an uncompressed member without a copy.

    The central directory does not say where they start: behind the local
    header, whose two variable fields have lengths of their own.
    """
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{info.filename!r} is compressed")
    start = info.header_offset
    header = data[start : start + _LOCAL_HEADER]
    if len(header) < _LOCAL_HEADER or bytes(header[:4]) != b"PK\x03\x04":
        raise ValueError(f"{info.filename!r} is not where it should be")
    name_length, extra_length = struct.unpack("<HH", header[26:30])
    start += _LOCAL_HEADER + name_length + extra_length
    if start + info.file_size > len(data):
        raise ValueError(f"{info.filename!r} is cut off")
    return data[start : start + info.file_size]


def read_torch_legacy(path: pathlib.Path) -> dict[str, Any]:
    """Reads a file of `torch.save` before 1.6; tensors are views of it.

    Args:
        path: The file.

    Returns:
        Its dictionary, with arrays in place of tensors.

    Raises:
        ValueError: If the file is damaged or holds anything but tensors,
            containers, numbers and strings.
    """
    cursor = Cursor(_map_file(path))
    magic, protocol = read_pickle(cursor), read_pickle(cursor)
    if magic != LEGACY_MAGIC or protocol != _LEGACY_PROTOCOL:
        raise ValueError("not a file that torch.save wrote")
    read_pickle(cursor)  # the writing machine; numbers are little endian
    content, keys = read_pickle(cursor), read_pickle(cursor)
    records: dict[str, StorageRecord] = {}
    _resolve(content, lambda record: _note(records, record.storage))
    storages = _legacy_storages(cursor, keys, records)

    def fetch(record: TensorRecord) -> np.ndarray:
        return view_storage(record, storages[record.storage.key])

    return _resolve(content, fetch)


def _note(records: dict[str, StorageRecord], storage: StorageRecord) -> Any:
    if records.setdefault(storage.key, storage) != storage:
        raise ValueError("a storage is described twice in different ways")


def _legacy_storages(
    cursor: Cursor, keys: Any, records: dict[str, StorageRecord]
) -> dict[str, memoryview]:
    if type(keys) is not list or any(type(key) is not str for key in keys):
        raise ValueError("the list of storages is damaged")
    if set(keys) != set(records):
        raise ValueError("the list of storages does not fit the tensors")
    storages = {}
    for key in keys:
        record = records[key]
        header = cursor.read(8)
        if len(header) < 8 or struct.unpack("<q", header)[0] != record.numel:
            raise ValueError(f"the storage {key!r} has the wrong length")
        size = record.numel * storage_dtype(record.dtype).itemsize
        storages[key] = cursor.take(size)
        if len(storages[key]) != size:
            raise ValueError("the file is cut off")
    return storages


def _resolve(content: Any, fetch: _Fetch) -> dict[str, Any]:
    def convert(value: Any) -> Any:
        return fetch(value) if isinstance(value, TensorRecord) else value

    return convert_tensors(content, convert)


def convert_tensors(
    content: Any, convert: Callable[[Any], Any]
) -> dict[str, Any]:
    """Converts the leaves of nested dictionaries, each dictionary once.

    A small file can nest a dictionary twice in each of many others, which
    would explode.

    Args:
        content: What a file holds.
        convert: Called with each value that is no dictionary.

    Returns:
        The same nest of dictionaries, with names as keys.

    Raises:
        ValueError: If it is no dictionary, nested too deeply, or has keys
            other than names and numbers.
    """
    if not isinstance(content, dict):
        raise ValueError("it holds no dictionary of tensors")
    return _convert_dict(content, convert, {}, 0)


def _convert_dict(
    content: dict[Any, Any],
    convert: Callable[[Any], Any],
    done: dict[int, Any],
    depth: int,
) -> dict[str, Any]:
    if depth > _MAX_DEPTH:
        raise ValueError("its dictionaries are nested too deeply")
    if id(content) not in done:
        result = {}
        for key, value in content.items():
            if not isinstance(key, str | int):
                raise ValueError(f"a key is a {type(key).__name__}")
            if isinstance(value, dict):
                value = _convert_dict(value, convert, done, depth + 1)
            else:
                value = convert(value)
            result[str(key)] = value
        done[id(content)] = result
    return done[id(content)]
