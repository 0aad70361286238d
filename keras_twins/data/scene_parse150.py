"""ADE20K from tensorflow-datasets, which has the countable classes only."""

import os
from typing import TYPE_CHECKING

import numpy as np

from keras_twins.data.annotations import IGNORED_LABEL
from keras_twins.data.digits import require
from keras_twins.data.tensorflow_data import map_in_order
from keras_twins.data.tensorflow_data import require_tensorflow
from keras_twins.ops import Tensor

if TYPE_CHECKING:
    import tensorflow as tf

UNCOUNTABLE = (
    *range(7),
    *(9, 11, 13, 16, 17, 21, 25, 26, 28, 29, 34, 40, 46, 48, 51, 52, 54, 59),
    *(60, 61, 63, 68, 77, 79, 84, 91, 94, 96, 99, 100, 101, 105, 106, 109),
    *(113, 114, 117, 122, 128, 131, 140, 141, 145),
)
"""The 50 of the 150 classes of ADE20K, counted from 0, that have no instances:
walls, sky, grass and so on."""

_MAX_VALUE = 100
"""Categories of instances; they keep the order of the 150 classes."""


def load_scene_parse150(
    split: str = "train", data_dir: str | os.PathLike[str] | None = None
) -> "tf.data.Dataset":
    """Reads `scene_parse150` of tensorflow-datasets, downloading it once.

    Despite its name, this data set holds the annotations of instances of
    ADE20K: red is one of 100 categories of countable things, counted in their
    own way, and green tells the instances apart. The categories are turned
    into the labels of the 150 classes here; the other 50 (wall, sky, floor,
    ...) are not annotated and ignored. To train on all classes, or to compare
    with published numbers, use `load_ade20k`.

    Args:
        split: `"train"` or `"test"`, or any split in the syntax of
            tensorflow-datasets; the latter is the validation split of ADE20K.
        data_dir: Folder of the data sets; by default that of
            tensorflow-datasets.

    Returns:
        A `tf.data.Dataset` of `{"image": (height, width, 3), "mask": (height,
        width)}`, both `uint8`, in a fixed order; 255 in the mask is ignored.
        A value out of range ends the iteration with a
        `tf.errors.InvalidArgumentError`.

    Raises:
        ImportError: If TensorFlow or tensorflow-datasets is missing.
    """
    require_tensorflow()
    datasets = require("tensorflow_datasets", "tensorflow-datasets")
    import tensorflow as tf

    table = tf.constant(category_labels())

    def relabel(example: dict[str, Tensor]) -> dict[str, Tensor]:
        categories = tf.cast(example["annotation"][..., 0], tf.int32)
        in_range = tf.debugging.assert_less_equal(
            categories,
            _MAX_VALUE,
            "scene_parse150: expected categories from 0 to 100 in the red "
            "channel of `annotation`.",
        )
        with tf.control_dependencies([in_range]):
            labels = tf.gather(table, categories)
        return {"image": example["image"], "mask": labels}

    found = datasets.load(
        "scene_parse150", split=split, data_dir=data_dir, shuffle_files=False
    )
    return map_in_order(found, relabel)


def category_labels() -> np.ndarray:
    """Returns the label of each category of instances.

    Returns:
        Labels of shape `(101,)`, `uint8`: one of 150 classes for categories 1
        to 100, and 255 for 0, which is everything else.

    Example:

    ```python
    from keras_twins.data.scene_parse150 import category_labels

    bed = category_labels()[1]
    ```
    """
    countable = np.setdiff1d(np.arange(150), UNCOUNTABLE)
    return np.append(IGNORED_LABEL, countable).astype("uint8")
