import json
import math
import pathlib

import keras
import numpy as np
import pytest

from keras_twins.detection.anchors import RETINANET_ANCHORS
from keras_twins.detection.anchors import RPN_ANCHORS
from keras_twins.detection.boxes import BoxCoder
from keras_twins.detection.decoding import DetectionSettings
from keras_twins.detection.decoding import ProposalSettings
from keras_twins.detection.decoding import decode_box_head
from keras_twins.detection.decoding import decode_proposals
from keras_twins.detection.decoding import decode_retinanet
from keras_twins.detection.nms import select
from tests.compiling import call_compiled
from tests.compiling import compiled
from tests.gradients import gradients_of
from tests.tiny import to_numpy

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
RETINANET_SIZES = [(32, 40), (16, 20), (8, 10), (4, 5), (2, 3)]
RPN_SIZES = [(64, 80), (32, 40), (16, 20), (8, 10), (4, 5)]
SMALL_SIZES = [(4, 6), (2, 3), (1, 2), (1, 1), (1, 1)]
SMALL_IMAGE = np.array([[32, 48], [29, 44]], dtype="int32")


def normal(seed, *shape):
    generator = np.random.Generator(np.random.PCG64(seed))
    return generator.standard_normal(shape, dtype=np.float32)


def maps(seed, channels, sizes, per_cell, scale, shift=0.0):
    """Returns what a head makes of each level, by the manifest's recipe."""
    levels = []
    for i, (height, width) in enumerate(sizes):
        level = normal(seed + i, 1, channels, height, width)
        level = level * np.float32(scale) + np.float32(shift)
        rows = level.transpose(0, 2, 3, 1)
        levels.append(rows.reshape(1, height * width * per_cell, -1))
    return levels


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN / "units_mm.npz") as file:
        return {key: file[key] for key in file.files if "post_" in key}


@pytest.fixture(scope="module")
def images():
    """Facts about the images of the cases, by the case's name."""
    cases = json.loads((GOLDEN / "units_mm.json").read_text())["cases"]
    return {c["name"]: c["img_meta"] for c in cases if "img_meta" in c}


def run(function, *inputs):
    """Returns the arrays that a function makes of tensors."""
    outputs = call_compiled(lambda x: function(*x), list(inputs))
    return keras.tree.map_structure(to_numpy, outputs)


def check(found, expected, labels, scale=1.0):
    """Asserts that detections of one image are those of mmdetection."""
    assert found["valid"].all()
    assert found["boxes"].dtype == found["scores"].dtype == "float32"
    np.testing.assert_array_equal(found["labels"][0], labels)
    np.testing.assert_allclose(found["scores"][0], expected[:, 4], atol=1e-4)
    np.testing.assert_allclose(
        found["boxes"][0] / scale, expected[:, :4], atol=0.05
    )


@pytest.mark.parametrize("name", ["retina_post_full", "retina_post_padded"])
def test_retinanet_of_mmdetection(name, golden, images):
    meta = images[name]
    found = run(
        lambda *x: decode_retinanet(
            *x,
            RETINANET_ANCHORS.grid(RETINANET_SIZES),
            [meta["img_shape"]],
            DetectionSettings(),
        ),
        maps(7000, 180, RETINANET_SIZES, 9, 1.2, -4.0),
        maps(7100, 36, RETINANET_SIZES, 9, 0.3),
    )
    scale = meta["scale_factor"][0]
    check(found, golden[f"{name}/dets"], golden[f"{name}/labels"], scale)


def test_proposals_of_mmdetection(golden):
    boxes, scores, valid = run(
        lambda *x: decode_proposals(
            *x, RPN_ANCHORS.grid(RPN_SIZES), [(256, 320)], ProposalSettings()
        ),
        maps(7200, 3, RPN_SIZES, 3, 1.5),
        maps(7300, 12, RPN_SIZES, 3, 0.4),
    )
    assert valid.all()
    expected = golden["rpn_post_full/proposals"]
    np.testing.assert_allclose(scores[0], expected[:, 4], atol=1e-4)
    # Two of them have the same score and come in either order.
    errors = np.abs(boxes[0] - expected[:, None, :4]).max(axis=-1)
    assert len(set(errors.argmin(axis=1))) == len(expected)
    np.testing.assert_array_less(errors.min(axis=1), 0.05)
    places = np.arange(len(expected))
    assert np.abs(errors.argmin(axis=1) - places).max() <= 1


def test_box_head_of_mmdetection(golden):
    name = "bbox_head_post_full"
    found = run(
        lambda *x: decode_box_head(
            *x, np.ones((1, 200), bool), [(256, 320)], DetectionSettings()
        ),
        normal(7501, 1, 200, 21) * 2,
        normal(7502, 1, 200, 80),
        golden[f"{name}/rois"][None],
    )
    check(found, golden[f"{name}/dets"], golden[f"{name}/labels"])


