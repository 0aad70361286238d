"""The peer in plain PyTorch: it does the same work as our RetinaNet."""

import dataclasses
import importlib
import math

import keras
import numpy as np
import pytest

from keras_twins.benchmark import torch_suppression
from keras_twins.benchmark.detection_inputs import CLASSES
from keras_twins.benchmark.detection_inputs import random_truth
from keras_twins.benchmark.operator_inputs import operator_inputs
from keras_twins.benchmark.task import Task
from keras_twins.config import VARIANTS
from keras_twins.detection.anchor_losses import retinanet_losses
from keras_twins.detection.anchors import RETINANET_ANCHORS
from keras_twins.detection.assignment import RETINANET_MATCH
from keras_twins.detection.assignment import assign
from keras_twins.detection.decoding import DetectionSettings
from keras_twins.detection.decoding import decode_retinanet
from keras_twins.detection.nms import keep_sorted
from keras_twins.detection.nms import select

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="the same on each backend"
)

TASK = Task(
    variant="svt_small", config=VARIANTS["svt_small"].to_dict(), size=64
)
SIZES = [(8, 8), (4, 4), (2, 2), (1, 1), (1, 1)]


def raw_outputs(batch: int):
    """Returns scores and offsets of each level, a few scores high."""
    import torch

    generator = torch.Generator().manual_seed(0)
    counts = [height * width * 9 for height, width in SIZES]
    logits = [
        torch.randn(batch, n, CLASSES, generator=generator) - 4 for n in counts
    ]
    deltas = [torch.randn(batch, n, 4, generator=generator) / 4 for n in counts]
    return logits, deltas


def peers():
    from keras_twins.benchmark import torch_detection
    from keras_twins.benchmark import torch_detection_losses

    return torch_detection, torch_detection_losses


def test_anchors():
    detection, _ = peers()
    for ours, theirs in zip(
        RETINANET_ANCHORS.grid(SIZES), detection.make_anchors(64), strict=True
    ):
        np.testing.assert_allclose(theirs.numpy(), ours, rtol=1e-5, atol=1e-4)


def test_the_same_losses():
    import torch

    _, losses = peers()
    (logits, deltas), truth = raw_outputs(2), random_truth(TASK, 2)
    truth = {key: torch.from_numpy(value) for key, value in truth.items()}
    anchors = RETINANET_ANCHORS.joined(SIZES)
    scores, offsets = torch.cat(logits, 1), torch.cat(deltas, 1)
    boxes = truth["boxes"]
    assigned = assign(anchors, boxes, truth["valid"], RETINANET_MATCH)
    for image in range(2):
        found = losses.assign(anchors, boxes[image])
        np.testing.assert_array_equal(found, assigned[image])
    ours = retinanet_losses(
        scores, offsets, anchors, assigned, boxes, truth["labels"]
    )
    found = losses.retinanet_loss(scores, offsets, anchors, truth)
    assert math.isclose(found, sum(ours.values()), rel_tol=1e-4)


def test_the_same_detections():
    _, losses = peers()
    logits, deltas = raw_outputs(1)
    anchors = [keras.ops.array(x) for x in RETINANET_ANCHORS.grid(SIZES)]
    ours = decode_retinanet(
        logits, deltas, anchors, [[64, 64]], DetectionSettings()
    )
    found = losses.decode(
        [x[0] for x in logits],
        [x[0] for x in deltas],
        anchors,
        64,
        torch_suppression.greedy,
    )
    assert len(found["scores"]) == 100
    for key, value in found.items():
        np.testing.assert_allclose(value, ours[key][0], rtol=1e-4, atol=1e-3)


def test_the_same_suppression():
    import torch

    from keras_twins.benchmark import torch_operators as operators

    arrays = operator_inputs("select", 64, 200)
    values = {key: torch.from_numpy(x) for key, x in arrays.items()}
    kept = operators.select(torch_suppression.greedy, **values)
    ours = select(**values, iou_threshold=0.5, max_detections=100)
    np.testing.assert_array_equal(values["boxes"][0, kept], ours["boxes"][0])
    arrays = operator_inputs("keep_sorted", 64, 50)
    values = {key: torch.from_numpy(x) for key, x in arrays.items()}
    ours = keep_sorted(**values, iou_threshold=0.7)
    kept = operators.keep_sorted(torch_suppression.greedy, **values)
    for level, rows in zip(ours, kept, strict=True):
        np.testing.assert_array_equal(level.nonzero()[:, 0], rows)


def test_without_torchvision(monkeypatch):
    def broken(name):
        raise RuntimeError("operator nms does not exist")

    monkeypatch.setattr(torch_suppression.importlib, "import_module", broken)
    assert torch_suppression.find_suppression() is torch_suppression.greedy
    with pytest.raises(ImportError, match="roi_align does not work"):
        torch_suppression.torchvision_operator("roi_align")


def body(widths):
    """Returns a backbone of one layer a level."""
    import torch

    class Body(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.stages = torch.nn.ModuleList(
                torch.nn.Conv2d(3, width, 1, stride=4 * 2**i)
                for i, width in enumerate(widths)
            )

        def forward(self, images):
            return [stage(images) for stage in self.stages]

    return Body()


@pytest.mark.parametrize("training", [False, True])
def test_the_peer_on_any_backbone(training):
    import torch

    detection, _ = peers()
    network = detection.build_network(TASK, body(TASK.config["embed_dims"]))
    model = detection.build_module(TASK, network).train(training)
    images = torch.randn(2, 3, 64, 64)
    if not training:
        with torch.no_grad():
            found = model(images)
        # Fresh weights see nothing.
        assert [x["boxes"].shape for x in found] == [(0, 4)] * 2
        return
    truth = random_truth(TASK, 2)
    truth = {key: torch.from_numpy(value) for key, value in truth.items()}
    loss = detection.module_loss(model(images), truth)
    loss.backward()
    values = [x for x in model.parameters() if x.grad is None]
    # The finest level takes no part.
    assert [x.shape for x in values] == [(64, 3, 1, 1), (64,)]


@pytest.fixture(scope="module")
def models():
    """Builds models; timm needs torchvision, which may not load."""
    try:
        importlib.import_module("timm")
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"timm cannot be imported: {error}")
    return importlib.import_module("keras_twins.benchmark.detection_models")


def test_the_peer_is_as_large_as_ours(models):
    ours = models.build_keras(TASK, "retinanet")
    peer = models.build_torch(TASK)
    assert peer.parameters == ours.parameters
    assert len(peer.prepare(1)()[0]["boxes"]) == 100


@pytest.mark.slow
def test_the_peer_trains(models):
    task = dataclasses.replace(TASK, training=True)
    step = models.build_torch(task).prepare(1)
    assert math.isfinite(step().item())
    assert math.isfinite(step().item())


def test_the_yardstick_never_trains(models):
    task = dataclasses.replace(TASK, training=True)
    maps = models.build_yardstick(task).prepare(1)()
    assert [x.shape[1] for x in maps] == list(TASK.config["embed_dims"])
    assert not maps[0].requires_grad
