"""From the name of a recipe and a data set to a trained model."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_twins.data.classification import CorruptImages
from keras_twins.data.classification import load_images
from keras_twins.training.averaging import averaged_weights
from keras_twins.training.classification_recipe import ClassificationRecipe
from keras_twins.training.detection_recipes import DetectionRecipe
from keras_twins.training.overrides import override
from keras_twins.training.recipes import Recipe
from keras_twins.training.recipes import find_recipe
from keras_twins.training.run import FitResult
from keras_twins.training.run import fit_resumable
from keras_twins.training.run import write_provenance
from keras_twins.training.strategies import Distribution
from keras_twins.training.strategies import distribution
from keras_twins.training.strategies import on_chief
from keras_twins.training.tasks import Task
from keras_twins.training.tasks import classification_task
from keras_twins.training.tasks import detection_task
from keras_twins.training.tasks import segmentation_task
from keras_twins.training.tasks.task import check_variant
from keras_twins.weights.files import save_model


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """What a training is asked for beyond its recipe.

    Args:
        variant: A key of `keras_twins.VARIANTS`, for recipes of segmentation
            and detection; those of classifiers have one.
        weights: Where segmentation and detection begin: `"imagenet"`, `None`
            for random values, or the path of a file.
        num_classes: Number of classes of segmentation.
        strategy: As for `keras_twins.training.distribution`.
        devices: Number of devices; by default, all.
        model_devices: Of these, how many share one copy of the model, for
            `"model_parallel"`.
        seed: Seed of the weights, the order and the augmentation.
        corrupt: `"error"` or `"skip"`: what becomes of images that cannot be
            read.
        splits: Names of the data to train on and to validate with; no second
            name for no validation.
        save_minutes: Time between two checkpoints; there is one after every
            epoch anyway.
        keep: Number of checkpoints that are kept, beside the best one.
        accept_changes: Whether to go on from checkpoints of other settings,
            such as fewer epochs.
        tensorboard: Whether to write event files.
        verbose: Whether to show the progress.
    """

    variant: str | None = None
    weights: str | os.PathLike | None = "imagenet"
    num_classes: int = 150
    strategy: str = "auto"
    devices: int | None = None
    model_devices: int | None = None
    seed: int = 0
    corrupt: str = "error"
    splits: tuple[str, str | None] = ("train", "val")
    save_minutes: float = 10.0
    keep: int = 2
    accept_changes: bool = False
    tensorboard: bool = True
    verbose: bool = True


def train(
    recipe: str,
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    overrides: Sequence[str] = (),
    options: TrainingOptions | None = None,
) -> FitResult:
    """Trains a model by a recipe, or goes on where an earlier run ended.

    The folder of the results has checkpoints, `run.json` (the effective
    recipe, versions, devices), `log.csv`, `curves.png`, and at the end
    `model.keras`, with the moving average of the weights if the recipe has
    one. Classifiers also get `scores.json`, `report.txt` and pictures of
    what is taken for what.

    Args:
        recipe: A key of `keras_twins.training.RECIPES`.
        data: For classifiers, what `load_images` takes: a folder
            `train/CLASS/*.jpeg`, `"tfds:imagenet2012"` and the like. Else the
            folder of ADE20K or COCO.
        out: Folder of the results.
        overrides: Changes of the recipe, such as `"epochs=100"` and
            `"augmentation.mixup=0"`.
        options: Everything else.

    Returns:
        History and end of the training; `"interrupted"` if it was stopped and
        can be resumed with the same arguments.

    Raises:
        ValueError: If there is no such recipe, or an argument or the data do
            not fit it.

    Reference:
        - [Twins](https://arxiv.org/abs/2104.13840)
    """
    options = options or TrainingOptions()
    row = override(find_recipe(recipe), overrides)
    folder = pathlib.Path(out)
    where = distribution(
        options.strategy,
        devices=options.devices,
        model_devices=options.model_devices,
    )
    keras.utils.set_random_seed(options.seed)
    corrupt = CorruptImages(options.corrupt)
    task = build_task(recipe, row, data, options, where, corrupt)
    configuration = describe(recipe, row, data, options, where)
    if options.verbose and where.is_chief:
        print(_first_line(recipe, task, where), flush=True)
    result = _fit(task, folder, configuration, options, where)
    if result.status == "finished":
        _finish(task, folder, where)
    left_out = np.array([corrupt.count], "int64")
    total = int(where.sum_arrays([left_out])[0][0])
    if total and options.verbose and where.is_chief:
        print(f"{total} times, an image could not be read.", flush=True)
    where.close()
    return result


def build_task(
    name: str,
    row: Recipe,
    data: str | os.PathLike[str],
    options: TrainingOptions,
    where: Distribution,
    corrupt: CorruptImages | None = None,
) -> Task:
    """Builds the model of a recipe, and its data.

    Args:
        name: What the recipe is called.
        row: The recipe.
        data: As for `train`.
        options: As for `train`.
        where: Where the model is trained.
        corrupt: As for `classification_task`.

    Returns:
        The task.
    """
    if isinstance(row, ClassificationRecipe):
        first, second = options.splits
        training = load_images(data, first)
        held_out = None if second is None else load_images(data, second)
        return classification_task(
            row, training, held_out, where, seed=options.seed, corrupt=corrupt
        )
    variant = check_variant(options.variant, name)
    given: dict[str, Any] = {"weights": options.weights, "seed": options.seed}
    if isinstance(row, DetectionRecipe):
        return detection_task(row, data, variant, where, **given)
    given["num_classes"] = options.num_classes
    return segmentation_task(row, data, variant, where, **given)


def describe(
    name: str,
    row: Recipe,
    data: str | os.PathLike[str],
    options: TrainingOptions,
    where: Distribution,
) -> dict[str, Any]:
    """Returns what a training does, as JSON can hold it.

    Args:
        name: What the recipe is called.
        row: The recipe with its changes.
        data: As for `train`.
        options: As for `train`.
        where: Where the model is trained.

    Returns:
        `recipe`, `settings`, `data`, `options` and `distribution`.
    """
    chosen = dataclasses.asdict(options)
    if isinstance(row, ClassificationRecipe):
        # Its recipe and its data have these.
        for option in ("variant", "weights", "num_classes"):
            del chosen[option]
    return {
        "recipe": name,
        "settings": dataclasses.asdict(row),
        "data": os.fspath(data),
        "options": chosen,
        "distribution": {
            "strategy": where.name,
            "devices": where.num_devices,
            "processes": where.num_processes,
        },
    }


def _fit(
    task: Task,
    folder: pathlib.Path,
    configuration: dict[str, Any],
    options: TrainingOptions,
    where: Distribution,
) -> FitResult:
    def begin() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        write_provenance(folder / "run.json", configuration)

    # Another machine, or more devices, may go on with the same training.
    identity = {key: configuration[key] for key in ("recipe", "settings")}
    identity["seed"] = options.seed
    identity["variant"] = options.variant
    return fit_resumable(
        task.model,
        task.batches,
        epochs=task.epochs,
        steps_per_epoch=task.steps_per_epoch,
        folder=folder,
        images_per_step=task.images_per_step,
        save_seconds=60 * options.save_minutes,
        keep=options.keep,
        validate=task.validate,
        monitor=task.monitor,
        distribution=where,
        verbose=options.verbose,
        tensorboard=options.tensorboard,
        configuration=identity,
        accept_changes=options.accept_changes,
        begin=begin,
    )


def _finish(task: Task, folder: pathlib.Path, where: Distribution) -> None:
    """Writes the trained model, then how it does."""
    with where.scope(), averaged_weights(task.model):
        values = where.read(task.model.weights)
    path = folder / "model.keras"
    on_chief(where, lambda: _write_model(task.model, values, path, where))
    if task.report is not None:
        task.report(folder)


def _write_model(
    model: keras.Model,
    values: list[np.ndarray],
    path: pathlib.Path,
    where: Distribution,
) -> None:
    # Not in the scope of the distribution, where Keras would make variables
    # in all processes. The copy is on one device.
    copy = type(model).from_config(model.get_config())
    for variable, value in zip(copy.weights, values, strict=True):
        variable.assign(value)
    save_model(copy, path)


def _first_line(recipe: str, task: Task, where: Distribution) -> str:
    weights = task.model.count_params()
    return (
        f"{recipe}: {weights:,} parameters, {task.epochs} epochs of "
        f"{task.steps_per_epoch} steps of {task.images_per_step} images, "
        f"{where.num_devices} device(s) by strategy {where.name}"
    )
