"""The tar files of WebDataset: images and their labels, one after another."""

import os
import posixpath
import tarfile
from collections.abc import Iterator
from typing import IO
from typing import TYPE_CHECKING
from typing import Any

from keras_twins.data.classification.image_folder import IMAGE_SUFFIXES
from keras_twins.ops import Tensor

if TYPE_CHECKING:
    import tensorflow as tf

LABEL_SUFFIX = ".cls"

TarRow = tuple[bytes, int, bytes]
"""Content, label and name of an image."""


def read_tar(path: Tensor) -> "tf.data.Dataset":
    """Reads the rows of a tar file.

    Args:
        path: Path of the file, a scalar string.

    Returns:
        A `tf.data.Dataset` of `content`, `label` and `name`. A broken tar ends
        the iteration with a `tf.errors.InvalidArgumentError` that names it.
    """
    import tensorflow as tf

    scalar = tf.TensorSpec([], tf.string)
    rows = tf.data.Dataset.from_generator(
        tar_rows,
        output_signature=(scalar, tf.TensorSpec([], tf.int64), scalar),
        args=(path,),
    )
    return rows.map(
        lambda content, label, name: {
            "content": content,
            "label": label,
            "name": name,
        }
    )


def tar_rows(path: bytes) -> Iterator[TarRow]:
    """Reads a tar file from the front.

    Args:
        path: Path of the file.

    Yields:
        Content, label and name of each image.

    Raises:
        ValueError: If it is no whole tar, or an image has no label.
    """
    file = os.fsdecode(path)
    key, parts = "", {}
    try:
        for member, content in _members(file):
            own, suffix = _split_name(member)
            if own != key and parts:
                yield _row(file, key, parts)
                parts = {}
            key = own
            parts[suffix] = content
    except tarfile.TarError as error:
        raise ValueError(f"Cannot read {file} to its end: {error}") from error
    if parts:
        yield _row(file, key, parts)


def _members(path: str) -> Iterator[tuple[str, bytes]]:
    """Yields names and contents of what concerns images."""
    with tarfile.open(path, "r:") as opened:
        archive: Any = opened
        for member in archive:
            # It would remember all of them.
            archive.members = []
            suffix = _split_name(member.name)[1]
            if member.isfile() and _concerns(suffix):
                yield member.name, _content(archive.extractfile(member), member)


def _content(file: IO[bytes] | None, member: tarfile.TarInfo) -> bytes:
    content = file.read() if file else b""
    if len(content) != member.size:
        raise tarfile.ReadError(f"{member.name} is cut off")
    return content


def _concerns(suffix: str) -> bool:
    return suffix == LABEL_SUFFIX or suffix in IMAGE_SUFFIXES


def _split_name(name: str) -> tuple[str, str]:
    """Splits a name at the first dot behind its folder."""
    folder, base = posixpath.split(name)
    stem, dot, suffix = base.partition(".")
    return posixpath.join(folder, stem), (dot + suffix).lower()


def _row(file: str, key: str, parts: dict[str, bytes]) -> TarRow:
    images = [suffix for suffix in parts if suffix != LABEL_SUFFIX]
    label = parts.get(LABEL_SUFFIX, b"").strip()
    if len(images) != 1 or not label.isdigit():
        raise ValueError(
            f"Each row must have one image and a label, a number in "
            f"{LABEL_SUFFIX}. Received: {key} in {file} with "
            f"{', '.join(sorted(parts))}, label {label!r}"
        )
    name = os.fsencode(f"{file}:{key}{images[0]}")
    return parts[images[0]], int(label), name
