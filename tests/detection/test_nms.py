import pathlib

import keras
import numpy as np
import pytest

from keras_twins.detection.nms import keep_sorted
from keras_twins.detection.nms import select
from tests.compiling import call_compiled
from tests.compiling import compiled
from tests.gradients import gradients_of
from tests.tiny import to_numpy

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "units_mm.npz"


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as file:
        return {k[4:]: file[k] for k in file.files if k.startswith("nms/")}


def crowd(seed, *shape):
    """Returns boxes of integer corners: overlaps and ties are frequent."""
    generator = np.random.default_rng(seed)
    corners = generator.integers(0, 12, (*shape, 2))
    sides = generator.integers(0, 8, (*shape, 2))
    return np.concatenate([corners, corners + sides], -1).astype("float32")


def greedy(boxes, scores, labels, threshold):
    """Returns the indices that stay, the best first, one after the other."""
    order = np.argsort(-scores, kind="stable")
    order = [i for i in order if np.isfinite(scores[i]) and scores[i] > 0]
    kept = []
    for i in order:
        rivals = [j for j in kept if labels[j] == labels[i]]
        if all(iou(boxes[i], boxes[j]) <= threshold for j in rivals):
            kept.append(i)
    return kept


def iou(first, second):
    sides = np.minimum(first[2:], second[2:]) - np.maximum(
        first[:2], second[:2]
    )
    overlap = np.maximum(sides, 0).prod(dtype="float32")
    areas = [
        (box[2:] - box[:2]).prod(dtype="float32") for box in (first, second)
    ]
    return overlap / max(areas[0] + areas[1] - overlap, np.float32(1e-6))


def selected(boxes, scores, labels, threshold, count):
    inputs = [keras.ops.convert_to_tensor(x) for x in (boxes, scores, labels)]
    found = call_compiled(lambda x: select(*x, threshold, count), inputs)
    return {key: to_numpy(value) for key, value in found.items()}


def kept(boxes, valid, threshold):
    inputs = [keras.ops.convert_to_tensor(x) for x in (boxes, valid)]
    return to_numpy(call_compiled(lambda x: keep_sorted(*x, threshold), inputs))


def check(found, boxes, scores, labels, threshold):
    """Asserts that detections are those of the slow way."""
    for b in range(len(boxes)):
        stay = greedy(boxes[b], scores[b], labels[b], threshold)
        count = min(len(stay), found["valid"].shape[1])
        stay = stay[:count]
        valid = np.arange(found["valid"].shape[1]) < count
        np.testing.assert_array_equal(found["valid"][b], valid)
        for key, values in (
            ("boxes", boxes),
            ("scores", scores),
            ("labels", labels),
        ):
            np.testing.assert_array_equal(
                found[key][b][:count], values[b][stay]
            )
            assert not found[key][b][count:].any()


def test_boxes_that_mmcv_keeps(golden):
    order = np.argsort(-golden["scores"], kind="stable")
    keep = kept(golden["boxes"][order], np.ones(600, bool), 0.7)
    np.testing.assert_array_equal(order[keep], golden["plain_keep"])


def test_detections_that_mmcv_keeps(golden):
    labels = golden["ids"].astype("int32")
    found = selected(
        golden["boxes"][None], golden["scores"][None], labels[None], 0.5, 600
    )
    stay, valid = golden["batched_keep"], found["valid"][0]
    assert valid.sum() == len(stay)
    np.testing.assert_array_equal(found["labels"][0][valid], labels[stay])
    np.testing.assert_array_equal(
        found["boxes"][0][valid], golden["boxes"][stay]
    )


def test_sorted_boxes_with_leading_axes():
    boxes = crowd(0, 2, 3, 40)
    valid = np.random.default_rng(1).random((2, 3, 40)) < 0.8
    keep = kept(boxes, valid, 0.3)
    falling = np.arange(40, 0, -1, dtype="float32")
    for place in np.ndindex(2, 3):
        scores = np.where(valid[place], falling, 0)
        stay = greedy(boxes[place], scores, np.zeros(40), 0.3)
        np.testing.assert_array_equal(np.flatnonzero(keep[place]), stay)


def test_a_chain_of_boxes_takes_every_second():
    """Each overlaps the next: what stays is known only from the start on."""
    x = np.arange(30, dtype="float32")
    boxes = np.stack([x, 0 * x, x + 2, 0 * x + 1], -1)
    keep = kept(boxes, np.ones(30, bool), 0.3)
    np.testing.assert_array_equal(keep, np.arange(30) % 2 == 0)


def test_nothing_stays_where_nothing_is_valid():
    assert not kept(crowd(0, 2, 5), np.zeros((2, 5), bool), 0.5).any()


