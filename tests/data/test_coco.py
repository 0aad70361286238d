import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_twins.data import load_coco
from tests.data import coco_files

pytest.importorskip("PIL")
pytest.importorskip("pycocotools")


@pytest.fixture
def files(tmp_path):
    return coco_files.write(tmp_path)


def changed(folder, part, index, **entries):
    """Writes the set with other entries; one that is `...` is left out."""
    found = coco_files.content()
    row = found[part][index] | entries
    found[part][index] = {k: v for k, v in row.items() if v is not ...}
    return coco_files.write(folder, found)


def test_annotations_are_what_the_file_holds(files):
    dataset = load_coco(*files)
    assert [image.id for image in dataset.images] == [9, 42, 50]
    assert dataset.category_ids == (3, 7, 90)
    assert dataset.class_names == ("ant", "cat", "zebra")
    image = dataset.images[1]
    assert (image.file, image.height, image.width) == ("b.png", 21, 34)
    wanted = [[2, 3, 12, 9], [0, 15, 10, 21], [20, 5, 34, 21]]
    np.testing.assert_array_equal(image.boxes, wanted)
    assert image.boxes.dtype == "float32"
    # The lowest category is class 0.
    assert image.labels.tolist() == [1, 2, 0]
    assert image.labels.dtype == "int32"
    assert image.crowd.tolist() == [False, True, False]
    assert image.areas.tolist() == [60, 60, 224]
    assert image.annotation_ids.tolist() == [5, 4, 8]
    rows = coco_files.content()["annotations"][:3]
    assert list(image.segmentations) == [row["segmentation"] for row in rows]


def test_pictures_without_objects_have_none(files):
    image = load_coco(*files).images[0]
    assert (image.boxes.shape, image.labels.shape) == ((0, 4), (0,))
    assert image.segmentations == ()


def test_examples_hold_what_is_trained_on(files):
    example = load_coco(*files).example(1, with_masks=True)
    row = coco_files.content()["images"][0]
    np.testing.assert_array_equal(example.image, coco_files.pixels(row))
    assert example.boxes.tolist() == [[2, 3, 12, 9], [20, 5, 34, 21]]
    assert example.labels.tolist() == [1, 0]
    wanted = [coco_files.POLYGON_MASK, coco_files.RUNS_MASK]
    np.testing.assert_array_equal(example.masks, wanted)
    assert example.masks.dtype == bool
    assert (example.image_id, example.size) == (42, (21, 34))
    assert example.name.endswith("b.png")


def test_empty_examples_have_masks_of_the_picture(files):
    assert load_coco(*files).example(0, True).masks.shape == (0, 16, 40)


@pytest.mark.parametrize(
    ("entries", "trained"),
    [
        ({"bbox": [2, 3, 0.9, 6]}, False),
        ({"bbox": [2, 3, 10, 0.9]}, False),
        ({"bbox": [2, 3, 1, 1]}, True),
        ({"bbox": [-5, 3, 5, 6]}, False),
        ({"bbox": [-5, 3, 5.5, 6]}, True),
        ({"bbox": [34, 3, 5, 6]}, False),
        ({"bbox": [2, 21, 5, 6]}, False),
        ({"area": 0}, False),
        ({"iscrowd": 1}, False),
        # As in files of other tools.
        ({"area": ..., "iscrowd": ..., "segmentation": ...}, True),
    ],
)
def test_what_is_trained_on(tmp_path, entries, trained):
    dataset = load_coco(*changed(tmp_path, "annotations", 0, **entries))
    assert dataset.images[1].trained.tolist() == [trained, False, True]
    assert len(dataset.example(1).boxes) == 1 + trained
    assert dataset.most_boxes() == ("b.png", 1 + trained)


def test_areas_are_those_of_boxes_by_default(tmp_path):
    files = changed(tmp_path, "annotations", 0, area=..., bbox=[1, 2, 3, 4.5])
    assert load_coco(*files).images[1].areas.tolist() == [13.5, 60, 224]


def test_pictures_may_be_left_out(files):
    def kept(**arguments):
        return [image.id for image in load_coco(*files, **arguments).images]

    # Crowds count as annotations, as in mmdetection.
    assert kept(with_empty=False) == [42, 50]
    assert kept(min_size=21) == [42, 50]
    assert kept(min_size=16) == [9, 42, 50]
    with pytest.raises(ValueError, match="nothing to read.*min_size=22"):
        kept(min_size=22)
    with pytest.raises(ValueError, match="`min_size` must be.*min_size=0"):
        kept(min_size=0)


def test_segmentations_may_be_left_out(files):
    dataset = load_coco(*files, with_segmentations=False)
    assert set(dataset.images[1].segmentations) == {None}
    assert dataset.example(1).masks is None
    with pytest.raises(ValueError, match="annotation 5.*with_segmentations"):
        dataset.example(1, with_masks=True)