def pyramid(spec, classes, seed=0, batch=2):
    """Returns what a small head makes of two images, and its anchors."""
    anchors = spec.grid(SMALL_SIZES)[:2]
    logits = [
        normal(seed + i, batch, len(a), classes) for i, a in enumerate(anchors)
    ]
    deltas = [
        normal(seed + 9 + i, batch, len(a), 4) for i, a in enumerate(anchors)
    ]
    return logits, deltas, anchors


def best_pairs(logits, deltas, anchors, count):
    """Returns the same candidates the slow way: of all pairs, the best."""
    flat = logits.reshape(len(logits), -1)
    places = np.argsort(-flat, axis=1, kind="stable")[:, :count]
    rows, labels = np.divmod(places, logits.shape[2])
    boxes = BoxCoder().decode(
        anchors[rows], np.take_along_axis(deltas, rows[..., None], 1)
    )
    scores = 1 / (1 + np.exp(-np.take_along_axis(flat, places, 1)))
    return to_numpy(boxes), scores, labels


@pytest.mark.parametrize("candidates", [7, 40])
def test_candidates_are_the_best_pairs_of_each_level(candidates):
    logits, deltas, anchors = pyramid(RETINANET_ANCHORS, 5)
    settings = DetectionSettings(0.3, candidates, 1.0, 90)
    found = run(
        lambda *x: decode_retinanet(*x, anchors, SMALL_IMAGE, settings),
        logits,
        deltas,
    )
    levels = zip(logits, deltas, anchors, strict=True)
    pairs = [best_pairs(*level, candidates) for level in levels]
    for image, (height, width) in enumerate(SMALL_IMAGE):
        boxes, scores, labels = (
            np.concatenate([part[i][image] for part in pairs]) for i in range(3)
        )
        boxes = boxes.clip(0, [width, height, width, height])
        good = (scores > 0.3) & (boxes[:, 2:] > boxes[:, :2]).all(1)
        order = np.flatnonzero(good)[np.argsort(-scores[good])]
        valid = found["valid"][image]
        assert valid.sum() == len(order)
        for key, values in (
            ("boxes", boxes),
            ("scores", scores),
            ("labels", labels),
        ):
            np.testing.assert_allclose(
                found[key][image][valid], values[order], atol=1e-5
            )


def test_levels_do_not_suppress_each_others_proposals():
    """The anchors of all levels and images say the same box."""
    box = np.array([[3, 4, 20, 25]], dtype="float32")
    anchors = [np.repeat(box, n, axis=0) for n in (4, 2)]
    logits = [normal(i, 1, len(a), 1) for i, a in enumerate(anchors)]
    deltas = [np.zeros((1, len(a), 4), "float32") for a in anchors]
    boxes, scores, valid = run(
        lambda *x: decode_proposals(
            *x, anchors, [(32, 32)], ProposalSettings(count=8)
        ),
        logits,
        deltas,
    )
    np.testing.assert_array_equal(valid[0], np.arange(8) < 2)
    best = sorted((level.max() for level in logits), reverse=True)
    np.testing.assert_allclose(
        scores[0, :2], 1 / (1 + np.exp(-np.array(best))), rtol=1e-6
    )
    np.testing.assert_array_equal(boxes[0, :2], np.repeat(box, 2, axis=0))
    assert not boxes[0, 2:].any() and not scores[0, 2:].any()


def test_boxes_outside_the_image_are_no_candidates():
    anchors = [np.array([[40, 0, 50, 9], [0, 0, 9, 9]], dtype="float32")]
    logits = [np.array([[[3.0], [2.0]]], dtype="float32")]
    deltas = [np.zeros((1, 2, 4), dtype="float32")]
    _, scores, valid = run(
        lambda *x: decode_proposals(
            *x, anchors, [(32, 32)], ProposalSettings(count=2)
        ),
        logits,
        deltas,
    )
    np.testing.assert_array_equal(valid, [[True, False]])
    found = run(
        lambda *x: decode_retinanet(
            *x, anchors, [(32, 32)], DetectionSettings(max_detections=2)
        ),
        logits,
        deltas,
    )
    np.testing.assert_array_equal(found["valid"], valid)
    np.testing.assert_array_equal(found["scores"], scores)


def region_inputs(classes):
    regions = np.abs(normal(1, 2, 4, 4)) * 10
    regions[..., 2:] += regions[..., :2] + 5
    valid = np.arange(4) < np.array([[4], [3]])
    deltas = normal(2, 2, 4, 4 * classes)
    return 3 * normal(3, 2, 4, classes + 1), deltas, regions, valid


