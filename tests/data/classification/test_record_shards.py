import json
import tarfile

import pytest

from keras_twins.data.classification.image_dataset import Reading
from keras_twins.data.classification.record_shards import load_shards
from keras_twins.data.classification.shard_writing import read_description
from keras_twins.data.classification.shard_writing import write_tfrecords
from keras_twins.data.classification.shard_writing import write_webdataset
from tests.data.classification.image_files import CLASSES
from tests.data.classification.image_files import make_set
from tests.data.classification.image_files import names
from tests.data.classification.image_files import take

tf = pytest.importorskip("tensorflow")

WRITERS = {"tfrecord": write_tfrecords, "tar": write_webdataset}
COUNT = 23


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("images"), COUNT)


@pytest.fixture(scope="module", params=WRITERS)
def folder(request, source, tmp_path_factory):
    """Four files with the images of `source`."""
    folder = tmp_path_factory.mktemp(request.param)
    paths = WRITERS[request.param](source, folder, "train", 4)
    assert paths == sorted(folder.glob(f"train-*-of-00004.{request.param}"))
    return folder


@pytest.fixture
def shards(folder):
    return load_shards(folder / "train-*", COUNT, CLASSES, buffer=5)


def contents(dataset):
    rows = dataset.read(Reading(None, 1)).as_numpy_iterator()
    return sorted((row["content"], int(row["label"])) for row in rows)


def test_shards_hold_the_images(shards, source, folder):
    assert contents(shards) == contents(source)
    assert read_description(folder) == {
        "class_names": list(CLASSES),
        "splits": {
            "train": {
                "files": f"train-*{next(folder.glob('train*')).suffix}",
                "num_examples": COUNT,
            }
        },
    }


def test_shards_of_an_evaluation_are_rows_in_turn(shards):
    whole = take(shards, Reading(None, 3), 99)
    assert [position for position, _, _ in whole] == list(range(COUNT))
    for index in range(3):
        own = take(shards, Reading(None, 3, 0, (3, index)), 99)
        assert own == whole[index::3]


def test_passes_of_a_training(shards):
    tf.random.set_seed(1)
    rows = take(shards, Reading(7, 4), 60)
    assert [position for position, _, _ in rows] == list(range(60))
    # Five batches of 4 in a pass.
    passes = [names(rows[i : i + 20]) for i in (0, 20, 40)]
    assert [len(set(one)) for one in passes] == [20, 20, 20]
    assert passes[0] != passes[1] != passes[2]
    tf.random.set_seed(2)
    assert take(shards, Reading(7, 4), 60) == rows
    assert take(shards, Reading(8, 4), 20) != rows[:20]


@pytest.mark.parametrize("start", [1, 3, 5, 12])
def test_a_reading_starts_at_any_step(shards, start):
    whole = take(shards, Reading(7, 4), 60)
    assert take(shards, Reading(7, 4, start), 8) == whole[start * 4 :][:8]


def test_processes_read_files_of_their_own(shards):
    parts = [take(shards, Reading(7, 4, 0, (2, i)), 40) for i in (0, 1)]
    assert not set(names(parts[0])) & set(names(parts[1]))
    positions = sorted(row[0] for part in parts for row in part)
    assert positions == list(range(80))
    # The first batch of both together.
    assert [row[0] for row in parts[1]][:4] == [2, 3, 6, 7]
    resumed = take(shards, Reading(7, 4, 7, (2, 1)), 6)
    assert resumed == parts[1][14:20]


def test_fewer_files_than_processes(shards):
    reading = Reading(7, 5, 0, (5, 0))
    with pytest.raises(ValueError, match="5 processes.*Received: 4 files"):
        shards.read(reading)


@pytest.mark.parametrize("count", [COUNT - 1, COUNT + 1])
def test_another_number_of_rows_than_promised(folder, count):
    found = load_shards(folder / "train-*", count, CLASSES)
    with pytest.raises(tf.errors.FailedPreconditionError, match=str(count)):
        take(found, Reading(None, 1), 99)


