"""The losses of anchors, against those of the original."""

import json
import pathlib

import keras
import numpy as np
import pytest

from keras_twins.detection.anchor_losses import proposal_losses
from keras_twins.detection.anchor_losses import retinanet_losses
from keras_twins.detection.anchors import RETINANET_ANCHORS
from keras_twins.detection.assignment import RETINANET_MATCH
from keras_twins.detection.assignment import assign
from keras_twins.detection.sampling import Sample
from tests.compiling import call_compiled
from tests.tiny import to_numpy

MANIFEST = pathlib.Path(__file__).parents[1] / "golden" / "units_mm.json"
SIZES = [(32, 40), (16, 20), (8, 10), (4, 5), (2, 3)]


def case(name: str) -> dict:
    cases = json.loads(MANIFEST.read_text())["cases"]
    return next(case for case in cases if case["name"] == name)


def level_map(seed: int, channels: int, size, scale, shift) -> np.ndarray:
    generator = np.random.Generator(np.random.PCG64(seed))
    shape = (1, channels, *size)
    values = generator.standard_normal(shape, dtype=np.float32)
    values = values * np.float32(scale) + np.float32(shift)
    return values.transpose(0, 2, 3, 1)


def outputs(images: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns logits and deltas of all anchors: the second image is flipped."""
    parts = ([], [])
    for level, size in enumerate(SIZES):
        for part, seed, channels, scale, shift, width in (
            (parts[0], 7000, 180, 1.2, -4.0, 20),
            (parts[1], 7100, 36, 0.3, 0.0, 4),
        ):
            x = level_map(seed + level, channels, size, scale, shift)
            both = np.concatenate([x, x[:, ::-1]])[:images]
            part.append(both.reshape(images, -1, width))
    return tuple(np.concatenate(part, axis=1) for part in parts)


@pytest.mark.parametrize(
    "name", ["retina_loss_synth", "retina_loss_synth_batch2_empty"]
)
def test_retinanet_losses_are_those_of_the_original(name):
    truth = case("retina_loss_synth")
    images = 2 if name.endswith("empty") else 1
    boxes = np.zeros((images, 4, 4), "float32")
    labels = np.zeros((images, 4), "int32")
    valid = np.zeros((images, 4), bool)
    boxes[0], labels[0] = truth["gt_bboxes"], truth["gt_labels"]
    valid[0] = True
    anchors = np.concatenate(RETINANET_ANCHORS.grid(SIZES))

    def losses(inputs):
        assigned = assign(anchors, boxes, valid, RETINANET_MATCH)
        return retinanet_losses(*inputs, anchors, assigned, boxes, labels)

    found = call_compiled(losses, outputs(images))
    expected = case(name)["losses"]
    assert float(found["class_loss"]) == pytest.approx(
        sum(expected["loss_cls"]), rel=1e-5
    )
    assert float(found["box_loss"]) == pytest.approx(
        sum(expected["loss_bbox"]), rel=1e-5
    )


def test_proposal_losses_by_hand():
    anchors = np.array([[0, 0, 8, 8], [8, 0, 16, 8], [0, 8, 8, 16]], "float32")
    # Two images: in the second, only one anchor is sampled, and none fits.
    assigned = np.array([[2, 0, -1], [0, 0, -1]], "int32")
    boxes = np.array([[[9, 9, 9, 9], [4, 0, 12, 8]]] * 2, "float32")
    sample = Sample(
        np.array([[0, 1], [1, 0]], "int32"),
        np.array([[True, False], [False, False]]),
        np.array([[True, True], [True, False]]),
    )
    logits = np.array([[2.0, -1.0, 9.0], [5.0, 3.0, 9.0]], "float32")
    deltas = np.full((2, 3, 4), 0.25, "float32")
    found = proposal_losses(
        keras.ops.convert_to_tensor(logits),
        keras.ops.convert_to_tensor(deltas),
        anchors,
        keras.ops.convert_to_tensor(assigned),
        boxes,
        Sample(*(keras.ops.convert_to_tensor(part) for part in sample)),
    )
    # An image without positive, or without negative anchors counts one.
    count = (1 + 1) + (1 + 1)
    entropy = np.log1p(np.exp([-2.0, -1.0, 3.0])).sum() / count
    # The box is half a side to the right: deltas of 0.5, 0, 0, 0.
    assert float(found["proposal_class_loss"]) == pytest.approx(
        entropy, rel=1e-5
    )
    distance = to_numpy(found["proposal_box_loss"])
    assert float(distance) == pytest.approx(4 * 0.25 / count, rel=1e-5)
