import math
import sys
import types

import keras
import numpy as np
import pytest

from keras_twins.detection.detections import unpacked
from keras_twins.detection.evaluation import CocoEvaluator
from keras_twins.detection.ground_truth import GroundTruth
from tests.detection.coco_sets import NAMES
from tests.detection.coco_sets import polygon
from tests.detection.coco_sets import predictions
from tests.detection.coco_sets import random_rows
from tests.detection.coco_sets import reference
from tests.detection.coco_sets import truth

LARGE = [100, 100, 200, 200]
"""10,000 pixels: above 96 x 96."""


def scores(truths, *batches, classes=3, **kwargs):
    evaluator = CocoEvaluator(truths, classes, **kwargs)
    for ids, found in batches:
        evaluator.update(ids, found)
    return evaluator.result()


def test_a_wrong_detection_above_the_right_one():
    found = predictions([[*LARGE, 0.5, 0], [0, 0, 10, 10, 0.9, 0]])
    result = scores([truth(1, [LARGE], [0])], ([1], found))
    for name in ("AP", "AP50", "AP75"):
        assert result[f"box_{name}"] == pytest.approx(0.5)
    # The wrong one is small: among the large ones, it does not count.
    assert result["box_APl"] == pytest.approx(1)
    assert math.isnan(result["box_APs"]) and math.isnan(result["box_APm"])
    assert not any(name.startswith("mask") for name in result)


def test_five_of_ten_thresholds():
    """An overlap of 0.72 is enough up to 0.7."""
    found = predictions([[100, 100, 200, 172, 0.9, 0]])
    result = scores([truth(1, [LARGE], [0])], ([1], found))
    assert result["box_AP"] == pytest.approx(0.5)
    assert result["box_AP50"] == pytest.approx(1)
    assert result["box_AP75"] == 0


def test_classes_count_alike_and_the_first_is_one():
    truths = [truth(1, [LARGE, LARGE], [0, 1])]
    found = predictions([[*LARGE, 0.9, 0]])
    result = scores(truths, ([1], found), names=["cat", "dog", "cow"])
    assert result["box_AP"] == pytest.approx(0.5)
    by_class = result["box_class_AP"]
    assert list(by_class) == ["cat", "dog", "cow"]
    assert by_class["cat"] == pytest.approx(1) and by_class["dog"] == 0
    assert math.isnan(by_class["cow"])


def test_crowds_are_neither_missed_nor_wrong():
    truths = [
        truth(
            1,
            [[0, 0, 90, 90], LARGE],
            [0, 0],
            crowd=np.array([True, False]),
        )
    ]
    in_crowd = [[10 * i, 10, 10 * i + 20, 50, 0.9, 0] for i in range(3)]
    found = predictions([*in_crowd, [*LARGE, 0.5, 0]])
    assert scores(truths, ([1], found))["box_AP"] == pytest.approx(1)
    found = predictions([[*LARGE, 0.5, 0]])
    assert scores(truths, ([1], found))["box_AP"] == pytest.approx(1)


def test_detections_in_an_image_without_objects_are_wrong():
    truths = [truth(1, [LARGE], [0]), truth(2, [], [])]
    found = predictions([[*LARGE, 0.5, 0]], [[*LARGE, 0.9, 0]])
    assert scores(truths, ([1, 2], found))["box_AP"] == pytest.approx(0.5)


@pytest.mark.parametrize("seen", [[1], [1, 2]], ids=["left out", "no row"])
def test_objects_of_an_image_without_detections_are_missed(seen):
    """Half are found, at 51 of the 101 recalls."""
    truths = [truth(1, [LARGE], [0]), truth(2, [LARGE], [0])]
    rows = [[[*LARGE, 0.9, 0]], []][: len(seen)]
    result = scores(truths, (seen, predictions(*rows)))
    assert result["box_AP"] == pytest.approx(51 / 101)


def test_padding_does_not_count():
    truths = [truth(1, [LARGE], [0])]
    found = predictions([[*LARGE, 0.5, 0]], padding=3)
    found["scores"][0, 1:] = 0.9
    found["boxes"][0, 1:] = np.nan
    found["labels"][0, 1:] = -1
    assert scores(truths, ([1], found))["box_AP"] == pytest.approx(1)


def test_masks_are_compared_at_the_size_of_the_image():
    """The object is the left half of the box."""
    half, more = np.zeros((2, 28, 28))
    half[:, :14] = more[:, :21] = 1
    mask = np.zeros((1, 400, 400), bool)
    mask[0, 100:200, 100:150] = True
    truths = [truth(1, [LARGE], [0], masks=mask)]
    row = [*LARGE, 0.9, 0]
    kinds = ("bbox", "segm")
    found = predictions([row], masks=[[half]])
    result = scores(truths, ([1], found), kinds=kinds)
    assert result["mask_AP"] == pytest.approx(1)
    # 5,000 pixels of a mask make a medium object; the box is not asked.
    assert result["mask_APm"] == pytest.approx(1)
    assert math.isnan(result["mask_APl"]) and math.isnan(result["box_APl"])
    found = predictions([row], masks=[[more]])
    result = scores(truths, ([1], found), kinds=kinds)
    # An overlap of two thirds is enough up to 0.65.
    assert result["mask_AP50"] == pytest.approx(1)
    assert result["mask_AP"] == pytest.approx(0.4)
    assert result["box_AP"] == pytest.approx(1)


