"""The 1000 classes of ImageNet-1k, bundled: names without a download."""

import functools
import importlib.resources
from typing import NamedTuple

import keras
import numpy as np

from keras_twins.ops import Tensor

NUM_CLASSES = 1000


class ImageNetClass(NamedTuple):
    """A class of ImageNet-1k.

    Two pairs of classes share a name; `wnid` tells them apart.

    Args:
        wnid: WordNet identifier, such as `"n02504458"`.
        name: First lemma of the synset, such as `"African_elephant"`.
    """

    wnid: str
    name: str


@functools.cache
def class_names() -> tuple[ImageNetClass, ...]:
    """Returns the classes of ImageNet-1k in the order of the logits.

    Returns:
        1000 pairs `(wnid, name)`.

    Example:

    ```python
    wnid, name = keras_twins.imagenet.class_names()[386]
    ```
    """
    # Two words a line; underscores stand for the spaces within a name.
    file = importlib.resources.files("keras_twins") / "imagenet_classes.txt"
    lines = file.read_text(encoding="utf-8").splitlines()
    return tuple(ImageNetClass(*line.split(" ")) for line in lines)


def decode_predictions(
    preds: Tensor, top: int = 5
) -> list[list[tuple[str, str, np.floating]]]:
    """Names the most probable classes of each image.

    Args:
        preds: Predictions of shape `(samples, 1000)`: an array, or a tensor
            of the backend.
        top: Number of classes to name for each sample.

    Returns:
        For each sample, a list of `(wnid, name, score)`, best first.

    Raises:
        ValueError: If `preds` has another shape, or `top` is not positive.

    Example:

    ```python
    preds = keras.random.uniform((1, 1000))
    wnid, name, score = keras_twins.decode_predictions(preds, top=3)[0][0]
    ```
    """
    shape = tuple(preds.shape)
    if len(shape) != 2 or shape[1] != NUM_CLASSES:
        raise ValueError(
            "`decode_predictions` expects a batch of predictions (i.e. a 2D "
            "array of shape (samples, 1000)). Received array with shape: "
            f"{shape}"
        )
    if top < 1:
        raise ValueError(f"`top` must be at least 1. Received: top={top}")
    classes = class_names()
    return [
        [(*classes[index], scores[index]) for index in _best(scores, top)]
        for scores in keras.ops.convert_to_numpy(preds)
    ]


def _best(scores: np.ndarray, top: int) -> np.ndarray:
    """Returns the indices of the `top` highest scores, best first."""
    return np.argsort(scores)[::-1][:top]
