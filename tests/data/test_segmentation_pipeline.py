import sys

import keras
import numpy as np
import pytest

from keras_twins.data import SegmentationAugmentation
from keras_twins.data import evaluation_examples
from keras_twins.data import load_digit_scenes
from keras_twins.data import training_batches
from keras_twins.data.paired_augmentation import resize_image

tf = pytest.importorskip("tensorflow")

SMALL = SegmentationAugmentation(scale=(128, 32), crop_size=(24, 40))
STILL = {"flip_rate": 0.0, "distortion_rate": 0.0}


def examples(count=3, height=20, width=30):
    rng = np.random.default_rng(0)
    return tf.data.Dataset.from_tensor_slices(
        {
            "image": rng.integers(0, 256, (count, height, width, 3), "uint8"),
            "mask": rng.integers(0, 5, (count, height, width), "uint8"),
        }
    )


def streamed(stream, count, **arguments):
    """The images of a stream, one by one."""
    batches = training_batches(stream, 1, SMALL, **arguments).take(count)
    return np.concatenate([images for images, _ in batches.as_numpy_iterator()])


def test_batches_have_the_documented_shapes_and_types():
    batches = training_batches(examples(), 2, SMALL)
    images, masks = batches.element_spec
    assert images.shape == (2, 24, 40, 3)
    assert masks.shape == (2, 24, 40)
    assert (images.dtype, masks.dtype) == (tf.float32, tf.int32)
    for images, masks in batches.take(4).as_numpy_iterator():
        assert set(np.unique(masks)) <= {0, 1, 2, 3, 4, 255}
        inside = masks != 255
        assert not (images[inside] - np.rint(images[inside])).any()
        assert images.min() >= 0
        assert images.max() <= 255


def test_default_crop_is_that_of_ade20k():
    batches = training_batches(examples(), 2)
    assert batches.element_spec[0].shape == (2, 512, 512, 3)


def test_batches_follow_from_the_seed_alone():
    def take(seed):
        batches = training_batches(examples(4), 2, SMALL, seed)
        return [images for images, _ in batches.take(4).as_numpy_iterator()]

    tf.random.set_seed(1)
    one = take(5)
    tf.random.set_seed(2)
    np.testing.assert_array_equal(take(5), one)
    assert not np.array_equal(take(6), one)
    # The second pass over the examples is another one.
    assert not np.array_equal(one[0], one[2])


def test_shards_are_parts_of_one_stream():
    whole = streamed(examples(4), 8)
    for index in range(2):
        part = examples(4).shard(2, index)
        found = streamed(part, 4, shard=(2, index))
        np.testing.assert_array_equal(found, whole[index::2])


def test_shards_are_augmented_in_their_own_ways():
    first = streamed(examples(4), 4, shard=(2, 0))
    second = streamed(examples(4), 4, shard=(2, 1))
    assert all(
        not np.array_equal(*pair) for pair in zip(first, second, strict=True)
    )


def test_a_training_is_resumed():
    whole = streamed(examples(4), 8)
    rest = examples(4).repeat().skip(3)
    np.testing.assert_array_equal(streamed(rest, 5, start=3), whole[3:])


def test_nothing_to_do_changes_nothing():
    rules = SegmentationAugmentation(
        scale=(30, 20), ratio_range=(1, 1), crop_size=(20, 30), **STILL
    )
    (found,) = training_batches(examples(), 3, rules).take(1)
    (wanted,) = examples().batch(3)
    np.testing.assert_array_equal(found[0], wanted["image"])
    np.testing.assert_array_equal(found[1], wanted["mask"])


def test_evaluation_resizes_pictures_only():
    resized = evaluation_examples(examples(2), scale=(120, 40))
    assert len(resized) == 2
    pairs = zip(resized, examples(2), strict=True)
    for (image, mask), example in pairs:
        assert (image.dtype, mask.dtype) == (tf.float32, tf.int32)
        wanted = resize_image(tf.cast(example["image"], "float32"), (40, 60))
        np.testing.assert_array_equal(image, wanted)
        np.testing.assert_array_equal(mask, example["mask"])