def test_nothing_at_all():
    for truths in ([], [truth(1, [], [])]):
        result = scores(truths, classes=2)
        assert all(math.isnan(result[f"box_{name}"]) for name in NAMES)
        assert all(math.isnan(x) for x in result["box_class_AP"].values())


def test_nothing_is_printed(capfd):
    found = predictions([[*LARGE, 0.5, 0]])
    scores([truth(1, [LARGE], [0])], ([1], found))
    assert capfd.readouterr() == ("", "")


def random_set(seed, classes):
    """Truth with crowds and masks of all kinds, and detections around it."""
    rng = np.random.default_rng(seed)
    truths, rows, masks = [], [], []
    for image_id in rng.permutation(8) * 7 + 3:
        size = int(rng.integers(150, 260)), int(rng.integers(150, 260))
        count = int(rng.integers(0, 9))
        table = random_rows(rng, count, size, classes)
        crowd = rng.random(count) < 0.15
        truths.append(
            GroundTruth(
                int(image_id),
                size,
                table[:, :4].astype("float32"),
                table[:, 4].astype(int),
                crowd,
                rng.uniform(50, 20_000, count),
                [polygon(box) for box in table[:, :4]],
            )
        )
        moved = table.repeat(2, axis=0)
        moved[:, :4] += rng.normal(0, 2, (2 * count, 4))
        others = random_rows(rng, 4, size, classes)
        found = np.vstack([moved, others])
        found[:, 2:4] = np.maximum(found[:, 2:4], found[:, :2] + 1)
        # Few different scores: equal ones are frequent.
        score = rng.integers(1, 8, (len(found), 1)) / 8
        rows.append(np.hstack([found[:, :4], score, found[:, 4:]]).tolist())
        masks.append(rng.random((len(found), 28, 28)) * 0.3 + 0.48)
    return truths, predictions(*rows, masks=masks)


@pytest.mark.parametrize("seed", [0, 1])
def test_numbers_are_those_of_pycocotools(seed):
    truths, found = random_set(seed, classes=4)
    ids = [image.image_id for image in truths]
    sizes = [image.size for image in truths]
    result = scores(truths, (ids, found), classes=4, kinds=("bbox", "segm"))
    boxed = unpacked(found, sizes)
    detections = dict(zip(ids, boxed, strict=True))
    for kind, prefix in (("bbox", "box"), ("segm", "mask")):
        expected = reference(truths, detections, kind, (1, 4, 18, 90))
        assert 0.05 < expected["AP"] < 0.95
        assert {k: result[f"{prefix}_{k}"] for k in NAMES} == pytest.approx(
            expected, abs=1e-12
        )


def test_masks_of_all_kinds():
    """Arrays, polygons, and run lengths as lists, bytes or texts."""
    from keras_twins.detection.mask_codes import encode_mask

    pixels = np.zeros((6, 5), bool)
    pixels[1:4, 2:4] = True
    counts = [13, 3, 3, 3, 8]
    code = encode_mask(pixels, (6, 5))
    for mask in (
        pixels.astype("uint8") * 255,
        {"size": [6, 5], "counts": counts},
        {"size": [6, 5], "counts": code["counts"]},
        {"size": [6, 5], "counts": code["counts"].decode()},
        [[2, 1, 4, 1, 4, 4, 2, 4]],
        [np.array([[2, 1], [4, 1], [4, 4], [2, 4]])],
    ):
        assert encode_mask(mask, (6, 5))["counts"] == code["counts"]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((5, 6)), "6x5 pixels. Received: 5x6"),
        ({"size": [5, 6], "counts": [30]}, "6x5 pixels. Received: 5x6"),
        ({"size": [6, 5], "counts": [29]}, "add up to 6x5 pixels.*29"),
        ({"counts": [30]}, "keys 'size' and 'counts'"),
        ([[1, 2, 3, 4]], "6 or more.*4"),
        ("mask", "Received: str"),
    ],
)
def test_masks_that_are_none(mask, message):
    image = truth("x", [LARGE], [0], size=(6, 5), masks=[mask])
    with pytest.raises(ValueError, match=f"Image 'x': .*{message}"):
        CocoEvaluator([image], kinds=["segm"])


