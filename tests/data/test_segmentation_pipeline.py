import colorsys
import sys

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_twins.data import SegmentationAugmentation
from keras_twins.data import evaluation_examples
from keras_twins.data import load_digit_scenes
from keras_twins.data import training_batches
from keras_twins.data.paired_augmentation import is_mixed
from keras_twins.data.paired_augmentation import pad_pair
from keras_twins.data.paired_augmentation import random_crop
from keras_twins.data.paired_augmentation import random_flip
from keras_twins.data.paired_augmentation import random_resize
from keras_twins.data.paired_augmentation import rescaled_size
from keras_twins.data.paired_augmentation import resize_image
from keras_twins.data.paired_augmentation import resize_mask
from keras_twins.data.photometric import change_hue
from keras_twins.data.photometric import change_saturation
from keras_twins.data.photometric import distort
from keras_twins.data.photometric import hsv_to_rgb
from keras_twins.data.photometric import rgb_to_hsv
from keras_twins.data.photometric import scale_and_shift
from keras_twins.preprocessing import normalize

tf = pytest.importorskip("tensorflow")

SMALL = SegmentationAugmentation(scale=(128, 32), crop_size=(24, 40))
STILL = {"flip_rate": 0.0, "distortion_rate": 0.0}


def marked(height=20, width=30):
    """An image whose red and green are row and column, blue the label."""
    rows, columns = np.mgrid[:height, :width]
    labels = (rows * 7 + columns * 3) % 11
    image = np.stack([rows, columns, labels], -1).astype("float32")
    return tf.constant(image), tf.constant(labels, tf.int32)


def examples(count=3, height=20, width=30):
    rng = np.random.default_rng(0)
    return tf.data.Dataset.from_tensor_slices(
        {
            "image": rng.integers(0, 256, (count, height, width, 3), "uint8"),
            "mask": rng.integers(0, 5, (count, height, width), "uint8"),
        }
    )


def colors(count=40):
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (1, count, 3)).astype("float32")


@pytest.mark.parametrize(
    ("size", "scale", "wanted"),
    [
        ((512, 683), (2048, 512), (512, 683)),
        ((683, 512), (2048, 512), (683, 512)),
        ((256, 341), (2048, 512), (512, 682)),
        # The long side is the limit: 2048 / 1000 * 100 = 204.8.
        ((100, 1000), (2048, 512), (205, 2048)),
        ((1000, 100), (512, 2048), (2048, 205)),
        # 1.5 * 3 = 4.5: halves round up.
        ((2, 3), (1000, 3), (3, 5)),
        ((1, 4096), (1024, 256), (1, 1024)),
    ],
)
def test_rescaled_size(size, scale, wanted):
    assert tuple(rescaled_size(size, scale).numpy()) == wanted


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    st.tuples(st.integers(1, 4096), st.integers(1, 4096)),
)
def test_rescaled_size_fits_the_scale(size, scale):
    factor = min(max(scale) / max(size), min(scale) / min(size))
    wanted = [max(1, int(side * factor + 0.5)) for side in size]
    assert rescaled_size(size, scale).numpy().tolist() == wanted


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        (2, 4, [0, 0, 1, 1]),
        (4, 2, [0, 2]),
        (3, 2, [0, 1]),
        (5, 3, [0, 1, 3]),
        (3, 5, [0, 0, 1, 1, 2]),
        (4, 4, [0, 1, 2, 3]),
    ],
)
def test_masks_take_the_pixel_of_the_corner(old, new, wanted):
    mask = tf.range(old)[:, None] * 10 + tf.range(3)[None]
    resized = resize_mask(mask, (new, 3)).numpy()
    np.testing.assert_array_equal(
        resized, np.array(wanted)[:, None] * 10 + [0, 1, 2]
    )
    turned = resize_mask(tf.transpose(mask), (3, new)).numpy()
    np.testing.assert_array_equal(turned, resized.T)


def test_images_are_resized_about_the_centres_of_pixels():
    row = np.repeat(np.array([[[0.0], [101.0]]], "float32"), 3, -1)
    larger = resize_image(tf.constant(row), (1, 4)).numpy()
    # 25.25 and 75.75, rounded.
    np.testing.assert_array_equal(larger[0, :, 0], [0, 25, 76, 101])


def test_images_are_not_antialiased():
    row = np.array([0, 0, 100, 0, 0, 0, 0, 200], "float32")
    image = tf.constant(np.repeat(row[None, :, None], 3, -1))
    smaller = resize_image(image, (1, 2)).numpy()
    # Only the two pixels beside 1.5 and beside 5.5 count.
    np.testing.assert_array_equal(smaller[0, :, 0], [50, 0])


