"""What a classifier's evaluation leaves for people to read."""

import pathlib
import warnings
from collections.abc import Sequence

from keras_twins.training.evaluation import ClassificationScores
from keras_twins.training.evaluation import draw_class_accuracy
from keras_twins.training.evaluation import draw_confusion
from keras_twins.weights.files import replace_file


def write_results(
    folder: pathlib.Path,
    scores: ClassificationScores,
    class_names: Sequence[str] | None = None,
) -> None:
    """Writes scores as JSON, as a table of the classes, and as pictures.

    Args:
        folder: Where `scores.json`, `report.txt`, `confusion.png` and
            `classes.png` go; it is made where it is missing.
        scores: The scores.
        class_names: Name of each class; by default, its number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scores.write(folder / "scores.json", class_names)
    with replace_file(folder / "report.txt") as temporary:
        text = scores.report(class_names)
        temporary.write_text(f"{text}\n", encoding="utf-8")
    try:
        draw_confusion(folder / "confusion.png", scores, class_names)
        draw_class_accuracy(folder / "classes.png", scores, class_names)
    except ImportError as error:
        # The numbers are worth more than their pictures.
        warnings.warn(f"No pictures of the scores: {error}", stacklevel=2)