def test_entries_of_a_coco_file():
    entry = types.SimpleNamespace(
        id=5,
        height=400,
        width=400,
        boxes=np.array([LARGE], "float32"),
        labels=np.array([0]),
        crowd=np.array([False]),
        areas=np.array([900.0]),
        segmentations=(polygon(LARGE),),
    )
    found = predictions([[*LARGE, 0.5, 0]])
    result = scores([entry], ([np.int64(5)], found))
    # The area of the file decides about the size.
    assert result["box_APs"] == pytest.approx(1)
    example = types.SimpleNamespace(
        image_id=5,
        size=(400, 400),
        boxes=entry.boxes,
        labels=entry.labels,
        masks=None,
    )
    assert scores([example], ([5], found))["box_APl"] == pytest.approx(1)
    with pytest.raises(ValueError, match="must be `GroundTruth`"):
        CocoEvaluator([{"id": 5}])


@pytest.mark.parametrize("kind", [np.array, keras.ops.convert_to_tensor])
def test_ids_of_any_library(kind):
    evaluator = CocoEvaluator([truth(3, [LARGE], [0])])
    evaluator.update(kind([3]), predictions([[*LARGE, 0.5, 0]]))
    assert evaluator.missing == []
    evaluator = CocoEvaluator([truth("a.jpg", [LARGE], [0])])
    evaluator.update(np.array([b"a.jpg"]), predictions([[*LARGE, 0.5, 0]]))
    assert evaluator.missing == []
    evaluator.reset()
    assert evaluator.missing == ["a.jpg"]


BOX = [*LARGE, 0.5, 0]


@pytest.mark.parametrize(
    ("ids", "found", "message"),
    [
        ([2], predictions([BOX]), r"those of the ground truth.*\[2\]"),
        ([1, 1], predictions([BOX], [BOX]), r"come once.*\[1, 1\] again"),
        ([1], predictions([BOX], [BOX]), "ids, 1. .*for 2"),
        ([1], {"boxes": np.zeros((1, 1, 4))}, "Missing: scores, labels, valid"),
        ([1], predictions([[*LARGE, 0.5, 3]]), "from 0 to 2.*class 3"),
        ([1], predictions([[*LARGE, 0.5, -1]]), "from 0 to 2.*class -1"),
        ([1], predictions([[*LARGE, np.nan, 0]]), "finite"),
        ([1], predictions([[np.inf, 0, 1, 1, 1, 0]]), "finite"),
        (
            [1],
            {**predictions([BOX]), "labels": np.zeros((1, 5))},
            r'"labels" of shape \(1, 5\)',
        ),
    ],
)
def test_predictions_that_do_not_fit(ids, found, message):
    evaluator = CocoEvaluator([truth(1, [LARGE], [0])], 3)
    with pytest.raises(ValueError, match=message):
        evaluator.update(ids, found)
    assert evaluator.missing == [1]


def test_an_image_comes_once():
    evaluator = CocoEvaluator([truth(1, [LARGE], [0])], 3)
    evaluator.update([1], predictions([BOX]))
    with pytest.raises(ValueError, match=r"come once.*\[1\] again"):
        evaluator.update([1], predictions([BOX]))
    evaluator.reset()
    evaluator.update([1], predictions([BOX]))


@pytest.mark.parametrize(
    ("images", "arguments", "message"),
    [
        ([truth(1, [], [])] * 2, {}, "different ids.*1 twice"),
        ([truth(1, [LARGE], [80])], {}, "from 0 to 79.*class 80 in image 1"),
        ([truth(1, [LARGE], [0])], {"kinds": ["segm"]}, "image 1 without mask"),
        ([], {"kinds": ["box"]}, "`kinds` must be some of"),
        ([], {"kinds": "bbox"}, "`kinds` must be some of"),
        ([], {"kinds": []}, "`kinds` must be some of"),
        ([], {"names": ["a"]}, "`names` must be 80 different names"),
        ([], {"names": ["a", "a"], "num_classes": 2}, "1 of them different"),
    ],
)
def test_wrong_ground_truth(images, arguments, message):
    with pytest.raises(ValueError, match=message):
        CocoEvaluator(images, **arguments)


@pytest.mark.parametrize(
    ("boxes", "others", "message"),
    [
        ([LARGE, LARGE], {}, r"shape \(1, 4\).*\(2, 4\)"),
        ([LARGE], {"crowd": [0, 1]}, "`crowd`.*2 entries"),
        ([LARGE], {"areas": []}, "`areas`.*0 entries"),
        ([LARGE], {"masks": []}, "`masks`.*0 entries"),
    ],
)
def test_ground_truth_of_different_lengths(boxes, others, message):
    with pytest.raises(ValueError, match=message):
        truth(1, boxes, [0], **others)


def test_predictions_without_masks():
    image = truth(1, [LARGE], [0], masks=[polygon(LARGE)])
    evaluator = CocoEvaluator([image], kinds=("bbox", "segm"))
    with pytest.raises(ValueError, match='"masks" where `kinds` has "segm"'):
        evaluator.update([1], predictions([BOX]))


def test_without_pycocotools_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools.cocoeval", None)
    with pytest.raises(ImportError, match=r"keras-twins\[data\]"):
        CocoEvaluator([])