def test_random_resize_spans_the_ratios():
    image, mask = marked(20, 30)
    heights = set()
    for seed in range(40):
        resized, labels = random_resize(image, mask, [seed, 0], SMALL)
        assert resized.shape == (*labels.shape, 3)
        assert labels.shape[1] == pytest.approx(labels.shape[0] * 1.5, abs=1)
        heights.add(labels.shape[0])
    # 32 times 0.5 to 2, rounded down.
    assert 16 <= min(heights) < 20
    assert 58 < max(heights) <= 64


def test_ratio_of_one_keeps_what_fits():
    rules = SegmentationAugmentation(scale=(128, 20), ratio_range=(1, 1))
    image, mask = marked(20, 30)
    resized, labels = random_resize(image, mask, [0, 0], rules)
    np.testing.assert_array_equal(resized, image)
    np.testing.assert_array_equal(labels, mask)


@pytest.mark.parametrize(
    ("labels", "mixed"),
    [
        ([3, 3, 3, 3], False),
        ([3, 3, 3, 4], False),
        ([3, 3, 4, 4], True),
        ([3, 255, 255, 255], False),
        ([3, 4, 255, 255], True),
        ([3, 3, 3, 4, 255, 255], False),
        ([255, 255, 255, 255], False),
        ([0, 254, 5, 5], True),
    ],
)
def test_one_class_prevails_from_three_quarters(labels, mixed):
    assert bool(is_mixed(tf.constant([labels]), 0.75)) is mixed


def test_crops_stay_in_register_and_reach_every_place():
    image, mask = marked(26, 44)
    corners = set()
    for seed in range(30):
        crop, labels = random_crop(image, mask, [seed, 0], SMALL)
        assert labels.shape == SMALL.crop_size
        top, left = (int(value) for value in crop[0, 0, :2])
        np.testing.assert_array_equal(
            crop, image[top : top + 24, left : left + 40]
        )
        np.testing.assert_array_equal(
            labels, mask[top : top + 24, left : left + 40]
        )
        corners.add((top, left))
    tops, lefts = zip(*corners, strict=True)
    assert set(tops) == {0, 1, 2}
    assert set(lefts) == {0, 1, 2, 3, 4}


def test_small_pictures_are_not_cropped():
    image, mask = marked(20, 30)
    crop, labels = random_crop(image, mask, [0, 0], SMALL)
    np.testing.assert_array_equal(crop, image)
    np.testing.assert_array_equal(labels, mask)


@pytest.mark.parametrize(
    ("cat_max_ratio", "crop_tries", "low", "high"),
    [
        # One place in three is good, so ten looks miss it in 1.7 % of cases.
        (0.75, 10, 0.85, 1.0),
        (0.75, 0, 0.1, 0.6),
        (1.0, 10, 0.1, 0.6),
    ],
)
def test_crops_look_for_several_classes(cat_max_ratio, crop_tries, low, high):
    labels = np.repeat([[1, 1, 2, 2, 2, 2]], 4, axis=0)
    rules = SegmentationAugmentation(
        crop_size=(4, 4), cat_max_ratio=cat_max_ratio, crop_tries=crop_tries
    )
    pair = tf.zeros((4, 6, 3)), tf.constant(labels, tf.int32)
    crops = (random_crop(*pair, [seed, 0], rules)[1] for seed in range(24))
    # Columns 0-3 are mixed; 1-4 (three quarters) and 2-5 are not.
    found = [bool(is_mixed(crop, 0.75)) for crop in crops]
    assert low <= np.mean(found) <= high


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_flip_mirrors_both(rate):
    image, mask = marked()
    flipped, labels = random_flip(image, mask, [0, 0], rate)
    step = -1 if rate else 1
    np.testing.assert_array_equal(flipped, image[:, ::step])
    np.testing.assert_array_equal(labels, mask[:, ::step])


def test_flip_rate():
    image, mask = marked(1, 2)
    flipped = [
        float(random_flip(image, mask, [seed, 0], 0.5)[0][0, 0, 1])
        for seed in range(60)
    ]
    assert 0.3 < np.mean(flipped) < 0.7


def test_padding_is_ignored_and_normalises_to_zero():
    image, mask = marked(20, 30)
    padded, labels = pad_pair(image, mask, (24, 31))
    np.testing.assert_array_equal(padded[:20, :30], image)
    np.testing.assert_array_equal(labels[:20, :30], mask)
    outside = np.ones((24, 31), bool)
    outside[:20, :30] = False
    assert (labels.numpy()[outside] == 255).all()
    border = padded.numpy()[outside]
    np.testing.assert_allclose(
        border, [[123.675, 116.28, 103.53]] * len(border)
    )
    np.testing.assert_allclose(normalize(padded.numpy())[outside], 0, atol=1e-6)


