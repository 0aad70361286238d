import sys

import numpy as np
import pytest

from keras_twins.data.classification.decoding import decode_image
from keras_twins.data.classification.image_dataset import Reading
from keras_twins.data.classification.tfds_images import load_tfds
from tests.data.classification.image_files import CLASSES
from tests.data.classification.image_files import names
from tests.data.classification.image_files import take

tf = pytest.importorskip("tensorflow")
tfds = pytest.importorskip("tensorflow_datasets")

COUNT = 11


class TinyAnimals(tfds.core.GeneratorBasedBuilder):
    """Images of the colour of their number."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "label": tfds.features.ClassLabel(names=list(CLASSES)),
            "other": tf.float32,
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        return {"train": self._rows(COUNT), "validation": self._rows(3)}

    def _rows(self, count):
        for number in range(count):
            yield (
                number,
                {
                    "image": np.full((8, 8, 3), number, "uint8"),
                    "label": number % 3,
                    "other": 0.5,
                },
            )

    def _generate_examples(self):
        raise NotImplementedError


class TinyNoises(TinyAnimals):
    """No images."""

    def _info(self):
        features = {"noise": tf.float32}
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features)
        )

    def _split_generators(self, dl_manager):
        return {"train": ((i, {"noise": 0.5}) for i in range(3))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Both sets, the first in three files."""
    folder = tmp_path_factory.mktemp("tfds")
    config = tfds.download.DownloadConfig(num_shards=3)
    for builder in (TinyAnimals, TinyNoises):
        builder(data_dir=folder).download_and_prepare(download_config=config)
    return folder


@pytest.fixture
def dataset(folder):
    return load_tfds("tiny_animals", "train", folder, buffer=4)


def test_rows_are_not_decoded(dataset):
    assert (dataset.num_examples, dataset.class_names) == (COUNT, CLASSES)
    rows = list(dataset.read(Reading(None, 1)).as_numpy_iterator())
    numbers = [decode_image(row["content"])[0, 0, 0].numpy() for row in rows]
    assert sorted(numbers) == list(range(COUNT))
    assert [row["label"] for row in rows] == [n % 3 for n in numbers]
    assert all(b"tiny_animals-train.tfrecord" in row["name"] for row in rows)


def test_training_is_resumed_and_shared(dataset):
    rows = take(dataset, Reading(7, 4), 24)
    # Two batches of 4 in a pass.
    passes = [names(rows[i : i + 8]) for i in (0, 8, 16)]
    assert [len(set(one)) for one in passes] == [8, 8, 8]
    assert passes[0] != passes[1] != passes[2]
    assert take(dataset, Reading(7, 4, 3), 8) == rows[12:20]
    parts = [names(take(dataset, Reading(7, 2, 0, (2, i)), 9)) for i in (0, 1)]
    assert not set(parts[0]) & set(parts[1])
    with pytest.raises(ValueError, match="Received: 3 files"):
        dataset.read(Reading(7, 4, 0, (4, 0)))


def test_splits(folder):
    assert load_tfds("tiny_animals", "val", folder).num_examples == 3
    part = load_tfds("tiny_animals", "train[2:9]", folder)
    whole = load_tfds("tiny_animals", "train", folder)
    reading = Reading(None, 1)
    wanted = [row[2] for row in take(whole, reading, 99)][2:9]
    assert [row[2] for row in take(part, reading, 99)] == wanted
    both = load_tfds("tiny_animals", "train+validation", folder)
    assert len(take(both, reading, 99)) == COUNT + 3
    with pytest.raises(FileNotFoundError, match="Did you mean 'validation'"):
        load_tfds("tiny_animals", "validations", folder)


def test_sets_that_are_not_for_this(folder):
    with pytest.raises(ValueError, match="image and a class.*tiny_noises"):
        load_tfds("tiny_noises", "train", folder)
    with pytest.raises(ValueError, match="tiny_animal"):
        load_tfds("tiny_animal", "train", folder)


def test_missing_packages_name_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r"tensorflow-datasets.*\[data\]"):
        load_tfds("imagenet2012")
