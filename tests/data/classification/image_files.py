"""Sets of small images for the tests of what reads them."""

import numpy as np

from keras_twins.data.classification.image_folder import load_image_folder
from keras_twins.data.classification.image_folder import write_image_folder

CLASSES = ("ape", "bee", "cat")


def write_set(root, count=11, split="train", size=8):
    """Writes `count` images, each of the colour of its number."""
    numbers = np.arange(count, dtype="uint8")
    shape = (count, size, size, 3)
    images = np.broadcast_to(numbers[:, None, None, None], shape)
    labels = np.arange(count) % len(CLASSES)
    write_image_folder(root, split, images, labels, CLASSES)
    return root


def make_set(root, count=11, split="train", size=8):
    """Returns the set that `write_set` has written."""
    return load_image_folder(write_set(root, count, split, size), split)


def take(dataset, reading, count):
    """Returns what is known of the first rows, apart from their contents."""
    rows = dataset.read(reading).take(count).as_numpy_iterator()
    return [
        (int(row["position"]), row["name"].decode(), int(row["label"]))
        for row in rows
    ]


def names(rows):
    return [name for _, name, _ in rows]
