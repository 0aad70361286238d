"""Event files as TensorBoard reads them."""

import os
import pathlib
import struct
import time
from collections.abc import Mapping

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
"""How protocol buffers write a field."""

_CASTAGNOLI = 0x82F63B78
_MASK_DELTA = 0xA282EAD8


class EventFile:
    """A file of scalars, without TensorFlow or TensorBoard.

    It is a list of records as `tf.data.TFRecordDataset` reads them; each is an
    `Event`, a protocol buffer. The first says that what other files of the
    folder have is void.

    Args:
        folder: Folder of the file, which gets a name of its own.

    Reference:
        - [event.proto](https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto)
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        name = f"events.out.tfevents.{time.time_ns()}.{os.getpid()}"
        self.path = pathlib.Path(folder) / f"{name}.keras_twins"
        self._file = open(self.path, "xb")  # noqa: SIM115
        self._write(0, _field(3, b"brain.Event:2"))
        started = _field(1, 1)
        self._write(0, _field(7, started))

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Writes scalars of a step.

        Args:
            step: The step, which is the place on the axis.
            values: Scalars by name.
        """
        summary = b"".join(
            _field(1, _field(1, tag.encode()) + _field(2, float(value)))
            for tag, value in values.items()
        )
        self._write(step, _field(5, summary))

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _write(self, step: int, content: bytes) -> None:
        now = _tag(1, _FIXED64) + struct.pack("<d", time.time())
        data = now + _field(2, step) + content
        length = struct.pack("<Q", len(data))
        self._file.write(length + _checksum(length) + data + _checksum(data))
        self._file.flush()


def _field(number: int, value: int | float | bytes) -> bytes:
    """Returns a field: a whole number, a single float, or bytes."""
    if isinstance(value, bytes):
        return _tag(number, _BYTES) + _varint(len(value)) + value
    if isinstance(value, float):
        return _tag(number, _FIXED32) + struct.pack("<f", _single(value))
    return _tag(number, _VARINT) + _varint(value)


def _single(value: float) -> float:
    """Returns a value that a single float can hold."""
    try:
        struct.pack("<f", value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    return value


def _tag(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _varint(value: int) -> bytes:
    """Returns seven bits a byte, the lowest first."""
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def _checksum(data: bytes) -> bytes:
    """Returns the masked CRC-32C, which zlib does not have."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_CASTAGNOLI if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    rotated = (crc >> 15 | crc << 17) + _MASK_DELTA
    return struct.pack("<I", rotated & 0xFFFFFFFF)
