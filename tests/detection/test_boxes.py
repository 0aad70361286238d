import pathlib

import numpy as np
import pytest

from keras_twins.detection.boxes import BoxCoder
from keras_twins.detection.boxes import clip_boxes
from keras_twins.detection.boxes import pairwise_iou
from tests.compiling import call_compiled
from tests.compiling import compiled
from tests.gradients import gradients_of
from tests.tiny import to_numpy

UNITS = pathlib.Path(__file__).parents[1] / "golden" / "units_mm.npz"


def random_boxes(*shape, seed=0, size=200.0):
    generator = np.random.default_rng(seed)
    corners = generator.uniform(0, size, (*shape, 2, 2)).astype("float32")
    first, second = corners.min(axis=-2), corners.max(axis=-2)
    return np.concatenate([first, second + np.float32(0.5)], axis=-1)


def exact_iou(first, second):
    """Returns what float32 gives, one operation after the other."""
    a, b = first[:, None], second[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(
        a[..., :2], b[..., :2]
    )
    sides = np.maximum(sides, 0)
    overlap = sides[..., 0] * sides[..., 1]
    area_a, area_b = (
        (x[..., 2] - x[..., 0]) * (x[..., 3] - x[..., 1]) for x in (a, b)
    )
    union = area_a + area_b - overlap
    return overlap / np.maximum(union, np.float32(1e-6))


def test_iou_of_known_boxes():
    first = [[0, 0, 4, 4], [2, 2, 6, 6], [10, 10, 12, 12]]
    second = [[0, 0, 4, 4], [0, 0, 4, 2], [4, 0, 8, 4]]
    expected = [[1, 0.5, 0], [4 / 28, 0, 4 / 28], [0, 0, 0]]
    found = pairwise_iou(np.array(first), np.array(second))
    np.testing.assert_array_equal(to_numpy(found), np.float32(expected))


def test_iou_is_that_of_float32_to_the_last_bit():
    first, second = random_boxes(500), random_boxes(40, seed=1)
    expected = exact_iou(first, second)
    assert expected.max() > 0.5
    for run in [pairwise_iou, *compiled(pairwise_iou)]:
        found = to_numpy(run(first, second))
        np.testing.assert_array_equal(found, expected)


def test_iou_of_boxes_without_area_is_zero():
    empty = np.zeros((2, 4), "float32")
    empty[1] = [5, 5, 5, 9]
    boxes = np.array([[0, 0, 8, 8], [5, 5, 5, 9], [9, 9, 2, 2]])
    found = call_compiled(lambda x: pairwise_iou(x, boxes), empty)
    assert not to_numpy(found).any()


def test_leading_axes_broadcast():
    first, second = random_boxes(7), random_boxes(2, 3, 5, seed=1)
    found = call_compiled(lambda x: pairwise_iou(x, second), first)
    found = to_numpy(found)
    assert found.shape == (2, 3, 7, 5)
    np.testing.assert_array_equal(found[1, 2], exact_iou(first, second[1, 2]))


def test_boxes_are_clipped_to_each_image():
    boxes = np.array([[[-5.0, -1, 70, 99], [3, 4, 5, 6], [80, 80, 90, 90]]])
    boxes = np.concatenate([boxes, boxes])
    found = to_numpy(clip_boxes(boxes, np.array([[32, 64], [100, 60]])))
    one = [[0, 0, 64, 32], [3, 4, 5, 6], [64, 32, 64, 32]]
    other = [[0, 0, 60, 99], [3, 4, 5, 6], [60, 80, 60, 90]]
    np.testing.assert_array_equal(found, np.float32([one, other]))


def test_coder_is_that_of_mmdetection():
    golden = np.load(UNITS)
    priors, boxes, deltas, encoded, decoded, unclipped = (
        golden[f"delta_coder/{name}"]
        for name in (
            "priors",
            "gt",
            "deltas",
            "encoded",
            "decoded",
            "decoded_noclip",
        )
    )
    coder = BoxCoder((0.1, 0.1, 0.2, 0.2))
    found = to_numpy(coder.encode(priors, boxes))
    np.testing.assert_allclose(found, encoded, rtol=1e-5, atol=1e-5)
    found = to_numpy(coder.decode(priors, deltas))
    np.testing.assert_allclose(found, unclipped, atol=2e-4)
    found = to_numpy(coder.decode(priors, deltas, (256, 320)))
    np.testing.assert_allclose(found, decoded, atol=2e-4)


@pytest.mark.parametrize("stds", [(1.0,) * 4, (0.1, 0.1, 0.2, 0.2)])
def test_decoding_undoes_encoding(stds):
    anchors, boxes = random_boxes(50), random_boxes(3, 50, seed=1)
    coder = BoxCoder(stds)
    again = call_compiled(
        lambda x: coder.decode(anchors, coder.encode(anchors, x)), boxes
    )
    ratios = (boxes[..., 2:] - boxes[..., :2]) / (
        anchors[..., 2:] - anchors[..., :2]
    )
    # Growth ends at 62.5.
    usual = np.logical_and(ratios < 62, ratios > 1 / 62).all(axis=-1)
    assert usual.mean() > 0.8
    np.testing.assert_allclose(to_numpy(again)[usual], boxes[usual], atol=2e-3)


def test_degenerate_boxes_and_large_offsets_are_finite():
    boxes = np.float32([[0, 0, 0, 0], [5, 5, 5, 9], [9, 9, 2, 2], [0, 0, 8, 8]])
    coder = BoxCoder((0.1, 0.1, 0.2, 0.2))

    def run(boxes):
        deltas = coder.encode(boxes[:, None], boxes[None])
        decoded = coder.decode(boxes, 100 * deltas)
        return deltas, decoded, coder.decode(boxes, deltas, (64, 64))

    for part in call_compiled(run, boxes):
        assert np.isfinite(to_numpy(part)).all()


def test_gradients_of_decoding_are_finite():
    anchors = random_boxes(4)
    deltas = np.float32([[0.1] * 4, [0] * 4, [50] * 4, [-1e3] * 4])
    (gradient,) = gradients_of(
        lambda x: BoxCoder().decode(anchors, x, (100, 100)), [deltas]
    )
    assert np.isfinite(gradient).all()
    assert gradient[:2].any()


@pytest.mark.parametrize("stds", [(1.0,), (1.0, 1.0, 1.0, 0.0), (np.inf,) * 4])
def test_wrong_stds_are_named(stds):
    with pytest.raises(ValueError, match="Received: stds="):
        BoxCoder(stds)
