import os
import pathlib
import sys

import numpy as np
import pytest

from keras_twins.data.classification.image_dataset import ImageDataset
from keras_twins.data.classification.image_dataset import Reading
from keras_twins.data.classification.image_folder import load_image_folder
from keras_twins.data.classification.image_folder import write_image_folder
from tests.data.classification.image_files import CLASSES
from tests.data.classification.image_files import make_set
from tests.data.classification.image_files import names
from tests.data.classification.image_files import take
from tests.data.classification.image_files import write_set

Image = pytest.importorskip("PIL.Image")
tf = pytest.importorskip("tensorflow")

ORDER = Reading(None, 4)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("images"))


def test_rows_are_the_files_by_class(dataset):
    assert dataset.class_names == CLASSES
    assert (dataset.num_classes, dataset.num_examples) == (3, 11)
    rows = list(dataset.read(ORDER).as_numpy_iterator())
    assert [row["position"] for row in rows] == list(range(11))
    assert [row["label"] for row in rows] == [0] * 4 + [1] * 4 + [2] * 3
    assert {row["label"].dtype for row in rows} == {np.dtype("int64")}
    for row in rows:
        path = pathlib.Path(row["name"].decode())
        assert path.parent.name == CLASSES[row["label"]]
        assert path.read_bytes() == row["content"]
    numbers = [np.asarray(Image.open(row["name"]))[0, 0, 0] for row in rows]
    assert numbers == [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8]


def test_shards_of_an_evaluation_are_rows_in_turn(dataset):
    whole = take(dataset, ORDER, 99)
    for index in range(3):
        own = take(dataset, Reading(None, 3, 0, (3, index)), 99)
        assert own == whole[index::3]


def test_passes_have_their_own_order_and_leave_out_other_rows(dataset):
    rows = take(dataset, Reading(7, 4), 24)
    assert [position for position, _, _ in rows] == list(range(24))
    passes = [names(rows[i : i + 8]) for i in (0, 8, 16)]
    # Two batches of 4 fit into 11 rows, none of which comes twice.
    assert [len(set(one)) for one in passes] == [8, 8, 8]
    assert passes[0] != passes[1] != passes[2]
    assert len({frozenset(one) for one in passes}) > 1


def test_the_order_follows_from_the_seed_alone(dataset):
    tf.random.set_seed(1)
    first = take(dataset, Reading(7, 4), 16)
    tf.random.set_seed(2)
    assert take(dataset, Reading(7, 4), 16) == first
    assert take(dataset, Reading(8, 4), 16) != first


@pytest.mark.parametrize("start", [1, 2, 5])
def test_a_reading_starts_at_any_step(dataset, start):
    whole = take(dataset, Reading(7, 4), 32)
    assert take(dataset, Reading(7, 4, start), 8) == whole[start * 4 :][:8]


@pytest.mark.parametrize("start", [0, 3])
def test_batches_do_not_depend_on_the_number_of_shards(dataset, start):
    whole = take(dataset, Reading(7, 4, start), 16)
    own = [
        take(dataset, Reading(7, 4, start, (2, index)), 8) for index in (0, 1)
    ]
    for step in range(4):
        parts = [rows[step * 2 : step * 2 + 2] for rows in own]
        assert parts[0] + parts[1] == whole[step * 4 : step * 4 + 4]


def test_steps_per_epoch(dataset):
    assert dataset.steps_per_epoch(4) == 2
    with pytest.raises(ValueError, match="11 images.*batch_size=12"):
        dataset.steps_per_epoch(12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0), "batch_size.*Received: batch_size=0"),
        ((0, 5, 0, (2, 0)), "multiple of their number, 2.*batch_size=5"),
        ((None, 4, 1), "start.*seed.*start=1, seed=None"),
        ((0, 4, -1), "start.*start=-1"),
        ((-1, 4), "seed=-1"),
        ((0, 4, 0, (2, 2)), r"shard=\(2, 2\)"),
    ],
)
def test_readings_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        Reading(*arguments)


