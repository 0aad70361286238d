"""The training of detectors, on data in COCO's layout."""

import dataclasses
import os
import pathlib
from typing import TYPE_CHECKING

import keras

from keras_twins.data import CocoDataset
from keras_twins.data import detection_batches
from keras_twins.data import detection_examples
from keras_twins.data import load_coco
from keras_twins.data.detection_batching import rounded_up
from keras_twins.detection import MaskRCNN
from keras_twins.detection import RetinaNet
from keras_twins.detection import evaluate_detection
from keras_twins.training.detection_recipes import DetectionRecipe
from keras_twins.training.strategies import Distribution
from keras_twins.training.tasks.task import Scores
from keras_twins.training.tasks.task import Task
from keras_twins.training.tasks.task import local_batch
from keras_twins.training.tasks.task import validates_here

if TYPE_CHECKING:
    import tensorflow as tf

_MODELS = {"retinanet": RetinaNet, "mask_rcnn": MaskRCNN}
_MIN_SIZE = 32


def detection_task(
    recipe: DetectionRecipe,
    data: str | os.PathLike[str],
    variant: str,
    distribution: Distribution,
    *,
    weights: str | os.PathLike | None = "imagenet",
    seed: int = 0,
    max_boxes: int = 100,
) -> Task:
    """Prepares a training on COCO, or on a data set in its layout.

    Where steps are compiled for each size, all batches have one, a square that
    holds whatever the recipe makes; else they are as large as their pictures.

    Args:
        recipe: A row of `DETECTION_RECIPES`.
        data: Folder with `annotations/instances_train2017.json`, `train2017`
            and the same of `val2017`.
        variant: A key of `keras_twins.VARIANTS`.
        distribution: Where the model is trained.
        weights: As for `RetinaNet.from_twins`.
        seed: Seed of the order and of the augmentation.
        max_boxes: Places for objects in every picture.

    Returns:
        The task. It has no validation where a process has several devices,
        since images of many sizes cannot be shared by them; the command
        `eval-coco` evaluates the finished model.

    Raises:
        FileNotFoundError: If a file or a folder is missing.
        ValueError: If the data are not as above, or do not fit the recipe.
    """
    with_masks = recipe.head == "mask_rcnn"
    training = _load(
        data,
        "train2017",
        with_empty=False,
        min_size=_MIN_SIZE,
        with_segmentations=with_masks,
    )
    held_out = _load(data, "val2017", with_segmentations=with_masks)
    steps = recipe.steps_per_epoch(len(training))
    model = _model(recipe, variant, weights, training, steps, distribution)
    pictures = _Pictures(
        training,
        held_out,
        recipe,
        local_batch(recipe.batch_size, distribution),
        max_boxes,
        bool(model.jit_compile),
        seed,
        distribution.shard,
    )
    return Task(
        model=model,
        batches=pictures.batches,
        epochs=recipe.epochs,
        steps_per_epoch=steps,
        images_per_step=recipe.batch_size,
        validate=pictures.validate if validates_here(distribution) else None,
        monitor="val_box_AP",
    )


@dataclasses.dataclass(frozen=True)
class _Pictures:
    """What a training reads, and is validated with."""

    training: CocoDataset
    held_out: CocoDataset
    recipe: DetectionRecipe
    batch: int
    max_boxes: int
    one_size: bool
    seed: int
    shard: tuple[int, int]

    def batches(self, step: int) -> "tf.data.Dataset":
        return detection_batches(
            self.training,
            self.batch,
            self.recipe.augmentation,
            self.max_boxes,
            self.recipe.head == "mask_rcnn",
            self._size(self.recipe.augmentation.max_long_side),
            seed=self.seed,
            shard=self.shard,
            start=step * self.batch,
        )

    def validate(self, model: keras.Model) -> Scores:
        scale = self.recipe.validation_scale()
        examples = detection_examples(
            self.held_out, scale=scale, fixed_size=self._size(max(scale))
        )
        scores = evaluate_detection(
            model,
            examples,
            self.held_out.images,
            names=self.held_out.class_names,
        )
        return {
            f"val_{name}": value
            for name, value in scores.items()
            if isinstance(value, float)
        }

    def _size(self, longest: int) -> tuple[int, int] | None:
        if not self.one_size:
            return None
        side = rounded_up(longest)
        return side, side


def _load(
    data: str | os.PathLike[str], split: str, **options: bool | int
) -> CocoDataset:
    folder = pathlib.Path(data)
    annotations = folder / "annotations" / f"instances_{split}.json"
    return load_coco(annotations, folder / split, **options)  # pyright: ignore


def _model(
    recipe: DetectionRecipe,
    variant: str,
    weights: str | os.PathLike | None,
    training: CocoDataset,
    steps: int,
    distribution: Distribution,
) -> keras.Model:
    with distribution.scope():
        model = _MODELS[recipe.head].from_twins(
            variant,
            weights,
            len(training.class_names),
            drop_path_rate=recipe.drop_path_rate,
            dtype=recipe.dtype,
        )
        model.compile(recipe.optimizer(model, steps))
    distribution.prepare(model)
    return model
