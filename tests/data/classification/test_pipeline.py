import dataclasses

import keras
import numpy as np
import pytest

from keras_twins.data.classification.augmentation import LIGHT
from keras_twins.data.classification.augmentation import TWINS_IMAGENET
from keras_twins.data.classification.corrupt_images import CorruptImages
from keras_twins.data.classification.pipeline import image_batches
from keras_twins.data.classification.pipeline import image_evaluation_batches
from keras_twins.preprocessing import EvaluationCrop
from keras_twins.preprocessing import load_image
from tests.data.classification.image_files import make_set

tf = pytest.importorskip("tensorflow")

WHOLE = dataclasses.replace(TWINS_IMAGENET, size=12, mix_group=2)
# Without what takes seconds to be traced.
MIXED = dataclasses.replace(WHOLE, rand_augment=None, color_jitter=0.0)
SMALL = dataclasses.replace(LIGHT, size=12)
CROP = EvaluationCrop(10, 8)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_set(tmp_path_factory.mktemp("images"), size=16)


def batches(dataset, count, augmentation=MIXED, batch_size=4, **options):
    found = image_batches(dataset, augmentation, batch_size, **options)
    return list(found.take(count).as_numpy_iterator())


def assert_equal(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        for value, wanted in zip(one, other, strict=True):
            np.testing.assert_array_equal(value, wanted)


def test_shapes_are_known(dataset):
    images, targets = image_batches(dataset, MIXED, 4).element_spec
    assert images == tf.TensorSpec((4, 12, 12, 3), "float32")
    assert targets == tf.TensorSpec((4, 3), "float32")


def test_targets_are_those_of_the_images(dataset):
    # The images are of one colour, their number; the class follows from it.
    for images, targets in batches(dataset, 4, SMALL):
        numbers = images[:, 0, 0, 0]
        assert (images == numbers[:, None, None, None]).all()
        assert targets.argmax(axis=1).tolist() == (numbers % 3).tolist()
        np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)


def test_a_resumed_training_sees_the_same(dataset):
    whole = batches(dataset, 5, seed=3)
    assert_equal(batches(dataset, 2, seed=3, start=3), whole[3:])
    (other,) = batches(dataset, 1, seed=4)
    assert not np.array_equal(other[0], whole[0][0])


def test_batches_do_not_depend_on_the_number_of_processes(dataset):
    whole = batches(dataset, 3, seed=3)
    parts = [batches(dataset, 3, seed=3, shard=(2, i)) for i in (0, 1)]
    for step, wanted in enumerate(whole):
        joined = [
            np.concatenate([part[step][kind] for part in parts])
            for kind in (0, 1)
        ]
        assert_equal([joined], [wanted])


def test_what_does_not_fit(dataset):
    with pytest.raises(ValueError, match="11 images.*batch_size=16"):
        image_batches(dataset, SMALL, 16)
    with pytest.raises(ValueError, match="`corrupt` must be .*'skip'"):
        image_batches(dataset, SMALL, 4, corrupt="skip")


def test_evaluation_of_every_image_once(dataset):
    found = image_evaluation_batches(dataset, CROP, 4)
    assert len(found) == 3
    assert found.element_spec == {
        "images": tf.TensorSpec((4, 8, 8, 3), "float32"),
        "labels": tf.TensorSpec((4,), "int32"),
        "valid": tf.TensorSpec((4,), "bool"),
    }
    parts = list(found.as_numpy_iterator())
    valid = np.concatenate([part["valid"] for part in parts])
    assert valid.tolist() == [True] * 11 + [False]
    images = np.concatenate([part["images"] for part in parts])[valid]
    labels = np.concatenate([part["labels"] for part in parts])[valid]
    assert sorted(images[:, 0, 0, 0]) == list(range(11))
    assert labels.tolist() == (images[:, 0, 0, 0] % 3).tolist()


@pytest.mark.parametrize("count", [5, 8, 9])
def test_all_processes_have_as_many_batches(tmp_path, count):
    dataset = make_set(tmp_path, count)
    parts = [
        list(
            image_evaluation_batches(
                dataset, CROP, 8, (4, i)
            ).as_numpy_iterator()
        )
        for i in range(4)
    ]
    assert {len(part) for part in parts} == {-(-count // 8)}
    seen = [
        int(number)
        for part in parts
        for batch in part
        for number in batch["images"][batch["valid"], 0, 0, 0]
    ]
    assert sorted(seen) == list(range(count))


def test_images_are_cut_as_published_evaluations_do(tmp_path):
    pil = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 53, 3), "uint8")
    path = tmp_path / "train" / "ape" / "a.jpeg"
    path.parent.mkdir(parents=True)
    pil.fromarray(pixels).save(path)
    from keras_twins.data.classification.image_folder import load_image_folder
    from keras_twins.preprocessing import evaluation_crop

    crop = evaluation_crop("timm", 24)
    found = image_evaluation_batches(load_image_folder(tmp_path), crop, 1)
    (batch,) = found.as_numpy_iterator()
    wanted = load_image(path, 24)
    np.testing.assert_allclose(batch["images"][0], wanted, atol=1)


def test_corrupt_images_in_batches(tmp_path):
    dataset = make_set(tmp_path, 6, size=16)
    (path,) = tmp_path.glob("train/*/4.png")
    path.write_bytes(b"no image")
    skip = CorruptImages("skip")
    found = list(
        image_evaluation_batches(
            dataset, CROP, 3, corrupt=skip
        ).as_numpy_iterator()
    )
    assert [batch["valid"].sum() for batch in found] == [3, 2]
    assert (skip.count, skip.names) == (1, (str(path),))
    ((images, targets),) = batches(dataset, 1, SMALL, 6, corrupt=skip)
    numbers = images[:, 0, 0, 0]
    assert targets.argmax(axis=1).tolist() == (numbers % 3).tolist()
    assert len(set(numbers) - {4}) == 5
    for make in (
        lambda: image_batches(dataset, SMALL, 6),
        lambda: image_evaluation_batches(dataset, CROP, 3),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match="4.png cann"):
            list(make().take(2))


def test_models_take_the_batches(dataset):
    model = keras.Sequential(
        [
            keras.layers.Input((12, 12, 3)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("sgd", "categorical_crossentropy")
    history = model.fit(
        image_batches(dataset, WHOLE, 4),
        steps_per_epoch=2,
        shuffle=False,
        verbose=0,
    )
    assert np.isfinite(history.history["loss"]).all()
