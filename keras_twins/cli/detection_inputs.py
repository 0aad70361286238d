"""What the commands of detection read: models and names."""

import argparse
import pathlib
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_twins.cli.checks import check_model_options
from keras_twins.cli.saved_models import load_saved_model

if TYPE_CHECKING:
    from keras_twins.detection.detector import Detector

HEADS = ("retinanet", "mask_rcnn")
"""What `--head` takes."""

_CLASSES = 80
_NO_WEIGHTS = "none"
_ADVICE = (
    "Pass the path of a file with all weights; nobody has published weights "
    "trained on COCO with the recipe of the paper."
)


def check_detector_options(arguments: argparse.Namespace) -> None:
    """Ends the process if the options of the model do not fit each other.

    Args:
        arguments: `model`, `head`, `weights`, `classes`, `dialect`, and
            `fail`, which ends the process after wrong usage.
    """
    check_model_options(arguments, _ADVICE)
    saved = isinstance(arguments.model, pathlib.Path)
    if not saved and arguments.weights is None:
        arguments.fail(f"--weights is needed for a variant. {_ADVICE}")


def detection_model(
    arguments: argparse.Namespace, names: Sequence[str] | None
) -> "Detector":
    """Returns the model that the arguments name.

    Args:
        arguments: `model`, `head`, `weights`, `classes` and `dialect`.
        names: Names of the classes, if they are known.

    Returns:
        The model.

    Raises:
        ValueError: If a saved model is no detector.
    """
    from keras_twins.detection.detector import Detector
    from keras_twins.detection.mask_rcnn import MaskRCNN
    from keras_twins.detection.retinanet import RetinaNet

    if isinstance(arguments.model, pathlib.Path):
        model = load_saved_model(arguments.model)
        if not isinstance(model, Detector):
            raise ValueError(
                f"{arguments.model} must hold a RetinaNet or a MaskRCNN. "
                f"Received: a {type(model).__name__}"
            )
        return model
    weights = arguments.weights
    if weights == _NO_WEIGHTS:
        weights = None
        warnings.warn(
            "The weights are random: what is detected means nothing.",
            stacklevel=2,
        )
    classes = {"retinanet": RetinaNet, "mask_rcnn": MaskRCNN}
    return classes[arguments.head or "retinanet"].from_twins(
        arguments.model,
        weights,
        arguments.classes or (len(names) if names else _CLASSES),
        dialect=arguments.dialect,
    )


def warn_of_threshold(model: "Detector", score_threshold: float) -> None:
    """Warns if a threshold is lower than what the model gives.

    Args:
        model: The model.
        score_threshold: The lowest score that is wanted.
    """
    own = model.settings.score_threshold
    if score_threshold < own:
        warnings.warn(
            f"--score-threshold {score_threshold:g} shows no more than {own:g} "
            "does: the model gives nothing below, which is its own "
            "`score_threshold`. Build it with a lower one to see more.",
            stacklevel=2,
        )


def read_names(path: pathlib.Path) -> tuple[str, ...]:
    """Reads the names of classes.

    Args:
        path: Text file with a name a line, in the order of the labels.

    Returns:
        The names.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no text, or a line is empty.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text in UTF-8: {error}") from error
    names = tuple(line.strip() for line in lines)
    if not all(names) or not names:
        raise ValueError(
            f"{path} must have a name on every line. Received: {len(names)} "
            f"lines, {names.count('')} of them empty"
        )
    return names


def class_names(
    model: "Detector", names: Sequence[str] | None
) -> tuple[str, ...]:
    """Returns a name for each class of a model.

    Args:
        model: The model.
        names: Names that were given, if any.

    Returns:
        These; else COCO's, or numbers for another count than 80.

    Raises:
        ValueError: If there are not as many as the model has classes.
    """
    from keras_twins import coco

    count = model.num_classes
    if names is None:
        if count == coco.NUM_CLASSES:
            return coco.class_names()
        return tuple(f"class {i}" for i in range(count))
    if len(names) != count:
        raise ValueError(
            f"The model tells {count} classes apart; there must be as many "
            f"names. Received: {len(names)}, such as {list(names[:3])}"
        )
    return tuple(names)
