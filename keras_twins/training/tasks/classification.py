"""The training of classifiers."""

import pathlib
from typing import TYPE_CHECKING

import keras

from keras_twins.data.classification import CorruptImages
from keras_twins.data.classification import ImageDataset
from keras_twins.data.classification import image_batches
from keras_twins.data.classification import image_evaluation_batches
from keras_twins.preprocessing import evaluation_crop
from keras_twins.training.averaging import averaged_weights
from keras_twins.training.classification_recipe import ClassificationRecipe
from keras_twins.training.evaluation import ClassificationEvaluator
from keras_twins.training.results import write_results
from keras_twins.training.strategies import Distribution
from keras_twins.training.strategies import on_chief
from keras_twins.training.tasks.task import Scores
from keras_twins.training.tasks.task import Task
from keras_twins.training.tasks.task import local_batch

if TYPE_CHECKING:
    import tensorflow as tf


def classification_task(
    recipe: ClassificationRecipe,
    training: ImageDataset,
    held_out: ImageDataset | None,
    distribution: Distribution,
    *,
    seed: int = 0,
    corrupt: CorruptImages | None = None,
) -> Task:
    """Prepares the training of a classifier.

    Args:
        recipe: A row of `CLASSIFICATION_RECIPES`.
        training: Images to train on.
        held_out: Images to validate with after every epoch, if there are any;
            with the moving average of the weights, if the recipe has one.
        distribution: Where the model is trained.
        seed: Seed of the order and of the augmentation.
        corrupt: What becomes of images that cannot be read; by default, an
            error.

    Returns:
        The task.

    Raises:
        ValueError: If there are fewer images than a step takes, or the data
            sets tell other classes apart.
    """
    _check(recipe, training, held_out)
    local_batch(recipe.batch_size, distribution)
    steps = training.num_examples // recipe.batch_size
    model = _model(recipe, len(training.class_names), steps, distribution)

    def batches(step: int) -> "tf.data.Dataset":
        return image_batches(
            training,
            recipe.augmentation,
            recipe.batch_size,
            seed,
            start=step,
            shard=distribution.shard,
            corrupt=corrupt,
        )

    validation = None
    if held_out is not None:
        validation = _Validation(model, held_out, recipe, distribution, corrupt)
    return Task(
        model=model,
        batches=batches,
        epochs=recipe.epochs,
        steps_per_epoch=steps,
        images_per_step=recipe.batch_size,
        validate=validation and validation.scores,
        monitor="val_top1",
        report=validation and validation.report,
    )


class _Validation:
    """How a classifier does on held-out images, epoch for epoch."""

    def __init__(
        self,
        model: keras.Model,
        dataset: ImageDataset,
        recipe: ClassificationRecipe,
        distribution: Distribution,
        corrupt: CorruptImages | None,
    ):
        self._model = model
        self._dataset = dataset
        self._distribution = distribution
        self._evaluator = ClassificationEvaluator(
            model, len(dataset.class_names), distribution
        )
        self._batches = image_evaluation_batches(
            dataset,
            evaluation_crop(recipe.crop, recipe.image_size),
            recipe.batch_size,
            shard=distribution.shard,
            corrupt=corrupt,
        )

    def scores(self, model: keras.Model) -> Scores:
        with averaged_weights(model):
            scores = self._evaluator.evaluate(self._batches)
        return {f"val_{name}": x for name, x in scores.summary().items()}

    def report(self, folder: pathlib.Path) -> None:
        with averaged_weights(self._model):
            scores = self._evaluator.evaluate(self._batches)
        names = self._dataset.class_names
        on_chief(
            self._distribution, lambda: write_results(folder, scores, names)
        )


def _model(
    recipe: ClassificationRecipe,
    num_classes: int,
    steps_per_epoch: int,
    distribution: Distribution,
) -> keras.Model:
    with distribution.scope():
        model = recipe.build(num_classes)
        model.compile(
            recipe.optimizer(model, steps_per_epoch),
            recipe.loss(),
            metrics=[keras.metrics.CategoricalAccuracy(name="top1")],
        )
    distribution.prepare(model)
    return model


def _check(
    recipe: ClassificationRecipe,
    training: ImageDataset,
    held_out: ImageDataset | None,
) -> None:
    if training.num_examples < recipe.batch_size:
        raise ValueError(
            f"A step takes {recipe.batch_size} images, and {training.name} "
            f"has {training.num_examples}. Set `batch_size` to fewer; the "
            "learning rate follows."
        )
    if held_out and held_out.class_names != training.class_names:
        other = set(held_out.class_names) ^ set(training.class_names)
        raise ValueError(
            f"{training.name} and {held_out.name} must have the same classes. "
            f"Received: {len(training.class_names)} and "
            f"{len(held_out.class_names)}; {sorted(other)[:5]} are in one only."
        )
