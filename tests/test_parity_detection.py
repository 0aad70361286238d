"""Whole detectors against those of mmdetection, on this backend.

Maps of the backbone and of the neck, scores and deltas, and what is detected
in the end. Float32 noise of the originals themselves is below 2e-5 of the
standard deviation.
"""

import json
import pathlib

import keras
import numpy as np
import pytest

from keras_twins.detection.pretrained import export_state
from weights_port.detection_outputs import match_detections
from weights_port.golden import digest
from weights_port.golden import rule_state
from weights_port.parity_detection import DETECTION_MANIFESTS
from weights_port.parity_detection import measure_detection
from weights_port.parity_detection import reference_model

GOLDEN = pathlib.Path(__file__).parent / "golden"
LIMIT = 1e-4
LIMITS = {"detections": 0.0}
UNUSED = {
    f"backbone.{part}.{kind}"
    for part in ("norm", "head")
    for kind in ("weight", "bias")
}
PARTS = {
    "mmdet_retinanet": {"stage1", "stage4", "neck4", "logits4", "deltas0"},
    "mmdet_mask_rcnn": {"neck3", "rpn_logits4", "logits", "mask_logits"},
}


def _models():
    for source in PARTS:
        for size in ("320x416", "512x512"):
            backend = keras.backend.backend()
            slow = size == "512x512" and backend != "torch"
            # JAX compiles it for a minute.
            slow |= source == "mmdet_mask_rcnn" and backend == "jax"
            marks = [pytest.mark.slow] if slow else []
            yield pytest.param(source, size, marks=marks)


@pytest.mark.parametrize(("source", "size"), list(_models()))
def test_models(source, size):
    rows = list(measure_detection(GOLDEN, [source], ["svt_small"], [size]))
    names = {row.output for row in rows}
    assert PARTS[source] | {"detections", "boxes", "scores"} <= names
    for row in rows:
        assert row.relative <= LIMITS.get(row.output, LIMIT), row


@pytest.mark.parametrize("source", DETECTION_MANIFESTS)
def test_weights_come_back_as_they_were(source):
    """To the bit, under the names and in the layout of the originals."""
    content = json.loads((GOLDEN / DETECTION_MANIFESTS[source]).read_text())
    (entry,) = [
        entry
        for name, entry in content["models"].items()
        if name.endswith("svt_small")
    ]
    exported = export_state(reference_model("svt_small", entry))
    state = rule_state(entry)
    assert set(state) - set(exported) == UNUSED
    assert digest({**state, **exported}) == entry["weights_sha256"]


def test_detections_are_matched_whatever_their_order():
    boxes = np.array([[0, 0, 9, 9], [0, 0, 9, 9.2], [5, 5, 8, 8]], "float32")
    scores = np.array([0.9, 0.8, 0.7], "float32")
    labels = np.array([1, 1, 2])
    expected = (boxes, scores, labels)
    order = np.array([2, 1, 0])
    found = (boxes[order], scores[order], labels[order])
    assert match_detections(expected, found) == [(0, 2), (1, 1), (2, 0)]
    other = (boxes, scores, np.array([1, 2, 2]))
    assert match_detections(expected, other) == [(0, 0), (2, 2)]
    further = (boxes + 0.6, scores, labels)
    assert match_detections(expected, further) == []
    nothing = (boxes[:0], scores[:0], labels[:0])
    assert match_detections(expected, nothing) == []
