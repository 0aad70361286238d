"""Files in the two layouts of `torch.save`, written without torch."""

import pickle
import struct
import zipfile

import numpy as np

from keras_twins.weights.torch_files import LEGACY_MAGIC

CLASSES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
}
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(value: int) -> bytes:
    raw = value.to_bytes(9, "little", signed=True)
    return b"\x8a\x09" + raw


def numbers(values) -> bytes:
    return b"(" + b"".join(number(value) for value in values) + b"t"


def storage(key: str, kind: str, numel: int, legacy: bool = False) -> bytes:
    view = b"N" if legacy else b""
    return (
        b"("
        + text("storage")
        + f"ctorch\n{kind}\n".encode()
        + text(key)
        + text("cpu")
        + number(numel)
        + view
        + b"tQ"
    )


def tensor(stored: bytes, offset: int, size, stride) -> bytes:
    hooks = b"ccollections\nOrderedDict\n)R"
    arguments = stored + number(offset) + numbers(size) + numbers(stride)
    return REBUILD + b"(" + arguments + b"\x89" + hooks + b"tR"


def dictionary(items: dict[str, bytes]) -> bytes:
    body = b"".join(text(key) + value for key, value in items.items())
    return b"}(" + body + b"u"


def program(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


def _contiguous(key: str, array: np.ndarray, legacy: bool) -> bytes:
    strides = [step // array.itemsize for step in array.strides]
    stored = storage(key, CLASSES[array.dtype.name], array.size, legacy)
    return tensor(stored, 0, array.shape, strides)


def write_zip(path, content: bytes, storages: dict[str, bytes]) -> None:
    """Writes the newer layout with a pickle of the caller's making."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", program(content))
        archive.writestr("archive/byteorder", "little")
        for key, raw in storages.items():
            archive.writestr(f"archive/data/{key}", raw)
        archive.writestr("archive/version", "3\n")


def write_legacy(path, content: bytes, storages: dict[str, tuple]) -> None:
    """Writes the older layout; `storages` has lengths and bytes by key."""
    system = {"protocol_version": 1001, "little_endian": True}
    with open(path, "wb") as file:
        for header in (LEGACY_MAGIC, 1001, system):
            file.write(pickle.dumps(header, protocol=2))
        file.write(program(content))
        file.write(pickle.dumps(list(storages), protocol=2))
        for numel, raw in storages.values():
            file.write(struct.pack("<q", numel) + raw)


def save_zip(path, state: dict[str, np.ndarray]) -> None:
    items = {
        name: _contiguous(str(i), array, False)
        for i, (name, array) in enumerate(state.items())
    }
    storages = {str(i): a.tobytes() for i, a in enumerate(state.values())}
    write_zip(path, dictionary(items), storages)


def save_legacy(path, state: dict[str, np.ndarray]) -> None:
    items = {
        name: _contiguous(str(i), array, True)
        for i, (name, array) in enumerate(state.items())
    }
    storages = {
        str(i): (a.size, a.tobytes()) for i, a in enumerate(state.values())
    }
    write_legacy(path, dictionary(items), storages)
