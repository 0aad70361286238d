import json

import numpy as np
import pytest

from keras_twins.training.evaluation import ClassificationScores

NAMES = ["cat", "dog", "unseen"]


@pytest.fixture
def scores():
    return ClassificationScores(
        confusion=np.array([[6, 2, 0], [1, 1, 0], [0, 0, 0]]),
        top5_hits=np.array([7, 2, 0]),
        loss_sum=5.0,
    )


def test_totals(scores):
    assert scores.images == 10
    assert scores.summary() == {"top1": 0.7, "top5": 0.9, "loss": 0.5}
    assert scores.mean_class_top1 == pytest.approx((0.75 + 0.5) / 2)


def test_classes(scores):
    np.testing.assert_array_equal(scores.class_images, [8, 2, 0])
    np.testing.assert_allclose(scores.class_top1, [0.75, 0.5, np.nan])
    np.testing.assert_allclose(scores.class_top5, [7 / 8, 1, np.nan])
    np.testing.assert_allclose(scores.class_precision, [6 / 7, 1 / 3, np.nan])


def test_most_confused(scores):
    assert scores.most_confused() == [(0, 1, 2), (1, 0, 1)]
    assert scores.most_confused(1) == [(0, 1, 2)]


def test_report(scores):
    lines = scores.report(NAMES).splitlines()
    assert lines[0].startswith("10 images: top-1  70.00 %, top-5  90.00 %")
    cells = [line.split() for line in lines]
    assert ["cat", "8", "75.00", "87.50", "85.71"] in cells
    assert ["unseen", "0", "-", "-", "-"] in cells
    assert "cat: dog, 2" in lines
    # A table: all of its lines are of one width.
    assert len({len(line) for line in lines[2:6]}) == 1


def test_json(scores, tmp_path):
    path = tmp_path / "new" / "scores.json"
    scores.write(path, NAMES)
    found = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert (found["images"], found["top1"], found["loss"]) == (10, 0.7, 0.5)
    assert found["classes"][1] == {
        "name": "dog",
        "images": 2,
        "top1": 0.5,
        "top5": 1.0,
        "precision": pytest.approx(1 / 3),
    }
    assert found["classes"][2]["top1"] is None
    assert found["confusion"] == [[0, 0, 6], [0, 1, 2], [1, 0, 1], [1, 1, 1]]


def test_names_must_fit(scores):
    assert scores.to_dict()["classes"][2]["name"] == "2"
    with pytest.raises(ValueError, match="all 3 classes. Received: 2 names"):
        scores.report(["cat", "dog"])
