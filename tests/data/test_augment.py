"""What becomes of one example in the stream of training."""

import colorsys

import numpy as np
import pytest

from keras_twins.data import SegmentationAugmentation
from keras_twins.data import training_batches
from keras_twins.preprocessing import normalize

tf = pytest.importorskip("tensorflow")

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


def augmented(image, mask, count, **rules):
    """What becomes of it, again and again."""
    example = {"image": np.uint8(image), "mask": np.uint8(mask)}
    stream = tf.data.Dataset.from_tensors(example)
    batches = training_batches(stream, count, SegmentationAugmentation(**rules))
    return next(batches.as_numpy_iterator())


def hue(color):
    """Hue of 180, from -90 on."""
    return (round(colorsys.rgb_to_hsv(*color)[0] * 180) + 90) % 180 - 90


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
