"""The training of models of segmentation, on data in ADE20K's layout."""

import dataclasses
import os
from typing import TYPE_CHECKING

import keras

from keras_twins.data import SegmentationAugmentation
from keras_twins.data import load_ade20k
from keras_twins.data import training_batches
from keras_twins.segmentation import SegmentationCrossEntropy
from keras_twins.segmentation import SemanticFPN
from keras_twins.segmentation import UPerNet
from keras_twins.segmentation import evaluate_segmentation
from keras_twins.training.segmentation_recipes import SegmentationRecipe
from keras_twins.training.strategies import Distribution
from keras_twins.training.tasks.task import Scores
from keras_twins.training.tasks.task import Task
from keras_twins.training.tasks.task import local_batch
from keras_twins.training.tasks.task import validates_here

if TYPE_CHECKING:
    import tensorflow as tf

_MODELS = {"semantic_fpn": SemanticFPN, "upernet": UPerNet}
_VALIDATIONS = 10
"""How often a training is validated: every tenth of its steps."""


def segmentation_task(
    recipe: SegmentationRecipe,
    data: str | os.PathLike[str],
    variant: str,
    distribution: Distribution,
    *,
    weights: str | os.PathLike | None = "imagenet",
    num_classes: int = 150,
    seed: int = 0,
) -> Task:
    """Prepares a training on ADE20K, or on a data set in its layout.

    An epoch of the logs is a tenth of the steps, after which the model is
    validated.

    Args:
        recipe: A row of `SEGMENTATION_RECIPES`.
        data: Folder with `images` and `annotations`.
        variant: A key of `keras_twins.VARIANTS`.
        distribution: Where the model is trained.
        weights: As for `SemanticFPN.from_twins`.
        num_classes: Number of classes.
        seed: Seed of the order and of the augmentation.

    Returns:
        The task. It has no validation where a process has several devices,
        since images of many sizes cannot be shared by them; the command
        `eval-seg` evaluates the finished model.

    Raises:
        FileNotFoundError: If a folder is missing.
        ValueError: If the data are not as above, or do not fit the recipe.
    """
    pictures = _Pictures(
        data,
        num_classes,
        local_batch(recipe.batch_size, distribution),
        SegmentationAugmentation(crop_size=(recipe.crop, recipe.crop)),
        seed,
        distribution.shard,
    )
    # Before the model, which takes longer: is the data there?
    pictures.batches(0)
    steps = max(1, recipe.steps // _VALIDATIONS)
    return Task(
        model=_model(recipe, variant, weights, num_classes, distribution),
        batches=pictures.batches,
        epochs=-(-recipe.steps // steps),
        steps_per_epoch=steps,
        images_per_step=recipe.batch_size,
        validate=pictures.validate if validates_here(distribution) else None,
        monitor="val_mean_iou",
    )


@dataclasses.dataclass(frozen=True)
class _Pictures:
    """What a training reads, and is validated with."""

    data: str | os.PathLike[str]
    num_classes: int
    batch: int
    augmentation: SegmentationAugmentation
    seed: int
    shard: tuple[int, int]

    def batches(self, step: int) -> "tf.data.Dataset":
        start = step * self.batch
        examples = load_ade20k(
            self.data,
            "training",
            self.num_classes,
            shuffle_seed=self.seed,
            shard=self.shard,
            start=start,
        )
        return training_batches(
            examples,
            self.batch,
            self.augmentation,
            self.seed,
            self.num_classes,
            self.shard,
            start,
        )

    def validate(self, model: keras.Model) -> Scores:
        examples = load_ade20k(self.data, "validation", self.num_classes)
        pairs = (
            (example["image"], example["mask"])
            for example in examples.as_numpy_iterator()
        )
        scores = evaluate_segmentation(model, pairs, self.num_classes)
        return {"val_mean_iou": scores.mean_iou}


def _model(
    recipe: SegmentationRecipe,
    variant: str,
    weights: str | os.PathLike | None,
    num_classes: int,
    distribution: Distribution,
) -> keras.Model:
    with distribution.scope():
        model = _MODELS[recipe.head].from_twins(
            variant,
            weights,
            num_classes,
            drop_path_rate=recipe.drop_path(variant),
        )
        model.compile(
            recipe.optimizer(model),
            SegmentationCrossEntropy(mean_over="all"),
        )
    distribution.prepare(model)
    return model
