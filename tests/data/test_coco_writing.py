import json

import numpy as np
import pytest

from keras_twins.data import load_coco
from keras_twins.data import load_digit_scenes
from keras_twins.data import write_coco

pytest.importorskip("PIL")
pytest.importorskip("pycocotools")

DIGITS = list("0123456789")


@pytest.fixture(scope="module")
def scenes():
    pytest.importorskip("sklearn")
    return load_digit_scenes(3, image_size=32, digits=(1, 4))


def test_scenes_are_read_as_they_were_written(scenes, tmp_path):
    folder = tmp_path / "new" / "digits"
    path = write_coco(folder, **scenes.detection(), class_names=DIGITS)
    assert path == folder / "instances.json"
    dataset = load_coco(path, folder / "images")
    assert dataset.class_names == tuple(DIGITS)
    assert len(dataset) == len(scenes)
    for index in range(len(scenes)):
        found = dataset.example(index, with_masks=True)
        wanted = scenes.example(index, with_masks=True)
        for name in ("image", "boxes", "labels", "masks"):
            values = getattr(found, name), getattr(wanted, name)
            np.testing.assert_array_equal(*values)
            assert values[0].dtype == values[1].dtype
        areas = wanted.masks.sum(axis=(1, 2))
        np.testing.assert_array_equal(dataset.images[index].areas, areas)


def test_pycocotools_reads_the_file(scenes, tmp_path, capsys):
    coco = pytest.importorskip("pycocotools.coco")
    path = write_coco(tmp_path, **scenes.detection(), class_names=DIGITS)
    found = coco.COCO(str(path))
    first = found.anns[1]
    wanted = scenes.masks[0, scenes.valid[0]][0]
    np.testing.assert_array_equal(found.annToMask(first), wanted)


def test_pictures_may_differ_in_size_and_have_no_objects(tmp_path):
    images = [np.zeros((4, 6, 3), "uint8"), np.ones((9, 5, 3), "uint8")]
    path = write_coco(tmp_path, images, [[], [[1, 2, 4, 8]]], [[], [0]], ["a"])
    dataset = load_coco(path, tmp_path / "images")
    sizes = [(image.height, image.width) for image in dataset.images]
    assert sizes == [(4, 6), (9, 5)]
    assert [len(image.boxes) for image in dataset.images] == [0, 1]
    assert dataset.images[1].areas.tolist() == [18]
    assert "segmentation" not in json.loads(path.read_text())["annotations"][0]


def test_a_failure_leaves_no_half_of_a_file(tmp_path, monkeypatch):
    images = np.zeros((1, 4, 4, 3), "uint8")
    path = write_coco(tmp_path, images, [[]], [[]], ["a"])
    before = path.read_text()

    def fail(value):
        raise KeyboardInterrupt

    monkeypatch.setattr(json, "dumps", fail)
    with pytest.raises(KeyboardInterrupt):
        write_coco(tmp_path, images, [[]], [[]], ["b"])
    assert path.read_text() == before
    names = sorted(file.name for file in tmp_path.rglob("*.*"))
    assert names == ["000000000001.png", "instances.json"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"labels": [[0], [0]]}, r"as many pictures.*\[1, 1, 2, 1, 2\]"),
        ({"labels": [[0, 0]]}, r"must have a box, a label.*\[1, 2, 2\]"),
        ({"labels": [[1]]}, r"`labels` must be from 0 to 0.*\[1\].* 1"),
        ({"labels": [[-1]]}, r"`labels` must be from 0 to 0.*\[-1\]"),
        ({"masks": [np.zeros((2, 4, 4), bool)]}, r"\[1, 1, 1, 2\]"),
        ({"images": np.zeros((1, 4, 4, 3))}, "uint8.*float64"),
        ({"images": np.zeros((1, 4, 4), "uint8")}, r"\(4, 4\)"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, arguments, text):
    good = {
        "images": np.zeros((1, 4, 4, 3), "uint8"),
        "boxes": [[[0, 0, 2, 2]]],
        "labels": [[0]],
        "class_names": ["a"],
    }
    with pytest.raises(ValueError, match=text):
        write_coco(tmp_path, **good | arguments)
    assert not list(tmp_path.iterdir())