def test_a_set_without_rows():
    with pytest.raises(ValueError, match="num_examples=0"):
        ImageDataset("none", ("a",), 0, lambda reading: None)


@pytest.mark.parametrize("there", ["validation", "test"])
def test_names_of_the_validation_split(tmp_path, there):
    write_set(tmp_path, 3, there)
    assert load_image_folder(tmp_path, "val").num_examples == 3


def test_classes_without_splits(tmp_path):
    write_set(tmp_path / "images", 3, None)
    assert load_image_folder(tmp_path / "images", None).num_examples == 3


def test_what_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder .*absent"):
        load_image_folder(tmp_path / "absent")
    write_set(tmp_path, 3, "training_images")
    with pytest.raises(
        FileNotFoundError,
        match="'training_image' in .* Did you mean 'training_images'",
    ):
        load_image_folder(tmp_path, "training_image")
    # What was held out to the end is not replaced by another split.
    write_set(tmp_path, 3, "val")
    with pytest.raises(FileNotFoundError, match="'test'.*Splits: training_im"):
        load_image_folder(tmp_path, "test")


def test_folders_that_are_not_those_of_classes(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(ValueError, match="no folder and 0 images"):
        load_image_folder(tmp_path)
    (tmp_path / "train" / "a.jpg").touch()
    with pytest.raises(ValueError, match="no folder and 1 images"):
        load_image_folder(tmp_path)
    (tmp_path / "train" / "dog").mkdir()
    (tmp_path / "train" / "dog" / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"1 classes without any.*\['dog'\]"):
        load_image_folder(tmp_path)


def test_given_classes_number_the_labels(tmp_path):
    write_set(tmp_path, 3)
    given = ("cat", "dog", "bee", "ape")
    found = load_image_folder(tmp_path, class_names=given)
    assert found.num_classes == 4
    assert [label for _, _, label in take(found, ORDER, 9)] == [3, 2, 0]
    with pytest.raises(ValueError, match=r"1 others, such as \['cat'\]"):
        load_image_folder(tmp_path, class_names=("ape", "bee"))


@pytest.mark.skipif(sys.platform == "darwin", reason="has no such names")
def test_names_that_are_no_text(tmp_path):
    root = write_set(tmp_path, 3)
    name = os.fsencode(root / "train" / "ape") + b"/\xff.png"
    content = next((root / "train" / "bee").iterdir()).read_bytes()
    with open(name, "wb") as file:
        file.write(content)
    rows = load_image_folder(root).read(ORDER).as_numpy_iterator()
    assert name in [row["name"] for row in rows]
    os.mkdir(os.fsencode(root / "train") + b"/\xff")
    with pytest.raises(ValueError, match=r"UTF-8. Received: b'.xff'"):
        load_image_folder(root)


def test_files_that_vanish_are_named(tmp_path):
    dataset = make_set(tmp_path, 3)
    next((tmp_path / "train" / "cat").iterdir()).unlink()
    with pytest.raises(tf.errors.NotFoundError, match="cat/2.png"):
        take(dataset, ORDER, 3)


def test_writing_what_does_not_fit(tmp_path):
    images = np.zeros((2, 8, 8, 3), "uint8")
    with pytest.raises(ValueError, match="2 images, 1 labels"):
        write_image_folder(tmp_path, "train", images, [0], ["a"])
    with pytest.raises(ValueError, match="labels or classes .1. alone"):
        write_image_folder(tmp_path, "train", images, [0, 0], ["a", "b"])
    write_image_folder(tmp_path, "train", images, [0, 1], ["a", "b"])
    with pytest.raises(FileExistsError, match="train"):
        write_image_folder(tmp_path, "train", images, [0, 1], ["a", "b"])
    assert [path.name for path in tmp_path.iterdir()] == ["train"]


def test_missing_tensorflow_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError, match=r"keras-twins\[tensorflow\]"):
        load_image_folder(tmp_path)