def test_scaling_is_cut_to_eight_bits():
    image = tf.constant([0.0, 10, 101, 200, 255])
    found = scale_and_shift(image, 1.5, -20.0).numpy()
    np.testing.assert_array_equal(found, [0, 0, 131, 255, 255])


def test_hue_saturation_value_are_those_of_eight_bits():
    image = colors()
    found = np.stack([part.numpy()[0] for part in rgb_to_hsv(image)], -1)
    wanted = np.array([colorsys.rgb_to_hsv(*(c / 255)) for c in image[0]])
    wanted *= [180, 255, 255]
    # What is half-way may round either way.
    np.testing.assert_allclose(found, wanted, atol=0.501)
    np.testing.assert_array_equal(found, np.rint(found))
    back = hsv_to_rgb(*rgb_to_hsv(image)).numpy()
    # A hue is two degrees wide: 255 / 60 for a saturated colour, and rounding.
    assert np.abs(back - image).max() <= 255 / 60 + 1
    assert not (back - np.rint(back)).any()


def test_hue_turns():
    red, pink = [255.0, 0, 0], [255.0, 0, 4]
    image = tf.constant([[red, pink, [90.0, 90, 90]]])
    green = change_hue(image, 60).numpy()[0]
    np.testing.assert_array_equal(green, [[0, 255, 0]] * 2 + [[90] * 3])
    np.testing.assert_array_equal(change_hue(image, -120)[0, 0], [0, 255, 0])


def test_saturation_scales():
    image = tf.constant([[[200.0, 100, 100], [200, 0, 0]]])
    grey = change_saturation(image, 0.0).numpy()
    np.testing.assert_array_equal(grey, np.full((1, 2, 3), 200))
    full = change_saturation(image, 1.5).numpy()
    # Saturation 128 of 255 becomes 192; 255 stays.
    np.testing.assert_array_equal(full[0], [[200, 49, 49], [200, 0, 0]])


def test_distortion_is_random_and_in_range():
    image = tf.constant(colors())
    rules = SegmentationAugmentation()
    results = [distort(image, [seed, 0], rules).numpy() for seed in range(20)]
    again = distort(image, [3, 0], rules).numpy()
    np.testing.assert_array_equal(results[3], again)
    for result in results:
        assert result.min() >= 0
        assert result.max() <= 255
        assert not (result - np.rint(result)).any()
    same = [np.array_equal(result, image) for result in results]
    # All four changes are left out once in sixteen times.
    assert np.sum(same) < 6


def test_distortion_can_be_switched_off():
    image = tf.constant(colors())
    rules = SegmentationAugmentation(distortion_rate=0.0)
    np.testing.assert_array_equal(distort(image, [0, 0], rules), image)


def test_contrast_comes_first_or_last():
    image = tf.constant([[[200.0, 100, 100]]])
    rules = SegmentationAugmentation(
        distortion_rate=1.0,
        brightness_delta=0.0,
        contrast_range=(1.5, 1.5),
        saturation_range=(0.5, 0.5),
        hue_delta=0,
    )
    first = change_saturation(scale_and_shift(image, 1.5, 0.0), 0.5).numpy()
    last = scale_and_shift(change_saturation(image, 0.5), 1.5, 0.0).numpy()
    found = [
        distort(image, [seed, 0], rules).numpy().ravel().tolist()
        for seed in range(20)
    ]
    assert first.ravel().tolist() in found
    assert last.ravel().tolist() in found
    assert len({tuple(one) for one in found}) == 2


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


def test_default_is_the_recipe():
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


def test_batch_size_must_be_positive():
    with pytest.raises(ValueError, match="batch_size=0"):
        training_batches(examples(), 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scale", (2048, 0)),
        ("crop_size", (0, 512)),
        ("ratio_range", (2.0, 0.5)),
        ("contrast_range", (0.0, 0.5)),
        ("saturation_range", (1.5, 0.5)),
        ("flip_rate", 1.1),
        ("distortion_rate", -0.1),
        ("cat_max_ratio", 75),
        ("crop_tries", -1),
        ("brightness_delta", -1.0),
        ("hue_delta", 91),
    ],
)
def test_wrong_numbers_are_named(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be.*{name}="):
        SegmentationAugmentation(**{name: value})


def test_missing_tensorflow_names_the_extra(monkeypatch):
    stream = examples()
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    for prepare in (training_batches, evaluation_examples):
        with pytest.raises(ImportError, match=r"keras-twins\[tensorflow\]"):
            prepare(stream)
