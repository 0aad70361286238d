import shutil

import pytest

from keras_twins.data.classification import sources
from keras_twins.data.classification.image_dataset import Reading
from keras_twins.data.classification.shard_writing import write_tfrecords
from keras_twins.data.classification.shard_writing import write_webdataset
from keras_twins.data.classification.sources import load_images
from tests.data.classification.image_files import CLASSES
from tests.data.classification.image_files import make_set
from tests.data.classification.image_files import take
from tests.data.classification.image_files import write_set

pytest.importorskip("tensorflow")


def test_folders_number_their_classes_as_in_training(tmp_path):
    write_set(tmp_path, 6)
    write_set(tmp_path, 3, "validation")
    shutil.rmtree(tmp_path / "validation" / "ape")
    assert load_images(tmp_path).num_examples == 6
    held_out = load_images(str(tmp_path), "val")
    assert held_out.class_names == CLASSES
    rows = take(held_out, Reading(None, 1), 9)
    assert [label for _, _, label in rows] == [1, 2]
    with pytest.raises(FileNotFoundError, match="tfds:.*'digits'"):
        load_images(tmp_path / "absent")


@pytest.mark.parametrize(
    ("kind", "write"),
    [("tfrecord", write_tfrecords), ("webdataset", write_webdataset)],
)
def test_shards_say_what_is_in_them(tmp_path, kind, write):
    whole = make_set(tmp_path, 7)
    folder = tmp_path / "shards[1]"
    write(whole, folder, "train", 3)
    write(whole, folder, "validation", 1)
    for place in (folder, folder / "train-*"):
        found = load_images(f"{kind}:{place}")
        assert (found.num_examples, found.class_names) == (7, CLASSES)
    assert load_images(f"{kind}:{folder}", "val").num_examples == 7
    with pytest.raises(FileNotFoundError, match="all files.*1 of 3"):
        load_images(f"{kind}:{folder}/train-00000*")
    with pytest.raises(FileNotFoundError, match="split 'extra'.*Splits: train"):
        load_images(f"{kind}:{folder}", "extra")
    other = "webdataset" if kind == "tfrecord" else "tfrecord"
    with pytest.raises(ValueError, match=f"Received: {other}:"):
        load_images(f"{other}:{folder}")


def test_digits_are_written_once(tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    training = load_images("digits")
    assert (training.num_examples, training.num_classes) == (1438, 10)
    monkeypatch.setattr(sources, "load_digits", None)
    assert load_images("digits").name == training.name
    assert training.name.startswith(str(tmp_path))
    with pytest.raises(FileNotFoundError, match="Splits: train, val"):
        load_images("digits", "trian", tmp_path)


def test_sets_of_tensorflow_datasets(monkeypatch):
    calls = []
    monkeypatch.setitem(sources._SOURCES, "tfds", lambda *x: calls.append(x))
    load_images("tfds:imagenet2012:5.1.0", "val")
    assert calls == [("imagenet2012:5.1.0", "val")]