def test_models_are_trained_on_digit_scenes():
    pytest.importorskip("sklearn")
    scenes = load_digit_scenes(4, image_size=32)
    stream = tf.data.Dataset.from_tensor_slices(
        {"image": scenes.images, "mask": scenes.semantic_masks}
    )
    model = keras.Sequential([keras.Input((24, 40, 3)), keras.layers.Dense(11)])
    model.compile(
        "sgd",
        keras.losses.SparseCategoricalCrossentropy(True, ignore_class=255),
        jit_compile=keras.backend.backend() == "jax",
    )
    batches = training_batches(stream, 2, SMALL)
    history = model.fit(batches, steps_per_epoch=3, shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.parametrize("prepare", [training_batches, evaluation_examples])
@pytest.mark.parametrize(
    "elements",
    [
        {"image": np.zeros((1, 4, 4, 3), "uint8")},
        (np.zeros((1, 4, 4, 3), "uint8"), np.zeros((1, 4, 4), "uint8")),
        {
            "image": np.zeros((1, 4, 4, 3), "uint8"),
            "mask": np.zeros((1, 4, 4), "float32"),
        },
        {
            "image": np.zeros((1, 4, 4, 1), "uint8"),
            "mask": np.zeros((1, 4, 4), "uint8"),
        },
        {
            "image": np.zeros((1, 2, 4, 4, 3), "uint8"),
            "mask": np.zeros((1, 2, 4, 4), "uint8"),
        },
    ],
    ids=["no mask", "pair", "float mask", "one channel", "batched"],
)
def test_other_examples_are_refused(prepare, elements):
    stream = tf.data.Dataset.from_tensor_slices(elements)
    with pytest.raises(ValueError, match="`examples` must have.*Received"):
        prepare(stream)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("num_classes", "wrong", "last"),
    [(5, 5, 4), (None, -1, 254)],
)
def test_labels_out_of_range_are_named(training, num_classes, wrong, last):
    def iterate(label):
        masks = np.full((1, 4, 4), [0, last, 255, label], "int32")
        stream = tf.data.Dataset.from_tensor_slices(
            {"image": np.zeros((1, 4, 4, 3), "uint8"), "mask": masks}
        )
        if training:
            found = training_batches(stream, 1, SMALL, num_classes=num_classes)
        else:
            found = evaluation_examples(stream, (4, 4), num_classes)
        next(found.as_numpy_iterator())

    iterate(last)
    text = rf"`mask`.* 0 to {last}, and 255 .*Received:.*\[{wrong}\]"
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        iterate(wrong)


@pytest.mark.parametrize(
    ("dtype", "pixel"), [("uint16", 256), ("int32", -1), ("int8", -1)]
)
def test_pixels_of_other_depths_are_refused(dtype, pixel):
    def iterate(value):
        stream = tf.data.Dataset.from_tensor_slices(
            {
                "image": np.full((1, 4, 4, 3), value, dtype),
                "mask": np.zeros((1, 4, 4), "uint8"),
            }
        )
        next(training_batches(stream, 1, SMALL).as_numpy_iterator())

    iterate(99)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=rf"from 0 to 255.*\[{pixel}\]"
    ):
        iterate(pixel)


@pytest.mark.parametrize("scale", [512, (0, 512), (512,), (512.0, 512.0)])
def test_scales_of_evaluation_are_sizes(scale):
    with pytest.raises(ValueError, match="`scale` must be.*scale="):
        evaluation_examples(examples(), scale)


def test_sizes_must_agree():
    stream = tf.data.Dataset.from_tensor_slices(
        {
            "image": np.zeros((2, 4, 4, 3), "uint8"),
            "mask": np.zeros((2, 3, 4), "uint8"),
        }
    )
    batches = training_batches(stream, 2, SMALL).as_numpy_iterator()
    with pytest.raises(tf.errors.InvalidArgumentError, match="same height"):
        next(batches)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 0),
        ("start", -1),
        ("num_classes", 0),
        ("num_classes", 256),
        ("shard", (2, 2)),
    ],
)
def test_arguments_out_of_range_are_named(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be.*{name}="):
        training_batches(examples(), **{name: value})


def test_missing_tensorflow_names_the_extra(monkeypatch):
    stream = examples()
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    for prepare in (training_batches, evaluation_examples):
        with pytest.raises(ImportError, match=r"keras-twins\[tensorflow\]"):
            prepare(stream)
