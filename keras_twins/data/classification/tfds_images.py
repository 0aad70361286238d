"""Classification sets of tensorflow-datasets, not decoded."""

import os
from typing import TYPE_CHECKING
from typing import Any

from keras_twins.data.classification.image_dataset import ImageDataset
from keras_twins.data.classification.image_dataset import Row
from keras_twins.data.classification.shard_stream import BUFFER
from keras_twins.data.classification.shard_stream import Shard
from keras_twins.data.classification.shard_stream import ShardStream
from keras_twins.data.classification.splits import find_split
from keras_twins.data.digits import require
from keras_twins.data.tensorflow_data import map_in_order
from keras_twins.data.tensorflow_data import require_tensorflow
from keras_twins.ops import Tensor

if TYPE_CHECKING:
    import tensorflow as tf


def load_tfds(
    name: str,
    split: str = "train",
    data_dir: str | os.PathLike[str] | None = None,
    buffer: int = BUFFER,
) -> ImageDataset:
    """Reads a set of tensorflow-datasets, preparing it once.

    Args:
        name: Name of a set of images with one class each, such as
            `"imagenet2012"` (whose archives must be downloaded by hand) or
            `"cifar10"`.
        split: Split in the syntax of tensorflow-datasets, such as
            `"train[:90%]"`. `"val"`, `"validation"` and `"test"` stand for
            each other where only one is there.
        data_dir: Folder of the sets; by default that of
            tensorflow-datasets.
        buffer: Rows that are shuffled among each other.

    Returns:
        An `ImageDataset`, shuffled by the order of its files and within
        `buffer`. Each process of a distributed training needs a file of its
        own.

    Raises:
        FileNotFoundError: If there is no such split; the message names those
            that there are.
        ImportError: If TensorFlow or tensorflow-datasets is missing.
        ValueError: If there is no such set, it cannot be prepared, it is not
            one for classification, or its files are not TFRecords.
    """
    require_tensorflow()
    builder = _prepared(name, data_dir)
    info = builder.info
    image, label = _keys(info)
    chosen = _split(info, split)
    _check_format(info)
    shards = [
        Shard(os.fspath(one.filename), one.skip, one.take)
        for one in chosen.file_instructions
    ]

    def rows(path: Tensor) -> "tf.data.Dataset":
        return _rows(path, info.features, image, label)

    stream = ShardStream(shards, rows, chosen.num_examples, buffer)
    return ImageDataset(
        f"{info.full_name}/{split}",
        tuple(info.features[label].names),
        chosen.num_examples,
        stream.read,
    )


def _prepared(name: str, data_dir: str | os.PathLike[str] | None) -> Any:
    datasets = require("tensorflow_datasets", "tensorflow-datasets")
    builder = datasets.builder(name, data_dir=data_dir)
    try:
        builder.download_and_prepare()
    # Where archives must be downloaded by hand, that is what it raises.
    except AssertionError as error:
        raise ValueError(f"Cannot prepare {name}: {error}") from error
    return builder


def _keys(info: Any) -> tuple[str, str]:
    """Returns the names of the image and of the label."""
    datasets = require("tensorflow_datasets", "tensorflow-datasets")
    kinds = datasets.features
    images = [k for k, f in info.features.items() if isinstance(f, kinds.Image)]
    labels = [
        k for k, f in info.features.items() if isinstance(f, kinds.ClassLabel)
    ]
    keys = info.supervised_keys or (images[:1] + labels[:1])
    if len(keys) != 2 or keys[0] not in images or keys[1] not in labels:
        raise ValueError(
            "A set for classification must have an image and a class. "
            f"Received: {info.full_name} with {info.features}"
        )
    return keys[0], keys[1]


def _split(info: Any, split: str) -> Any:
    base = split.partition("[")[0]
    if "+" in split:
        return info.splits[split]
    found = find_split(base, sorted(info.splits), info.full_name)
    return info.splits[found + split[len(base) :]]


def _check_format(info: Any) -> None:
    form = info.file_format
    if form is not None and form.value != "tfrecord":
        raise ValueError(
            "Files must be TFRecords. Prepare the set with "
            '`tfds.builder(name, file_format="tfrecord")`. Received: '
            f"{info.full_name} with files of {form.value}"
        )


def _rows(
    path: Tensor, features: Any, image: str, label: str
) -> "tf.data.Dataset":
    import tensorflow as tf

    datasets = require("tensorflow_datasets", "tensorflow-datasets")
    skipping = {image: datasets.decode.SkipDecoding()}

    def parse(number: Tensor, serialized: Tensor) -> Row:
        row = features.deserialize_example(serialized, decoders=skipping)
        return {
            "content": row[image],
            "label": tf.cast(row[label], tf.int64),
            "name": tf.strings.join([path, ":", tf.strings.as_string(number)]),
        }

    return map_in_order(tf.data.TFRecordDataset(path).enumerate(), parse)