@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.3])
def test_box_head_looks_at_all_classes_above_the_threshold(threshold):
    logits, deltas, regions, valid = region_inputs(30)
    settings = DetectionSettings(threshold, max_detections=40)
    found = run(
        lambda *x: decode_box_head(*x, SMALL_IMAGE, settings),
        *(logits, deltas, regions, valid),
    )
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    scores = np.where(valid[..., None], chances, 0)[..., :-1]
    scores = np.where(scores > threshold, scores, 0)
    boxes = BoxCoder((0.1, 0.1, 0.2, 0.2)).decode(
        regions[:, :, None],
        deltas.reshape(2, 4, 30, 4),
        SMALL_IMAGE[:, None],
    )
    expected = run(
        lambda *x: select(*x, 0.5, 40),
        to_numpy(boxes).reshape(2, 120, 4),
        scores.reshape(2, 120).astype("float32"),
        np.tile(np.arange(30, dtype="int32"), (2, 4)),
    )
    assert expected["valid"].any(axis=1).all()
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_outputs_of_half_precision_are_float32(dtype):
    logits, deltas, anchors = pyramid(RPN_ANCHORS, 1)
    boxes, scores, valid = run(
        lambda *x: decode_proposals(
            *(([keras.ops.cast(y, dtype) for y in z]) for z in x),
            anchors,
            SMALL_IMAGE,
            ProposalSettings(count=20),
        ),
        logits,
        deltas,
    )
    assert boxes.dtype == scores.dtype == "float32"
    assert valid.any() and (np.diff(scores) <= 0).all()


def test_scores_that_are_no_numbers_are_absent():
    logits, deltas, anchors = pyramid(RPN_ANCHORS, 1)
    for level in logits:
        level[0] = math.nan
        level[1, 0] = math.nan
    decode = lambda *x: decode_proposals(  # noqa: E731
        *x, anchors, SMALL_IMAGE, ProposalSettings(count=20)
    )
    boxes, scores, valid = run(decode, logits, deltas)
    assert not valid[0].any() and valid[1].any()
    assert np.isfinite(boxes).all() and np.isfinite(scores).all()


def test_compiled_is_the_same():
    logits, deltas, anchors = pyramid(RETINANET_ANCHORS, 3)
    settings = DetectionSettings(candidates=20, max_detections=15)

    def decode(logits, deltas, sizes):
        return decode_retinanet(logits, deltas, anchors, sizes, settings)

    expected = run(decode, logits, deltas, SMALL_IMAGE)
    for function in compiled(decode):
        found = function(logits, deltas, SMALL_IMAGE)
        for key, values in expected.items():
            np.testing.assert_allclose(to_numpy(found[key]), values, atol=1e-4)


def test_no_gradient_flows_to_the_proposals():
    logits, deltas, anchors = pyramid(RPN_ANCHORS, 1)

    def total(logits, deltas):
        boxes, scores, _ = decode_proposals(
            [logits],
            [deltas],
            anchors[:1],
            SMALL_IMAGE,
            ProposalSettings(count=20),
        )
        stopped = keras.ops.sum(boxes) + keras.ops.sum(scores)
        return stopped + keras.ops.sum(logits) + keras.ops.sum(deltas)

    for gradient in gradients_of(
        next(compiled(total), total), [logits[0], deltas[0]]
    ):
        # That of the sums alone: one number for all.
        assert len(np.unique(gradient)) == 1


@pytest.mark.parametrize("count", [5, 400])
def test_unknown_sizes(backend, count):
    """Of levels with more and with fewer anchors than are asked for."""
    if backend != "tensorflow":
        pytest.skip("only TensorFlow traces without sizes")
    import tensorflow as tf

    logits, deltas, anchors = pyramid(RETINANET_ANCHORS, 3)
    settings = DetectionSettings(candidates=count, max_detections=15)
    proposals = ProposalSettings(candidates=count, count=30)

    def decode(logits, deltas, anchors, sizes):
        objects = decode_retinanet(logits, deltas, anchors, sizes, settings)
        first = [x[..., :1] for x in logits]
        regions = decode_proposals(first, deltas, anchors, sizes, proposals)
        return objects, regions

    def unknown(*last):
        return [tf.TensorSpec((*last[:-1], last[-1]), "float32")] * 2

    traced = tf.function(decode).get_concrete_function(
        unknown(None, None, 3),
        unknown(None, None, 4),
        unknown(None, 4),
        tf.TensorSpec((None, 2), "int32"),
    )
    assert traced.output_shapes[0]["boxes"][1:] == (15, 4)
    assert traced.output_shapes[1][0][1:] == (30, 4)
    inputs = [logits, deltas, anchors, SMALL_IMAGE]
    found = traced(*keras.tree.map_structure(tf.constant, inputs))
    expected = decode(*inputs)
    for pair in zip(*map(keras.tree.flatten, (found, expected)), strict=True):
        np.testing.assert_allclose(*map(to_numpy, pair), atol=1e-5)


@pytest.mark.parametrize(
    "settings, name, value",
    [
        (DetectionSettings, "score_threshold", -0.1),
        (DetectionSettings, "score_threshold", "high"),
        (DetectionSettings, "iou_threshold", 1.5),
        (DetectionSettings, "iou_threshold", math.nan),
        (DetectionSettings, "candidates", 0),
        (DetectionSettings, "max_detections", 2.5),
        (ProposalSettings, "iou_threshold", 50),
        (ProposalSettings, "candidates", -1),
        (ProposalSettings, "count", None),
    ],
)
def test_settings_are_checked(settings, name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be .* {name}="):
        settings(**{name: value})
