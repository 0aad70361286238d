import dataclasses
import json
import pathlib

import numpy as np
import pytest

from keras_twins.detection.anchors import RETINANET_ANCHORS
from keras_twins.detection.anchors import RPN_ANCHORS
from keras_twins.detection.assignment import BOX_HEAD_MATCH
from keras_twins.detection.assignment import RETINANET_MATCH
from keras_twins.detection.assignment import RPN_MATCH
from keras_twins.detection.assignment import MatchSettings
from keras_twins.detection.assignment import assign
from keras_twins.detection.boxes import BoxCoder
from tests.compiling import call_compiled
from tests.compiling import compiled
from tests.tiny import to_numpy

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
UNITS = {
    "assign_retina": RETINANET_MATCH,
    "assign_rpn": RPN_MATCH,
    "assign_rcnn": BOX_HEAD_MATCH,
}
# Of 10 columns each, beside one another: an overlap is a share of rows.
COLUMNS = np.float32([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]])
SETTINGS = MatchSettings(0.5, 0.4, 0.3)


def rows_of(column, height):
    """Returns the upper rows of a column: its overlap is a tenth of them."""
    x1, _, x2, _ = COLUMNS[column]
    return [x1, 0, x2, height]


def assigned(anchors, boxes, settings=SETTINGS, valid=None, **arguments):
    boxes = np.float32(boxes).reshape(-1, 4)[None]
    valid = np.ones((1, boxes.shape[1]), bool) if valid is None else [valid]
    found = call_compiled(
        lambda x: assign(x, boxes, valid, settings, **arguments),
        np.float32(anchors),
    )
    return to_numpy(found)[0].tolist()


def searched(iou, settings):
    """Returns the ground truth of each anchor, found step by step."""
    result = np.full(len(iou), -1)
    for i, row in enumerate(iou):
        if row.max() < settings.negative_iou:
            result[i] = 0
        if row.max() >= settings.positive_iou:
            result[i] = row.argmax() + 1
    for k, column in enumerate(iou.T):
        if column.max() >= settings.min_positive_iou and column.max() > 0:
            result[column == column.max()] = k + 1
    return result


def test_thresholds_belong_to_the_upper_side():
    anchors = [rows_of(0, height) for height in (10, 5, 4.5, 4, 3.9)]
    assert assigned(anchors, [COLUMNS[0]]) == [1, 1, -1, -1, 0]


def test_the_first_of_equal_ground_truths_is_taken():
    settings = dataclasses.replace(SETTINGS, match_low_quality=False)
    boxes = [COLUMNS[1], COLUMNS[0], COLUMNS[0]]
    anchors = [COLUMNS[0], COLUMNS[1], COLUMNS[2], rows_of(0, 3)]
    assert assigned(anchors, boxes, settings) == [2, 1, 0, 0]


def test_ground_truths_take_all_their_best_anchors_the_last_one_wins():
    boxes = [COLUMNS[0], COLUMNS[0], COLUMNS[1], COLUMNS[2]]
    anchors = [rows_of(*x) for x in ((0, 3), (0, 3), (0, 2), (1, 2.5))]
    assert assigned(anchors, boxes) == [2, 2, 0, 0]
    # A better anchor of its own does not keep the first one's.
    assert assigned([rows_of(0, 9)], boxes[:2]) == [2]


def test_anchors_that_take_no_part_are_never_reached():
    anchors = [COLUMNS[0], rows_of(0, 3), COLUMNS[1], COLUMNS[2]]
    flags = np.array([[False, True, True, False]])
    found = assigned(anchors, COLUMNS[:2], anchor_valid=flags)
    assert found == [-1, 1, 2, -1]


@pytest.mark.parametrize("settings", UNITS.values(), ids=UNITS)
def test_padding_is_no_ground_truth(settings):
    anchors = [COLUMNS[0], COLUMNS[1], COLUMNS[2], [0, 0, 0, 0]]
    boxes = [COLUMNS[0], [0, 0, 0, 0], COLUMNS[1]]
    found = assigned(anchors, boxes, settings, [False, False, True])
    assert found == [0, 3, 0, 0]


@pytest.mark.parametrize("number", [0, 2])
def test_without_a_ground_truth_all_is_background(number):
    boxes = np.zeros((number, 4), "float32")
    flags = np.array([[True, True, False]])
    found = assigned(
        COLUMNS, boxes, RETINANET_MATCH, [False] * number, anchor_valid=flags
    )
    assert found == [0, 0, -1]


@pytest.mark.parametrize("box", [[5, 5, 5, 9], [900, 900, 950, 950]])
def test_a_ground_truth_without_any_overlap_takes_nothing(box):
    found = assigned(COLUMNS, [COLUMNS[1], box], RETINANET_MATCH)
    assert found == [0, 1, 0]


