"""All recipes together, and what the paper reached with them."""

import dataclasses
import difflib
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

from keras_twins.config import TwinsConfig
from keras_twins.training.classification_recipes import CLASSIFICATION_RECIPES
from keras_twins.training.classification_recipes import ClassificationRecipe
from keras_twins.training.detection_recipes import DETECTION_RECIPES
from keras_twins.training.detection_recipes import DetectionRecipe
from keras_twins.training.segmentation_recipes import SEGMENTATION_RECIPES
from keras_twins.training.segmentation_recipes import SegmentationRecipe

Recipe = ClassificationRecipe | SegmentationRecipe | DetectionRecipe
"""A row of one of the tables."""

RECIPES: Mapping[str, Recipe] = {
    **CLASSIFICATION_RECIPES,
    **SEGMENTATION_RECIPES,
    **DETECTION_RECIPES,
}
"""All recipes, by name."""

# The tables of the paper; where it has several models, the range.
_PUBLISHED: Mapping[str, str] = {
    "imagenet/pcpvt_small": "top-1 81.2",
    "imagenet/pcpvt_base": "top-1 82.7",
    "imagenet/pcpvt_large": "top-1 83.1",
    "imagenet/svt_small": "top-1 81.7",
    "imagenet/svt_base": "top-1 83.2",
    "imagenet/svt_large": "top-1 83.7",
    "ade20k/semantic_fpn": "mIoU 43.2 (SVT-S) to 46.7 (SVT-L)",
    "ade20k/upernet": "mIoU 46.2 (SVT-S) to 48.8 (SVT-L)",
    "coco/retinanet_1x": "AP 43.0 (SVT-S) to 45.7 (SVT-L)",
    "coco/retinanet_3x": "AP 45.2 (PCPVT-S) to 46.9 (SVT-B)",
    "coco/mask_rcnn_1x": "box AP 42.9 (PCPVT-S) to 45.9 (SVT-L)",
    "coco/mask_rcnn_3x": "box AP 46.8 (SVT-S) to 48.0 (SVT-B)",
}


def find_recipe(name: str) -> Recipe:
    """Returns a recipe by its name.

    Args:
        name: A key of `RECIPES`.

    Returns:
        The recipe.

    Raises:
        ValueError: If there is none of the name.

    Example:

    ```python
    from keras_twins.training import find_recipe

    recipe = find_recipe("imagenet/svt_base")
    ```
    """
    if name in RECIPES:
        return RECIPES[name]
    near = difflib.get_close_matches(name, RECIPES, n=3)
    near += [key for key in RECIPES if key.rpartition("/")[2] == name]
    hint = f"Did you mean {' or '.join(dict.fromkeys(near))}? " if near else ""
    raise ValueError(
        f"There is no such recipe. {hint}There are {', '.join(RECIPES)}. "
        f"Received: {name!r}"
    )


def recipe_settings(name: str) -> dict[str, Any]:
    """Returns the settings of a recipe by the names that `override` takes.

    Args:
        name: A key of `RECIPES`.

    Returns:
        Values by name, those of parts with a dot: `augmentation.mixup`.

    Raises:
        ValueError: If there is no such recipe.

    Example:

    ```python
    from keras_twins.training import recipe_settings

    rate = recipe_settings("imagenet/svt_base")["learning_rate"]
    ```
    """
    return dict(_flat(dataclasses.asdict(find_recipe(name))))


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{key}", x) for key, x in _flat(value))
        else:
            yield name, value


def recipe_rows() -> list[dict[str, str]]:
    """Returns the recipes as a table.

    Returns:
        For each recipe, texts by column: `name`, `task`, `model`, `length`,
        `batch`, `learning_rate`, `published` and `source`.

    Example:

    ```python
    from keras_twins.training import recipe_rows

    names = [row["name"] for row in recipe_rows()]
    ```
    """
    return [
        {
            "name": name,
            "task": _task(recipe),
            "model": _model(recipe),
            "length": _length(recipe),
            "batch": str(recipe.batch_size),
            "learning_rate": f"{_rate(recipe):g}",
            "published": _PUBLISHED.get(name, "-"),
            "source": recipe.source,
        }
        for name, recipe in RECIPES.items()
    ]


def _task(recipe: Recipe) -> str:
    if isinstance(recipe, ClassificationRecipe):
        return "classification"
    if isinstance(recipe, SegmentationRecipe):
        return "segmentation"
    return "detection"


def _model(recipe: Recipe) -> str:
    if not isinstance(recipe, ClassificationRecipe):
        return f"{recipe.head} on any"
    if isinstance(recipe.variant, TwinsConfig):
        return "own"
    return recipe.variant


def _length(recipe: Recipe) -> str:
    if isinstance(recipe, SegmentationRecipe):
        return f"{recipe.steps:,} steps"
    return f"{recipe.epochs:,} epochs"


def _rate(recipe: Recipe) -> float:
    if isinstance(recipe, ClassificationRecipe):
        return recipe.peak_learning_rate()
    return recipe.learning_rate
