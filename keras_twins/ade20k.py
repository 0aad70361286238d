"""The 150 classes of ADE20K, bundled: names and colours without a download.

The classes are those of the benchmark "scene parsing" (SceneParse150), in the
order of the logits: label 0 is "wall". In the files of the data set it is 1,
and 0 stands for pixels of no class.
"""

import functools
import importlib.resources
from typing import NamedTuple

import numpy as np

NUM_CLASSES = 150


class Ade20kClass(NamedTuple):
    """A class of ADE20K.

    Args:
        name: The name that mmsegmentation uses, unique, such as
            `"chest of drawers"`.
        color: Red, green and blue from 0 to 255. Roads and skyscrapers share
            one.
    """

    name: str
    color: tuple[int, int, int]


@functools.cache
def classes() -> tuple[Ade20kClass, ...]:
    """Returns the classes of ADE20K in the order of the logits.

    Returns:
        150 pairs `(name, color)`.

    Example:

    ```python
    from keras_twins import ade20k

    name, color = ade20k.classes()[12]
    ```
    """
    # Three numbers a line, then the name, which may contain spaces.
    file = importlib.resources.files("keras_twins") / "ade20k_classes.txt"
    return tuple(
        Ade20kClass(name, (int(red), int(green), int(blue)))
        for red, green, blue, name in (
            line.split(" ", 3)
            for line in file.read_text(encoding="utf-8").splitlines()
        )
    )


def class_names() -> tuple[str, ...]:
    """Returns the names of ADE20K's classes in the order of the logits.

    Returns:
        150 names.

    Example:

    ```python
    from keras_twins import ade20k

    label = ade20k.class_names().index("person")
    ```
    """
    return tuple(entry.name for entry in classes())


def palette() -> np.ndarray:
    """Returns the colours in which ADE20K's classes are drawn.

    Returns:
        Array of shape `(150, 3)`, uint8: red, green and blue of each class,
        those of the benchmark's own pictures and of mmsegmentation.

    Example:

    ```python
    from keras_twins import ade20k

    labels = numpy.array([[0, 1], [2, 12]])
    picture = ade20k.palette()[labels]
    ```
    """
    return np.array([entry.color for entry in classes()], dtype="uint8")
