"""Trainings of segmentation and detection, from folders of pictures."""

import keras
import numpy as np
import pytest

from keras_twins.data import load_digit_scenes
from keras_twins.data import write_coco
from keras_twins.training import override
from keras_twins.training.recipes import find_recipe
from keras_twins.training.run import fit_resumable
from keras_twins.training.strategies import SingleDevice
from keras_twins.training.tasks import detection_task
from keras_twins.training.tasks import segmentation_task
from tests.compiling import slow_but_on

Image = pytest.importorskip("PIL.Image")
for package in ("sklearn", "pycocotools", "tensorflow"):
    pytest.importorskip(package)

# A published variant and its head: compiled for minutes elsewhere.
pytestmark = slow_but_on("torch")


@pytest.fixture(scope="module")
def scenes():
    return load_digit_scenes(4, image_size=64)


def run(task, folder):
    return fit_resumable(
        task.model,
        task.batches,
        epochs=task.epochs,
        steps_per_epoch=task.steps_per_epoch,
        folder=folder,
        images_per_step=task.images_per_step,
        validate=task.validate,
        monitor=task.monitor,
        verbose=False,
        tensorboard=False,
    )


def write_ade20k(root, scenes):
    for split in ("training", "validation"):
        for kind in ("images", "annotations"):
            (root / kind / split).mkdir(parents=True)
        for i, image in enumerate(scenes.images):
            labels = scenes.semantic_masks[i].astype("uint8") + 1
            picture, mask = (
                root / kind / split / f"{i}"
                for kind in ("images", "annotations")
            )
            Image.fromarray(image).save(f"{picture}.jpg")
            Image.fromarray(labels).save(f"{mask}.png")
    return root


def test_segmentation(tmp_path, scenes):
    data = write_ade20k(tmp_path / "data", scenes)
    changes = ["crop=64", "steps=2", "batch_size=2"]
    recipe = override(find_recipe("ade20k/semantic_fpn"), changes)
    task = segmentation_task(
        recipe, data, "svt_small", SingleDevice(), weights=None, num_classes=11
    )
    images, masks = next(iter(task.batches(0)))
    assert tuple(images.shape) == (2, 64, 64, 3)
    assert tuple(masks.shape) == (2, 64, 64)
    result = run(task, tmp_path / "results")
    assert result.step == 2
    assert 0 <= result.history["val_mean_iou"][-1] <= 1
    assert float(task.model.optimizer.learning_rate) < recipe.learning_rate


@pytest.mark.slow
def test_detection(tmp_path, scenes):
    for split in ("train2017", "val2017"):
        write_coco(
            tmp_path / split,
            **scenes.detection(),
            class_names=list("0123456789"),
        )
        (tmp_path / split / "instances.json").rename(
            tmp_path / f"instances_{split}.json"
        )
    data = tmp_path / "coco"
    (data / "annotations").mkdir(parents=True)
    for split in ("train2017", "val2017"):
        (tmp_path / split / "images").rename(data / split)
        name = f"instances_{split}.json"
        (tmp_path / name).rename(data / "annotations" / name)
    changes = [
        "batch_size=2",
        "epochs=1",
        "drop_epochs=1",
        "augmentation.short_sides=64,",
        "augmentation.max_long_side=96",
    ]
    recipe = override(find_recipe("coco/retinanet_1x"), changes)
    task = detection_task(
        recipe, data, "svt_small", SingleDevice(), weights=None, max_boxes=10
    )
    first, again = (next(iter(task.batches(1))) for _ in range(2))
    for key, value in first.items():
        np.testing.assert_array_equal(value, again[key])
    result = run(task, tmp_path / "results")
    assert result.step == task.steps_per_epoch == 2
    assert "val_box_AP50" in result.history
    assert keras.ops.isfinite(result.history["loss"][-1])