BROKEN = {
    "negative width": ("annotations", 0, {"bbox": [2, 3, -1, 6]}, "negative"),
    "negative height": ("annotations", 0, {"bbox": [2, 3, 1, -6]}, "negative"),
    "three numbers": ("annotations", 0, {"bbox": [2, 3, 1]}, "four numbers"),
    "text": ("annotations", 0, {"bbox": [2, 3, "1", 1]}, "four numbers"),
    "not a number": (
        "annotations",
        0,
        {"bbox": [2, 3, float("nan"), 1]},
        "four numbers",
    ),
    "infinite": ("annotations", 0, {"bbox": [2, 1e300, 1, 1]}, "four numbers"),
    "no box": ("annotations", 0, {"bbox": ...}, "`bbox`.*nothing"),
    "no image": ("annotations", 0, {"image_id": ...}, "`image_id`.*nothing"),
    "other image": ("annotations", 0, {"image_id": 1}, "`image_id`.*: 1"),
    "no category": ("annotations", 0, {"category_id": ...}, "`category_id`"),
    "other category": (
        "annotations",
        0,
        {"category_id": 4},
        "`category_id`.*: 4",
    ),
    "area": ("annotations", 0, {"area": -1}, "`area`.*: -1"),
    "crowd": ("annotations", 0, {"iscrowd": 2}, "`iscrowd`.*: 2"),
    "number": ("annotations", 1, {"id": 5}, "every `id` once.*: 5"),
    "no number": ("annotations", 0, {"id": ...}, "entry 0.*`id`"),
    "height": ("images", 0, {"height": 0}, "image 42.*`height`.*: 0"),
    "no width": ("images", 0, {"width": ...}, "image 42.*`width`.*nothing"),
    "no file": ("images", 0, {"file_name": ...}, "image 42.*`file_name`"),
    "image number": ("images", 0, {"id": 9}, "`images`.*every `id` once.*: 9"),
    "no name": ("categories", 0, {"name": ...}, "category 90.*`name`"),
    "category number": ("categories", 0, {"id": 7}, "`categories`.*once.*: 7"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_named(tmp_path, name):
    part, index, entries, text = BROKEN[name]
    path, images = changed(tmp_path, part, index, **entries)
    with pytest.raises(ValueError, match=f"{text}") as error:
        load_coco(path, images)
    assert str(error.value).startswith(str(path))
    if part == "annotations" and "id" not in entries:
        assert "annotation 5: expected" in str(error.value)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "as JSON"),
        ("{", "as JSON"),
        ("[" * 100_000, "as JSON"),
        ("[]", "a dict"),
        ("{}", "`images`: expected a list of dicts. Received: 'nothing'"),
        ('{"images": [1]}', "`images`: expected a list of dicts"),
        ('{"images": [], "categories": []}', "`annotations`: expected a list"),
        (
            '{"images": [], "categories": [], "annotations": []}',
            "one category or more",
        ),
    ],
)
def test_other_files_are_refused(files, text, wanted):
    path, images = files
    path.write_text(text)
    with pytest.raises(ValueError, match=wanted) as error:
        load_coco(path, images)
    assert str(path) in str(error.value)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.floats() | st.integers(), max_size=4),
    st.dictionaries(st.sampled_from(["id", "name", "size"]), st.integers()),
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["images", "annotations", "categories"]),
    st.integers(0, 2),
    st.sampled_from(
        [
            *("id", "file_name", "height", "width", "name", "image_id"),
            *("category_id", "bbox", "area", "iscrowd", "segmentation"),
        ]
    ),
    VALUES,
    st.booleans(),
)
def test_no_file_is_read_wrongly(part, index, key, value, whole_row):
    found = coco_files.content()
    if whole_row:
        found[part][index] = value
    else:
        found[part][index][key] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "instances.json"
        path.write_text(json.dumps(found))
        try:
            dataset = load_coco(path, folder)
        except ValueError as error:
            assert str(path) in str(error)
            return
    for image in dataset.images:
        assert np.isfinite(image.boxes).all()
        assert len(image.boxes) == len(image.labels) == len(image.areas)
        assert set(image.labels.tolist()) <= set(range(3))


def test_pictures_have_the_size_that_the_file_says(tmp_path):
    dataset = load_coco(*changed(tmp_path, "images", 0, height=22))
    with pytest.raises(ValueError, match=r"b\.png.*\(22, 34\).*\(21, 34\)"):
        dataset.example(1)


def test_broken_and_missing_pictures_are_named(files):
    path, images = files
    dataset = load_coco(path, images)
    (images / "b.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"b\.png"):
        dataset.example(1)
    (images / "b.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"b\.png"):
        dataset.example(1)


def test_missing_files_and_packages(files, monkeypatch):
    path, images = files
    with pytest.raises(FileNotFoundError, match=r"no folder .*elsewhere"):
        load_coco(path, images / "elsewhere")
    with pytest.raises(FileNotFoundError, match=r"nothing\.json"):
        load_coco(path.with_name("nothing.json"), images)
    dataset = load_coco(path, images)
    monkeypatch.setitem(sys.modules, "pycocotools.mask", None)
    with pytest.raises(ImportError, match=r"pycocotools.*keras-twins\[data\]"):
        dataset.example(0, with_masks=True)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"Pillow.*keras-twins\[data\]"):
        load_coco(path, images)
