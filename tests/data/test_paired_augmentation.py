import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_twins.data import SegmentationAugmentation
from keras_twins.data.paired_augmentation import is_mixed
from keras_twins.data.paired_augmentation import pad_pair
from keras_twins.data.paired_augmentation import random_crop
from keras_twins.data.paired_augmentation import random_flip
from keras_twins.data.paired_augmentation import random_resize
from keras_twins.data.paired_augmentation import rescaled_size
from keras_twins.data.paired_augmentation import resize_image
from keras_twins.data.paired_augmentation import resize_mask
from keras_twins.preprocessing import normalize

tf = pytest.importorskip("tensorflow")

SMALL = SegmentationAugmentation(scale=(128, 32), crop_size=(24, 40))


def marked(height=20, width=30):
    """An image whose red and green are row and column, blue the label."""
    rows, columns = np.mgrid[:height, :width]
    labels = (rows * 7 + columns * 3) % 11
    image = np.stack([rows, columns, labels], -1).astype("float32")
    return tf.constant(image), tf.constant(labels, tf.int32)


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
