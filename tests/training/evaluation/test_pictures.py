import numpy as np
import pytest

from keras_twins.training.evaluation import ClassificationScores
from keras_twins.training.evaluation import draw_class_accuracy
from keras_twins.training.evaluation import draw_confusion

pytest.importorskip("matplotlib")
PIL = pytest.importorskip("PIL.Image")


def counted(classes, images=40, right=0.8):
    generator = np.random.default_rng(0)
    confusion = np.zeros((classes, classes), int)
    for true in range(classes):
        found = generator.integers(0, classes, images)
        found[generator.random(images) < right] = true
        confusion[true] = np.bincount(found, minlength=classes)
    return ClassificationScores(confusion, np.diag(confusion), 1.0)


@pytest.mark.parametrize("draw", [draw_confusion, draw_class_accuracy])
@pytest.mark.parametrize("classes", [2, 30, 300])
def test_pictures(draw, classes, tmp_path):
    path = tmp_path / "new" / "picture.png"
    names = [f"a_rather_long_name_of_class_number_{i}" for i in range(classes)]
    draw(path, counted(classes), names)
    with PIL.open(path) as picture:
        assert min(picture.size) > 150 and max(picture.size) < 2200
        # More than a white page.
        assert np.unique(np.asarray(picture.convert("L"))).size > 20


@pytest.mark.parametrize("draw", [draw_confusion, draw_class_accuracy])
@pytest.mark.parametrize("classes", [3, 60])
def test_no_errors_and_classes_without_images(draw, classes, tmp_path):
    confusion = np.diag(np.arange(classes))
    scores = ClassificationScores(confusion, np.diag(confusion), 0.0)
    draw(tmp_path / "picture.svg", scores)
    assert "<svg" in (tmp_path / "picture.svg").read_text()


def test_unknown_formats(tmp_path):
    with pytest.raises(ValueError, match="must end with one of"):
        draw_confusion(tmp_path / "picture.doc", counted(2))
