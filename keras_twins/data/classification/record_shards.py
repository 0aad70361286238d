"""Image sets in a few large files: TFRecord, and WebDataset's tar."""

import glob
import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_twins.data.classification.image_dataset import ImageDataset
from keras_twins.data.classification.image_dataset import Row
from keras_twins.data.classification.shard_stream import BUFFER
from keras_twins.data.classification.shard_stream import Shard
from keras_twins.data.classification.shard_stream import ShardStream
from keras_twins.data.classification.webdataset import read_tar
from keras_twins.data.tensorflow_data import map_in_order
from keras_twins.data.tensorflow_data import require_tensorflow
from keras_twins.ops import Tensor

if TYPE_CHECKING:
    import tensorflow as tf

_TAR = ".tar"


def load_shards(
    pattern: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    num_examples: int,
    class_names: Sequence[str],
    first_label: int = 0,
    buffer: int = BUFFER,
) -> ImageDataset:
    """Reads TFRecord files, or those of WebDataset, which end in `.tar`.

    TFRecords hold `image/encoded` and `image/class/label`, and may hold
    `image/filename`, as the scripts for ImageNet write them. In a tar, files
    of one row follow each other and have one name, up to its first dot: an
    image (`.jpg`, `.png`, ...) and the label as text (`.cls`).

    Args:
        pattern: Pattern of the paths, with `*`, `?` and `[...]`; or the paths.
        num_examples: Number of rows in all files; another number than there
            is ends an evaluation with an error.
        class_names: Names of the classes in the order of the labels.
        first_label: Label of the first class: 1 for the TFRecords that
            Google's scripts write of ImageNet.
        buffer: Rows that are shuffled among each other.

    Returns:
        An `ImageDataset`, shuffled by the order of the files and within
        `buffer`. Each process of a distributed training needs a file of its
        own. A label out of range ends the iteration with a
        `tf.errors.InvalidArgumentError` that names the row.

    Raises:
        FileNotFoundError: If there is no file.
        ImportError: If TensorFlow is missing.
        ValueError: If there are files of both kinds, or an argument is wrong.
    """
    require_tensorflow()
    paths = _paths(pattern)
    tars = [path.endswith(_TAR) for path in paths]
    if any(tars) != all(tars):
        raise ValueError(
            f"Either all files or none must end in {_TAR}. Received: "
            f"{sum(tars)} of {len(paths)} in {pattern}"
        )
    read = read_tar if all(tars) else read_tfrecord
    classes = len(class_names)

    def rows(path: Tensor) -> "tf.data.Dataset":
        return map_in_order(
            read(path), lambda row: _relabel(row, first_label, classes)
        )

    shards = [Shard(path) for path in paths]
    stream = ShardStream(shards, rows, num_examples, buffer)
    name = os.path.commonprefix(paths) if len(paths) > 1 else paths[0]
    return ImageDataset(name, tuple(class_names), num_examples, stream.read)


def read_tfrecord(path: Tensor) -> "tf.data.Dataset":
    """Reads the rows of a TFRecord file.

    Args:
        path: Path of the file, a scalar string.

    Returns:
        A `tf.data.Dataset` of `content`, `label` and `name`; where a row has
        no name, it is the file and its number.
    """
    import tensorflow as tf

    features = {
        "image/encoded": tf.io.FixedLenFeature([], tf.string),
        "image/class/label": tf.io.FixedLenFeature([], tf.int64),
        "image/filename": tf.io.FixedLenFeature([], tf.string, ""),
    }

    def parse(number: Tensor, serialized: Tensor) -> Row:
        row = tf.io.parse_single_example(serialized, features)
        place = tf.strings.join([path, ":", tf.strings.as_string(number)])
        name = row["image/filename"]
        return {
            "content": row["image/encoded"],
            "label": row["image/class/label"],
            "name": tf.where(tf.equal(name, ""), place, name),
        }

    return map_in_order(tf.data.TFRecordDataset(path).enumerate(), parse)


def _paths(
    pattern: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
) -> list[str]:
    if isinstance(pattern, str | os.PathLike):
        paths = sorted(glob.glob(os.fspath(pattern)))
    else:
        paths = [os.fspath(path) for path in pattern]
    missing = [path for path in paths if not pathlib.Path(path).is_file()]
    if missing or not paths:
        raise FileNotFoundError(f"There is no file {missing[:3] or pattern}.")
    return paths


def _relabel(row: Row, first_label: int, classes: int) -> Row:
    import tensorflow as tf

    label = row["label"] - first_label
    in_range = tf.debugging.Assert(
        (label >= 0) & (label < classes),
        [
            f"Labels must be from {first_label} to "
            f"{first_label + classes - 1}; those of some scripts begin at "
            "`first_label=1`. Received:",
            row["label"],
            row["name"],
        ],
    )
    with tf.control_dependencies([in_range]):
        return {**row, "label": tf.identity(label)}
