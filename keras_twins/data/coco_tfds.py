"""COCO from tensorflow-datasets: boxes, no masks."""

import os
from typing import TYPE_CHECKING

from keras_twins.data.digits import require
from keras_twins.data.tensorflow_data import map_in_order
from keras_twins.data.tensorflow_data import require_tensorflow
from keras_twins.ops import Tensor

if TYPE_CHECKING:
    import tensorflow as tf


def load_coco_tfds(
    split: str = "train", data_dir: str | os.PathLike[str] | None = None
) -> "tf.data.Dataset":
    """Reads `coco/2017` of tensorflow-datasets, downloading it once.

    There are no masks in it: `load_coco` reads those from the files of COCO.
    The classes are the same: 0 to 79 in the order of the categories.

    Args:
        split: `"train"` or `"validation"`, or any split in the syntax of
            tensorflow-datasets; `"test"` has no objects.
        data_dir: Folder of the data sets; by default that of
            tensorflow-datasets.

    Returns:
        A `tf.data.Dataset` in a fixed order, of dicts: `image` `(height,
        width, 3)`, `uint8`; `boxes` `(n, 4)`, `float32`, `(x1, y1, x2, y2)` in
        pixels; `labels` `(n,)`, `int32`; `crowd` `(n,)`, `bool`; `image_id`,
        `int64`.

    Raises:
        ImportError: If TensorFlow or tensorflow-datasets is missing.
    """
    require_tensorflow()
    datasets = require("tensorflow_datasets", "tensorflow-datasets")
    import tensorflow as tf

    def convert(example: dict[str, Tensor]) -> dict[str, Tensor]:
        image, objects = example["image"], example["objects"]
        height, width = tf.unstack(tf.cast(tf.shape(image)[:2], tf.float32))
        y1, x1, y2, x2 = tf.unstack(objects["bbox"], axis=-1)
        boxes = [x1 * width, y1 * height, x2 * width, y2 * height]
        return {
            "image": image,
            "boxes": tf.stack(boxes, axis=-1),
            "labels": tf.cast(objects["label"], tf.int32),
            "crowd": objects["is_crowd"],
            "image_id": example["image/id"],
        }

    found = datasets.load(
        "coco/2017", split=split, data_dir=data_dir, shuffle_files=False
    )
    return map_in_order(found, convert)
