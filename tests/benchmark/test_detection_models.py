"""The detectors that are measured, as small as they get."""

import functools

import keras
import numpy as np
import pytest

from keras_twins.benchmark import detection_models
from keras_twins.benchmark.task import Task
from keras_twins.detection import MaskRCNN
from keras_twins.detection import RetinaNet
from tests.compiling import slow_but_on
from tests.tiny import MINIMAL

SMALL = {
    "RetinaNet": {"filters": 8},
    "MaskRCNN": {
        "filters": 8,
        "units": 16,
        "num_proposals": 40,
        "num_samples": 16,
    },
}

pytestmark = slow_but_on("torch")


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    for cls in (RetinaNet, MaskRCNN):
        name = cls.__name__
        small = functools.partial(cls, **SMALL[name])
        monkeypatch.setattr(detection_models, name, small)


def task(training: bool = False) -> Task:
    return Task(
        variant="tiny", config=MINIMAL.to_dict(), size=64, training=training
    )


@pytest.mark.parametrize("head", ["retinanet", "mask_rcnn"])
def test_forward_passes_have_as_many_detections_as_there_may_be(head):
    program = detection_models.build_keras(task(), head)
    found = program.prepare(1)()
    found = found[0] if isinstance(found, tuple) else found
    valid = keras.ops.convert_to_numpy(found["valid"])
    # Sixty boxes at most that do not overlap, in images of this size.
    assert valid.sum() > 20
    assert ("masks" in found) == (head == "mask_rcnn")


def test_forward_passes_without_objects():
    program = detection_models.build_keras(task(), "mask_rcnn", objects=False)
    found = program.prepare(1)()
    found = found[0] if isinstance(found, tuple) else found
    assert not keras.ops.convert_to_numpy(found["valid"]).any()


@pytest.mark.parametrize("head", ["retinanet", "mask_rcnn"])
def test_training_step(head):
    program = detection_models.build_keras(task(training=True), head)
    step = program.prepare(1)
    logs = step()
    program.wait(logs)
    assert np.isfinite(float(logs["loss"]))
    assert float(logs["box_loss"]) > 0
