"""Writes image sets into a few large files, and what is in them beside."""

import contextlib
import io
import json
import os
import pathlib
import tarfile
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any

from keras_twins.data.classification.image_dataset import ImageDataset
from keras_twins.data.classification.image_dataset import Reading
from keras_twins.data.tensorflow_data import require_tensorflow
from keras_twins.weights.files import replace_file

DESCRIPTION = "dataset.json"
"""File beside the shards: names of the classes, files and sizes of splits."""

_PNG = b"\x89PNG"

Rows = Iterable[tuple[bytes, int, str]]
"""Contents, labels and names."""


def write_tfrecords(
    dataset: ImageDataset,
    folder: str | os.PathLike[str],
    split: str = "train",
    num_shards: int = 16,
    seed: int | None = 0,
) -> list[pathlib.Path]:
    """Writes a set into TFRecord files, and `dataset.json` beside them.

    Args:
        dataset: The set, such as `load_image_folder(...)`. Its images are
            written as they are, not decoded.
        folder: Folder to write to; it is made if there is none.
        split: Name of the split.
        num_shards: Number of files: at least as many as processes of a
            training, best a multiple of them.
        seed: Seed of the order. Files are shuffled in parts only when they
            are read, so that classes should be mixed here. `None` keeps the
            order of the set.

    Returns:
        Paths of the files.

    Raises:
        ImportError: If TensorFlow is missing.
        ValueError: If there are more files than images, or `dataset.json` has
            other classes already.
    """
    return _write(dataset, folder, split, num_shards, seed, "tfrecord")


def write_webdataset(
    dataset: ImageDataset,
    folder: str | os.PathLike[str],
    split: str = "train",
    num_shards: int = 16,
    seed: int | None = 0,
) -> list[pathlib.Path]:
    """Writes a set into tar files of WebDataset, and `dataset.json` beside.

    Args:
        dataset: As for `write_tfrecords`.
        folder: As for `write_tfrecords`.
        split: As for `write_tfrecords`.
        num_shards: As for `write_tfrecords`.
        seed: As for `write_tfrecords`.

    Returns:
        Paths of the files.

    Raises:
        ImportError: If TensorFlow is missing.
        ValueError: As by `write_tfrecords`.
    """
    return _write(dataset, folder, split, num_shards, seed, "tar")


def read_description(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads what is written beside shards.

    Args:
        folder: Folder of the shards.

    Returns:
        `class_names`; `splits`, from names to `files`, a pattern, and
        `num_examples`; and where it is there `first_label`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds something else.
    """
    path = pathlib.Path(folder, DESCRIPTION)
    wanted = (
        '{"class_names": ["cat", ...], "splits": {"train": {"files": '
        '"train-*.tfrecord", "num_examples": 1000}, ...}}'
    )
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file {path}, which says what is in the shards. "
            f"Write one: {wanted}"
        )
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        names, splits = list(found["class_names"]), found["splits"].values()
        rows = [(str(one["files"]), int(one["num_examples"])) for one in splits]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} must hold {wanted}. Received: {error!r}"
        ) from error
    if not names or not rows or not all(isinstance(x, str) for x in names):
        raise ValueError(
            f"{path} must hold {wanted}. Received: {len(names)} classes, "
            f"{len(rows)} splits"
        )
    return found


def _write(
    dataset: ImageDataset,
    folder: str | os.PathLike[str],
    split: str,
    num_shards: int,
    seed: int | None,
    kind: str,
) -> list[pathlib.Path]:
    require_tensorflow()
    total = dataset.num_examples
    if not 1 <= num_shards <= total:
        raise ValueError(
            f"`num_shards` must be from 1 to the number of images, {total}. "
            f"Received: num_shards={num_shards}"
        )
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    description = _describe(folder, dataset, split, kind)
    rows = _rows(dataset, seed)
    write = {"tfrecord": _write_records, "tar": _write_tar}[kind]
    paths = []
    for index in range(num_shards):
        path = folder / f"{split}-{index:05}-of-{num_shards:05}.{kind}"
        first, end = (total * i // num_shards for i in (index, index + 1))
        with replace_file(path) as temporary:
            write(temporary, (next(rows) for _ in range(first, end)))
        paths.append(path)
    with replace_file(folder / DESCRIPTION) as temporary:
        text = json.dumps(description, indent=1) + "\n"
        temporary.write_text(text, encoding="utf-8")
    return paths


def _describe(
    folder: pathlib.Path, dataset: ImageDataset, split: str, kind: str
) -> dict[str, Any]:
    """Returns the description of what is there and what is to come."""
    own = {
        "files": f"{split}-*.{kind}",
        "num_examples": dataset.num_examples,
    }
    names = list(dataset.class_names)
    with contextlib.suppress(FileNotFoundError):
        found = read_description(folder)
        if found["class_names"] != names:
            raise ValueError(
                f"All splits in {folder} must have the same classes. "
                f"Received: {len(names)} classes for {split!r}, other than "
                f"the {len(found['class_names'])} that are there"
            )
        return {**found, "splits": {**found["splits"], split: own}}
    return {"class_names": names, "splits": {split: own}}


def _rows(
    dataset: ImageDataset, seed: int | None
) -> Iterator[tuple[bytes, int, str]]:
    rows = dataset.read(Reading(seed, 1)).take(dataset.num_examples)
    # A scalar string becomes bytes, which the annotations do not tell.
    found: Any = rows.as_numpy_iterator()
    for row in found:
        name = os.path.basename(os.fsdecode(row["name"]))
        yield row["content"], int(row["label"]), name


def _write_records(path: pathlib.Path, rows: Rows) -> None:
    import tensorflow as tf

    def raw(value: bytes) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    with tf.io.TFRecordWriter(str(path)) as writer:
        for content, label, name in rows:
            number = tf.train.Int64List(value=[label])
            feature = {
                "image/encoded": raw(content),
                "image/class/label": tf.train.Feature(int64_list=number),
                "image/filename": raw(os.fsencode(name)),
            }
            features = tf.train.Features(feature=feature)
            row = tf.train.Example(features=features)
            writer.write(row.SerializeToString())


def _write_tar(path: pathlib.Path, rows: Rows) -> None:
    with tarfile.open(path, "w") as archive:
        for number, (content, label, _) in enumerate(rows):
            suffix = ".png" if content.startswith(_PNG) else ".jpg"
            _add(archive, f"{number:08}{suffix}", content)
            _add(archive, f"{number:08}.cls", str(label).encode())


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