def test_an_overlap_of_the_threshold_stays():
    boxes = np.array([[0, 0, 4, 4], [0, 0, 4, 2], [0, 0, 4, 3]], "float32")
    keep = kept(boxes, np.ones(3, bool), 0.5)
    np.testing.assert_array_equal(keep, [True, True, False])
    scores = np.array([[0.9, 0.8, 0.7]], "float32")
    found = selected(boxes[None], scores, np.zeros((1, 3), "int32"), 0.5, 3)
    np.testing.assert_allclose(found["scores"], [[0.9, 0.8, 0]])


@pytest.mark.parametrize("count", [5, 80])
def test_detections_are_those_of_the_slow_way(count):
    generator = np.random.default_rng(2)
    boxes = crowd(3, 4, 60)
    # Many equal scores, and an image with nothing.
    scores = generator.integers(0, 9, (4, 60)).astype("float32") / 8
    scores[2] = 0
    labels = generator.integers(0, 3, (4, 60)).astype("int32")
    found = selected(boxes, scores, labels, 0.4, count)
    assert found["boxes"].dtype == found["scores"].dtype == "float32"
    assert found["labels"].dtype == "int32"
    assert found["labels"].shape == (4, count)
    check(found, boxes, scores, labels, 0.4)


def test_scores_that_are_not_finite_are_absent():
    boxes = crowd(4, 1, 20)
    scores = np.linspace(0.1, 1, 20, dtype="float32")[None]
    scores[0, 3::4] = np.nan
    scores[0, 5], scores[0, 6], scores[0, 8] = np.inf, -np.inf, -1
    labels = np.zeros((1, 20), "int32")
    found = selected(boxes, scores, labels, 0.5, 20)
    check(found, boxes, scores, labels, 0.5)


def test_boxes_without_area_do_not_suppress():
    boxes = np.array([[[3, 3, 3, 3], [3, 3, 3, 3], [0, 0, 9, 9]]], "float32")
    scores = np.array([[0.9, 0.8, 0.7]], "float32")
    found = selected(boxes, scores, np.zeros((1, 3), "int32"), 0.0, 5)
    np.testing.assert_allclose(found["scores"], [[0.9, 0.8, 0.7, 0, 0]])


def test_no_gradient_flows():
    boxes = crowd(5, 1, 8)
    scores = np.linspace(0.1, 1, 8, dtype="float32")[None]
    labels = np.zeros((1, 8), "int32")

    def function(boxes, scores):
        found = select(boxes, scores, labels, 0.5, 4)
        keep = keep_sorted(boxes, scores > 0, 0.5)
        stopped = (found["boxes"], found["scores"], keep)
        total = sum(
            keras.ops.sum(keras.ops.cast(x, "float32")) for x in stopped
        )
        return total + keras.ops.sum(boxes) + keras.ops.sum(scores)

    for gradient in gradients_of(
        next(compiled(function), function), [boxes, scores]
    ):
        # That of the sums alone: one number for all.
        assert len(np.unique(gradient)) == 1


def test_compiled_is_the_same():
    boxes, labels = crowd(6, 2, 30), np.zeros((2, 30), "int32")
    scores = np.random.default_rng(7).random((2, 30), dtype="float32")
    valid = np.ones((2, 30), bool)
    keep = kept(boxes, valid, 0.5)
    for function in compiled(lambda x, y: keep_sorted(x, y, 0.5)):
        np.testing.assert_array_equal(to_numpy(function(boxes, valid)), keep)
    for function in compiled(lambda *x: select(*x, 0.5, 10)):
        found = function(boxes, scores, labels)
        found = {key: to_numpy(value) for key, value in found.items()}
        check(found, boxes, scores, labels, 0.5)


def test_unknown_sizes(backend):
    if backend != "tensorflow":
        pytest.skip("only TensorFlow traces without sizes")
    import tensorflow as tf

    boxes, labels = crowd(8, 2, 30), np.zeros((2, 30), "int32")
    scores = np.random.default_rng(9).random((2, 30), dtype="float32")
    function = tf.function(lambda *x: select(*x, 0.5, 10))
    traced = function.get_concrete_function(
        tf.TensorSpec((None, None, 4), "float32"),
        tf.TensorSpec((None, None), "float32"),
        tf.TensorSpec((None, None), "int32"),
    )
    assert traced.output_shapes["boxes"][1:] == (10, 4)
    found = traced(*map(tf.constant, (boxes, scores, labels)))
    found = {key: to_numpy(value) for key, value in found.items()}
    check(found, boxes, scores, labels, 0.5)
    keep = tf.function(lambda x, y: keep_sorted(x, y, 0.5))
    traced = keep.get_concrete_function(
        tf.TensorSpec((None, None, 4), "float32"),
        tf.TensorSpec((None, None), "bool"),
    )
    result = traced(tf.constant(boxes), tf.constant(scores > 0.5))
    expected = keep_sorted(boxes, scores > 0.5, 0.5)
    np.testing.assert_array_equal(to_numpy(result), to_numpy(expected))
