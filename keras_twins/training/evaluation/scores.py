"""What an evaluation counted, as numbers, a table and JSON.

Shape suffixes: C classes.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_twins.weights.files import replace_file


@dataclasses.dataclass(frozen=True)
class ClassificationScores:
    """How many images of each class were taken for each other.

    All that is counted is whole; only the loss is a sum of rounded numbers.

    Args:
        confusion: Array of shape `(classes, classes)`, int64: rows are true
            classes, columns predicted ones.
        top5_hits: Array of shape `(classes,)`, int64: how many images of each
            true class have it among their five highest scores.
        loss_sum: Sum of the cross-entropies of all images, in nats.

    Example:

    ```python
    from keras_twins.training.evaluation import ClassificationScores

    scores = ClassificationScores(
        confusion=numpy.array([[8, 2], [1, 9]]),
        top5_hits=numpy.array([10, 10]),
        loss_sum=6.0,
    )
    print(scores.report(["cat", "dog"]))
    ```
    """

    confusion: np.ndarray
    top5_hits: np.ndarray
    loss_sum: float

    @property
    def images(self) -> int:
        """Number of images."""
        return int(self.confusion.sum())

    @property
    def top1(self) -> float:
        """Fraction of the images whose highest score is the true class's."""
        return _mean(np.trace(self.confusion), self.images)

    @property
    def top5(self) -> float:
        """Fraction whose true class is among the five highest scores."""
        return _mean(self.top5_hits.sum(), self.images)

    @property
    def loss(self) -> float:
        """Mean cross-entropy with the true class, without smoothing."""
        return _mean(self.loss_sum, self.images)

    @property
    def class_images(self) -> np.ndarray:
        """Number of images of each class, of shape `(classes,)`."""
        return self.confusion.sum(axis=1)

    @property
    def class_top1(self) -> np.ndarray:
        """`top1` of each class's images (recall); NaN without images."""
        return _ratio(np.diag(self.confusion), self.class_images)

    @property
    def class_top5(self) -> np.ndarray:
        """`top5` of each class's images; NaN without images."""
        return _ratio(self.top5_hits, self.class_images)

    @property
    def class_precision(self) -> np.ndarray:
        """Fraction that is right where a class is predicted; NaN if never."""
        return _ratio(np.diag(self.confusion), self.confusion.sum(axis=0))

    @property
    def mean_class_top1(self) -> float:
        """Mean of `class_top1` over the classes that have images."""
        known = self.class_top1[self.class_images > 0]
        return float(known.mean()) if known.size else float("nan")

    def summary(self) -> dict[str, float]:
        """Returns `"top1"`, `"top5"` and `"loss"`, by name."""
        return {"top1": self.top1, "top5": self.top5, "loss": self.loss}

    def most_confused(self, count: int = 20) -> list[tuple[int, int, int]]:
        """Returns the most frequent errors, the worst first.

        Args:
            count: How many at most.

        Returns:
            Triples of the true class, the predicted one and the number of
            images.
        """
        errors_CC = self.confusion.copy()
        np.fill_diagonal(errors_CC, 0)
        flat = errors_CC.ravel()
        order = np.argsort(-flat, kind="stable")[:count]
        classes = self.confusion.shape[1]
        return [
            (int(i // classes), int(i % classes), int(flat[i]))
            for i in order
            if flat[i]
        ]

    def report(self, class_names: Sequence[str] | None = None) -> str:
        """Returns totals, a line for each class and the worst errors.

        Args:
            class_names: Name of each class; by default, its number.

        Returns:
            Lines of text.
        """
        names = self.names(class_names)
        return "\n".join(_report_lines(self, names))

    def to_dict(
        self, class_names: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Returns everything as a dictionary that JSON can hold.

        `None` stands where there is nothing to compare: JSON has no NaN.

        Args:
            class_names: Name of each class; by default, its number.

        Returns:
            Totals, `"classes"` with a dictionary for each class, and
            `"confusion"` with `[true class, predicted class, images]` for all
            pairs that occur.
        """
        names = self.names(class_names)
        columns = (
            self.class_images.tolist(),
            map(_known, self.class_top1),
            map(_known, self.class_top5),
            map(_known, self.class_precision),
        )
        keys = ("name", "images", "top1", "top5", "precision")
        rows, predicted = np.nonzero(self.confusion)
        counts = self.confusion[rows, predicted]
        return {
            "images": self.images,
            **{key: _known(x) for key, x in self.summary().items()},
            "mean_class_top1": _known(self.mean_class_top1),
            "classes": [
                dict(zip(keys, row, strict=True))
                for row in zip(names, *columns, strict=True)
            ],
            "confusion": np.stack([rows, predicted, counts], axis=1).tolist(),
        }

    def write(
        self,
        path: str | os.PathLike[str],
        class_names: Sequence[str] | None = None,
    ) -> None:
        """Writes `to_dict` as JSON.

        Args:
            path: The file; its folder is made where it is missing.
            class_names: Name of each class; by default, its number.
        """
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        with replace_file(path) as temporary:
            text = json.dumps(self.to_dict(class_names), ensure_ascii=False)
            temporary.write_text(text + "\n", encoding="utf-8")

    def names(self, class_names: Sequence[str] | None = None) -> list[str]:
        """Returns a name for each class.

        Args:
            class_names: Name of each class; by default, its number.

        Returns:
            As many names as there are classes.

        Raises:
            ValueError: If there are more or fewer.
        """
        classes = len(self.confusion)
        if class_names is None:
            return [str(number) for number in range(classes)]
        if len(class_names) != classes:
            raise ValueError(
                f"`class_names` must name all {classes} classes. Received: "
                f"{len(class_names)} names"
            )
        return list(class_names)


def _report_lines(
    scores: ClassificationScores, names: Sequence[str]
) -> Iterator[str]:
    yield (
        f"{scores.images} images: top-1 {_percent(scores.top1)} %, top-5 "
        f"{_percent(scores.top5)} %, loss {scores.loss:.4f}; mean top-1 of "
        f"the classes {_percent(scores.mean_class_top1)} %"
    )
    width = max(len("class"), *map(len, names))
    yield ""
    yield f"{'class':{width}}  images   top-1   top-5  precision"
    columns = (scores.class_top1, scores.class_top5, scores.class_precision)
    rows = zip(names, scores.class_images, *columns, strict=True)
    for name, images, top1, top5, precision in rows:
        yield (
            f"{name:{width}}  {images:6d}  {_percent(top1)}  "
            f"{_percent(top5)}     {_percent(precision)}"
        )
    if pairs := scores.most_confused(10):
        yield ""
        yield "most frequent errors (true: predicted, images)"
    for true, predicted, count in pairs:
        yield f"{names[true]}: {names[predicted]}, {count}"


def _percent(value: float) -> str:
    return "     -" if np.isnan(value) else f"{100 * value:6.2f}"


def _mean(total: float, count: int) -> float:
    return float(total) / count if count else float("nan")


def _ratio(part_C: np.ndarray, whole_C: np.ndarray) -> np.ndarray:
    return np.where(whole_C > 0, part_C / np.maximum(whole_C, 1), np.nan)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