def test_labels_out_of_range_name_the_row(folder):
    found = load_shards(folder / "train-*", COUNT, CLASSES, first_label=1)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="(?s)from 1 to 3.*(png|tar)"
    ):
        take(found, Reading(None, 1), 99)
    more = (*CLASSES, "dog")
    found = load_shards(folder / "train-*", COUNT, more, first_label=-1)
    labels = {label for _, _, label in take(found, Reading(None, 1), 99)}
    assert labels == {1, 2, 3}


def test_orders_of_writing(source, tmp_path):
    ordered = write_tfrecords(source, tmp_path / "a", "val", 2, seed=None)
    wanted = [row[2] for row in take(source, Reading(None, 1), 99)]
    found = load_shards(ordered, COUNT, CLASSES)
    assert [row[2] for row in take(found, Reading(None, 1), 99)] == wanted
    mixed = write_tfrecords(source, tmp_path / "b", "val", 2)
    found = load_shards(mixed, COUNT, CLASSES)
    assert [row[2] for row in take(found, Reading(None, 1), 99)] != wanted


def test_splits_are_written_beside_each_other(source, tmp_path):
    write_tfrecords(source, tmp_path, "train", 2)
    write_webdataset(source, tmp_path, "val", 1)
    splits = read_description(tmp_path)["splits"]
    assert {name: one["files"] for name, one in splits.items()} == {
        "train": "train-*.tfrecord",
        "val": "val-*.tar",
    }
    both = str(tmp_path / "*-of-*")
    with pytest.raises(ValueError, match="1 of 3"):
        load_shards(both, COUNT, CLASSES)
    with pytest.raises(ValueError, match="num_shards=24"):
        write_tfrecords(source, tmp_path, "train", 24)
    other = make_set(tmp_path / "other", 3)
    object.__setattr__(other, "class_names", ("a", "b", "c"))
    with pytest.raises(ValueError, match="same classes.*for 'test'"):
        write_tfrecords(other, tmp_path, "test", 1)


def test_what_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"train-\*"):
        load_shards(tmp_path / "train-*", 1, CLASSES)
    with pytest.raises(FileNotFoundError, match="a.tar"):
        load_shards([tmp_path / "a.tar"], 1, CLASSES)
    with pytest.raises(FileNotFoundError, match="dataset.json.*Write one"):
        read_description(tmp_path)


@pytest.mark.parametrize(
    "content", ["[]", "{", json.dumps({"class_names": [], "splits": {}})]
)
def test_a_description_of_something_else(tmp_path, content):
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(ValueError, match="dataset.json must hold"):
        read_description(tmp_path)


def read_tars(path, count=1):
    found = load_shards([path], count, CLASSES)
    return take(found, Reading(None, 1), 99)


def write_tar(path, *members):
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            source = path.parent / "member"
            source.write_bytes(content)
            archive.add(source, name)
    return path


def test_rows_of_a_tar_end_with_their_name(tmp_path):
    path = write_tar(
        tmp_path / "a.tar",
        ("x/1.cls", b"2\n"),
        ("x/1.JPEG", b"first"),
        ("x/1.json", b"{}"),
        ("y/1.png", b"second"),
        ("y/1.cls", b"0"),
    )
    rows = read_tars(path, 2)
    assert rows == [
        (0, f"{path}:x/1.jpeg", 2),
        (1, f"{path}:y/1.png", 0),
    ]


@pytest.mark.parametrize(
    "members",
    [
        [("1.jpg", b"x")],
        [("1.cls", b"0")],
        [("1.jpg", b"x"), ("1.cls", b"cat")],
        [("1.jpg", b"x"), ("1.png", b"x"), ("1.cls", b"0")],
    ],
)
def test_rows_of_a_tar_that_are_not_whole(tmp_path, members):
    path = write_tar(tmp_path / "a.tar", *members)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="1 in .*a.tar with"
    ):
        read_tars(path)


def test_a_tar_that_is_cut_off(tmp_path):
    path = write_tar(tmp_path / "a.tar", ("1.jpg", b"x" * 999))
    path.write_bytes(path.read_bytes()[:800])
    with pytest.raises(tf.errors.InvalidArgumentError, match="read .*a.tar to"):
        read_tars(path)
