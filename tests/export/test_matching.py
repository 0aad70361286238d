"""Which objects of two programs are the same."""

import numpy as np
import pytest

from keras_twins.export.matching import match_objects

TOLERANCE = 1e-3


def objects() -> dict[str, np.ndarray]:
    """Returns two objects and padding in each of two images."""
    boxes = [[10, 10, 50, 50], [60, 20, 90, 70], [0, 0, 0, 0]]
    return {
        "boxes": np.array([boxes, boxes], "float32"),
        "labels": np.array([[1, 2, 0]] * 2, "float32"),
        "scores": np.array([[0.9, 0.4, 0]] * 2, "float32"),
        "valid": np.array([[1, 1, 0]] * 2, "float32"),
        "masks": np.full((2, 3, 4, 4), 0.5, "float32"),
    }


def test_the_order_does_not_matter():
    turned = {name: x[:, [1, 0, 2]] for name, x in objects().items()}
    turned["scores"][0, 0] += 5e-4
    turned["boxes"][0, 0, 0] += 0.1
    found = match_objects(objects(), turned, TOLERANCE)
    assert (found.expected, found.received, found.matched) == (4, 4, 4)
    assert found.agreement == 1
    assert found.score_difference == pytest.approx(5e-4, rel=1e-3)
    assert found.box_difference == pytest.approx(0.1, rel=1e-3)
    assert found.mask_difference == 0


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("labels", 1),
        ("scores", 2e-3),
        ("boxes", 4),
        ("masks", 2e-3),
        ("valid", -1),
    ],
)
def test_an_object_that_is_another_one(name, change):
    other = objects()
    other[name][1, 1] += change
    found = match_objects(objects(), other, TOLERANCE)
    assert (found.expected, found.matched) == (4, 3)
    assert found.received == (3 if name == "valid" else 4)
    assert found.agreement == 0.75


def test_an_object_is_matched_once():
    twice = objects()
    for values in twice.values():
        values[:, 1] = values[:, 0]
    found = match_objects(twice, objects(), TOLERANCE)
    assert (found.expected, found.received, found.matched) == (4, 4, 2)


def test_boxes_thinner_than_a_pixel():
    thin = [objects(), objects()]
    for shift, values in zip((0, 1e-3), thin, strict=True):
        values["boxes"][:, 1] = [60 + shift, 20, 60.001 + shift, 70]
    first, second = thin
    assert match_objects(first, second, TOLERANCE).matched == 4


def test_no_objects_agree_in_nothing():
    nothing = {name: 0 * x for name, x in objects().items()}
    found = match_objects(nothing, nothing, TOLERANCE)
    assert (found.expected, found.matched) == (0, 0)
    assert np.isnan(found.agreement)
