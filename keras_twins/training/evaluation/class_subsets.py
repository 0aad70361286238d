"""Data sets whose classes are some of those that a model tells apart."""

import dataclasses
import os
import pathlib
from collections.abc import Iterator
from collections.abc import Sequence

from keras_twins.imagenet import NUM_CLASSES
from keras_twins.imagenet import class_names


@dataclasses.dataclass(frozen=True)
class ClassMap:
    """Which output of a model stands for each label of a data set.

    Args:
        outputs: The model's class for each label of the data set, in order.
        num_outputs: Number of classes of the model.
        restrict: Whether the model chooses among the classes of the data set
            alone, as ImageNet-A and ImageNet-R are scored: all other scores
            are left out. Otherwise it may be wrong by any of its classes.

    Raises:
        ValueError: If a class is none of the model's, or stands twice.
    """

    outputs: tuple[int, ...]
    num_outputs: int
    restrict: bool = True

    def __post_init__(self) -> None:
        wrong = [x for x in self.outputs if not 0 <= x < self.num_outputs]
        if wrong or not self.outputs:
            raise ValueError(
                f"`outputs` must be classes from 0 to {self.num_outputs - 1}. "
                f"Received: {wrong[:5] if wrong else 'none'}"
            )
        if twice := list(_repeated(self.outputs)):
            raise ValueError(
                "`outputs` must name each class once. Received: "
                f"{twice[:5]} more than once"
            )

    @property
    def num_classes(self) -> int:
        """Number of classes that are scored."""
        return len(self.outputs) if self.restrict else self.num_outputs


def imagenet_class_map(names: Sequence[str], restrict: bool = True) -> ClassMap:
    """Finds classes among those of ImageNet-1k.

    Args:
        names: Name of each class of a data set, in the order of its labels:
            WordNet identifiers such as `"n01440764"` (ImageNet-A, -R,
            -Sketch), or numbers of the 1000 classes such as `"17"`
            (ImageNet-V2).
        restrict: Whether all other classes are left out; see `ClassMap`.

    Returns:
        A `ClassMap`.

    Raises:
        ValueError: If a name is neither.

    Example:

    ```python
    from keras_twins.training.evaluation import imagenet_class_map

    class_map = imagenet_class_map(["n01498041", "n01531178"])
    ```
    """
    known = {wnid: i for i, (wnid, _) in enumerate(class_names())}
    known |= {str(number): number for number in range(NUM_CLASSES)}
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ValueError(
            "Classes must be named by WordNet identifiers of ImageNet-1k, "
            "such as n01440764, or by their numbers from 0 to 999. Received: "
            f"{len(unknown)} of {len(names)} names that are neither, such as "
            f"{unknown[:5]}"
        )
    outputs = tuple(known[name] for name in names)
    return ClassMap(outputs, NUM_CLASSES, restrict)


def folder_class_map(
    root: str | os.PathLike[str], restrict: bool = True
) -> ClassMap:
    """Finds the classes of a folder of images among those of ImageNet-1k.

    Args:
        root: Folder with one folder for each class, named as
            `imagenet_class_map` takes them. Labels count these folders in the
            order of their names, as text.
        restrict: Whether all other classes are left out; see `ClassMap`.

    Returns:
        A `ClassMap`.

    Raises:
        ValueError: If there is no folder in it, or one with another name.
    """
    folders = [
        path.name
        for path in pathlib.Path(root).iterdir()
        if path.is_dir() and not path.name.startswith(".")
    ]
    if not folders:
        raise ValueError(
            "`root` must have a folder for each class. Received: "
            f"root={os.fspath(root)} without folders"
        )
    return imagenet_class_map(sorted(folders), restrict)


def _repeated(values: Sequence[int]) -> Iterator[int]:
    seen = set()
    for value in values:
        if value in seen:
            yield value
        seen.add(value)