@pytest.mark.parametrize("settings", UNITS.values(), ids=UNITS)
def test_boxes_of_whole_pixels_with_many_ties(settings):
    generator = np.random.default_rng(0)
    corners = generator.integers(0, 6, (12, 45, 2, 2))
    boxes = np.concatenate(
        [corners.min(axis=2), corners.max(axis=2) + 1], axis=-1
    ).astype("float32")
    anchors, boxes = boxes[:, :40], boxes[:, 40:]
    valid = np.ones((12, 5), bool)
    found = call_compiled(lambda x: assign(x, boxes, valid, settings), anchors)
    # Whole numbers: every order of operations gives the same.
    left_top = np.maximum(anchors[:, :, None, :2], boxes[:, None, :, :2])
    right_bottom = np.minimum(anchors[:, :, None, 2:], boxes[:, None, :, 2:])
    overlap = np.maximum(right_bottom - left_top, 0).prod(axis=-1)
    areas, other_areas = (
        (x[..., 2:] - x[..., :2]).prod(axis=-1) for x in (anchors, boxes)
    )
    iou = overlap / (areas[:, :, None] + other_areas[:, None] - overlap)
    expected = [searched(one, settings) for one in iou]
    np.testing.assert_array_equal(to_numpy(found), expected)


@pytest.mark.parametrize("name", UNITS)
def test_assignments_are_those_of_mmdetection(name):
    golden = np.load(GOLDEN / "units_mm.npz")
    anchors, boxes = golden[f"{name}/priors"], golden[f"{name}/gt"][None]
    valid = np.ones(boxes.shape[:2], bool)

    def run(anchors, boxes, valid):
        return assign(anchors, boxes, valid, UNITS[name])

    for function in [run, *compiled(run)]:
        found = to_numpy(function(anchors, boxes, valid))[0]
        np.testing.assert_array_equal(found, golden[f"{name}/gt_inds"])


def whole_models():
    for file, name, spec, settings in (
        ("retinanet", "assign", RETINANET_ANCHORS, RETINANET_MATCH),
        ("maskrcnn", "rpn_assign", RPN_ANCHORS, RPN_MATCH),
    ):
        path = GOLDEN / f"mmdet_{file}_twins.json"
        for letter, case in zip(
            "AB", json.loads(path.read_text())["cases"], strict=True
        ):
            keys = f"{file}_svt_small/{letter}/"
            golden = np.load(path.with_suffix(".npz"))
            yield pytest.param(
                case,
                spec,
                settings,
                golden[f"{keys}{name}_gt_inds"],
                golden.get(f"{keys}target_pos_deltas"),
                id=f"{file}-{letter}",
            )


@pytest.mark.parametrize(
    "case, spec, settings, expected, deltas", list(whole_models())
)
def test_targets_of_whole_models(case, spec, settings, expected, deltas):
    height, width = case["input_shape"][2:]
    sizes = [(-(-height // s), -(-width // s)) for s in spec.strides]
    anchors = np.concatenate(spec.grid(sizes))
    boxes = np.float32([case["gt_bboxes"]])
    valid = np.ones(boxes.shape[:2], bool)
    inside = to_numpy(spec.inside(sizes, [case["img_shape"]]))

    def run(anchors, boxes, valid, inside):
        return assign(anchors, boxes, valid, settings, inside)

    for function in list(compiled(run)) or [run]:
        found = to_numpy(function(anchors, boxes, valid, inside))[0]
        np.testing.assert_array_equal(found, expected)
    if deltas is not None:
        taken = boxes[0][expected[expected > 0] - 1]
        found = to_numpy(BoxCoder().encode(anchors[expected > 0], taken))
        np.testing.assert_allclose(found, deltas, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("letter", ["A", "B"])
def test_proposals_of_a_whole_model(letter):
    path = GOLDEN / "mmdet_maskrcnn_twins.npz"
    golden, keys = np.load(path), f"maskrcnn_svt_small/{letter}/"
    cases = json.loads(path.with_suffix(".json").read_text())["cases"]
    found = assigned(
        golden[f"{keys}train_proposals"],
        cases["AB".index(letter)]["gt_bboxes"],
        BOX_HEAD_MATCH,
    )
    assert found == golden[f"{keys}rcnn_assign_gt_inds"].tolist()


@pytest.mark.parametrize(
    "arguments",
    [
        {"positive_iou": 0.0},
        {"negative_iou": 0.6},
        {"min_positive_iou": -0.1},
    ],
)
def test_wrong_settings_are_named(arguments):
    (name,) = arguments
    with pytest.raises(ValueError, match=f"Received: {name}="):
        dataclasses.replace(SETTINGS, **arguments)
