"""The 80 classes of COCO, bundled: names and numbers without a download.

The files of the data set number their categories from 1 to 90 and leave ten
numbers out. Models number their classes from 0 to 79, in the same order.
"""

import functools
import importlib.resources
from typing import NamedTuple

NUM_CLASSES = 80


class CocoClass(NamedTuple):
    """A class of COCO.

    Args:
        name: The name in the files of the data set, such as
            `"traffic light"`.
        category_id: Its number in these files, from 1 to 90.
    """

    name: str
    category_id: int


@functools.cache
def classes() -> tuple[CocoClass, ...]:
    """Returns the classes of COCO in the order of the labels.

    Returns:
        80 pairs `(name, category_id)`.

    Example:

    ```python
    from keras_twins import coco

    name, category_id = coco.classes()[9]
    ```
    """
    # A number a line, then the name, which may contain spaces.
    file = importlib.resources.files("keras_twins") / "coco_classes.txt"
    return tuple(
        CocoClass(name, int(category_id))
        for category_id, name in (
            line.split(" ", 1)
            for line in file.read_text(encoding="utf-8").splitlines()
        )
    )


def class_names() -> tuple[str, ...]:
    """Returns the names of COCO's classes in the order of the labels.

    Returns:
        80 names.

    Example:

    ```python
    from keras_twins import coco

    label = coco.class_names().index("dog")
    ```
    """
    return tuple(entry.name for entry in classes())


def category_ids() -> tuple[int, ...]:
    """Returns the numbers that COCO's files have for the classes.

    Returns:
        80 numbers from 1 to 90, in the order of the labels: the number at
        position 0 is that of label 0.

    Example:

    ```python
    from keras_twins import coco

    labels = {number: i for i, number in enumerate(coco.category_ids())}
    ```
    """
    return tuple(entry.category_id for entry in classes())
