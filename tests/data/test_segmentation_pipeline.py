import colorsys
import sys

import keras
import numpy as np
import pytest

from keras_twins.data import SegmentationAugmentation
from keras_twins.data import evaluation_examples
from keras_twins.data import load_digit_scenes
from keras_twins.data import training_batches
from keras_twins.data.paired_augmentation import resize_image
from keras_twins.preprocessing import normalize

tf = pytest.importorskip("tensorflow")

SMALL = SegmentationAugmentation(scale=(128, 32), crop_size=(24, 40))
STILL = {"flip_rate": 0.0, "distortion_rate": 0.0}
ONE_COLOR = {
    "scale": (2, 2),
    "ratio_range": (1, 1),
    "crop_size": (2, 2),
    "distortion_rate": 1.0,
    "brightness_delta": 0.0,
    "contrast_range": (1, 1),
    "saturation_range": (1, 1),
    "hue_delta": 0,
}


def examples(count=3, height=20, width=30):
    rng = np.random.default_rng(0)
    return tf.data.Dataset.from_tensor_slices(
        {
            "image": rng.integers(0, 256, (count, height, width, 3), "uint8"),
            "mask": rng.integers(0, 5, (count, height, width), "uint8"),
        }
    )


def augmented(image, mask, count, **rules):
    """What becomes of one example, again and again."""
    example = {"image": np.uint8(image), "mask": np.uint8(mask)}
    stream = tf.data.Dataset.from_tensors(example)
    batches = training_batches(stream, count, SegmentationAugmentation(**rules))
    return next(batches.as_numpy_iterator())


def streamed(stream, count, **arguments):
    """The images of a stream, one by one."""
    batches = training_batches(stream, 1, SMALL, **arguments).take(count)
    return np.concatenate([images for images, _ in batches.as_numpy_iterator()])


def hue(color):
    """Hue of 180, from -90 on."""
    return (round(colorsys.rgb_to_hsv(*color)[0] * 180) + 90) % 180 - 90


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


@pytest.mark.parametrize(
    ("rule", "value", "color", "measure", "low", "high"),
    [
        ("brightness_delta", 32.0, (100,) * 3, max, 68, 131),
        ("contrast_range", (0.5, 1.5), (100,) * 3, max, 50, 149),
        # A saturation of 128 of 255 becomes 192, or 64.
        ("saturation_range", (0.5, 1.5), (200, 100, 100), min, 49, 150),
        ("hue_delta", 18, (255, 0, 0), hue, -18, 17),
    ],
)
def test_colors_fill_the_ranges(rule, value, color, measure, low, high):
    image = np.full((2, 2, 3), color)
    rules = ONE_COLOR | {rule: value}
    images, _ = augmented(image, np.zeros((2, 2)), 80, **rules)
    alike = np.broadcast_to(images[:, :1, :1], images.shape)
    np.testing.assert_array_equal(images, alike)
    found = [measure(one[0, 0]) for one in images]
    margin = 0.08 * (high - low)
    assert low <= min(found) < low + margin
    assert high - margin < max(found) <= high


def test_padding_is_not_distorted():
    image = np.full((20, 30, 3), 90)
    rules = {"distortion_rate": 1.0, "contrast_range": (2, 2)}
    images, masks = augmented(
        image,
        np.zeros((20, 30)),
        8,
        scale=(30, 20),
        crop_size=(64, 80),
        **rules,
    )
    outside = masks == 255
    assert outside.any(axis=(1, 2)).all()
    np.testing.assert_allclose(normalize(images)[outside], 0, atol=1e-6)
    inside = images[~outside]
    assert (inside >= 2 * (90 - 32)).all()


def test_pictures_and_masks_stay_in_register():
    """Red tells the class, in what is augmented, too."""
    classes = np.random.default_rng(3).integers(0, 5, (5, 7))
    mask = np.kron(classes, np.ones((20, 20)))
    image = np.repeat(mask[..., None] * 50, 3, -1)
    images, masks = augmented(
        image, mask, 24, scale=(140, 100), crop_size=(80, 72), distortion_rate=0
    )
    # Colours are mixed where classes meet; 3 pixels at most, at the ratio 2.
    windows = np.lib.stride_tricks.sliding_window_view(masks, (7, 7), (1, 2))
    alike = (windows == windows[..., :1, :1]).all((-1, -2))
    inner, labels = images[:, 3:-3, 3:-3, 0], masks[:, 3:-3, 3:-3]
    alike &= labels != 255
    assert alike.mean() > 0.2
    assert set(labels[alike]) == set(range(5))
    np.testing.assert_array_equal(inner[alike], labels[alike] * 50)


def test_sizes_and_sides_vary():
    """The left third is of class 1; everything fits into the crop."""
    mask = np.repeat([[1, 2, 2]], 10, axis=0).repeat(2, 0).repeat(10, 1)
    image = np.zeros((*mask.shape, 3))
    _, masks = augmented(image, mask, 80, scale=(60, 40), crop_size=(80, 120))
    heights = (masks[:, :, 0] != 255).sum(1)
    # 40 times 0.5 to 2.
    assert 20 <= heights.min() < 25
    assert 75 < heights.max() <= 80
    assert 0.3 < np.mean(masks[:, 0, 0] == 2) < 0.7


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
