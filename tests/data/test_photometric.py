import colorsys

import numpy as np
import pytest

from keras_twins.data import SegmentationAugmentation
from keras_twins.data.photometric import Distortion
from keras_twins.data.photometric import apply_distortion
from keras_twins.data.photometric import change_hue
from keras_twins.data.photometric import change_saturation
from keras_twins.data.photometric import distort
from keras_twins.data.photometric import draw_distortion
from keras_twins.data.photometric import hsv_to_rgb
from keras_twins.data.photometric import rgb_to_hsv
from keras_twins.data.photometric import scale_and_shift
from keras_twins.data.tensorflow_data import map_in_order

tf = pytest.importorskip("tensorflow")

NOTHING = {
    "brightens": False,
    "shift": 0.0,
    "contrasts": False,
    "contrast": 1.0,
    "contrast_first": False,
    "saturates": False,
    "saturation": 1.0,
    "colours": False,
    "turn": 0.0,
}
BRIGHTER = {"brightens": True, "shift": 40.0}
DARKER = {"brightens": True, "shift": -40.5}
CONTRAST = {"contrasts": True, "contrast": 1.5}
FLAT = {"contrasts": True, "contrast": 0.75}
VIVID = {"saturates": True, "saturation": 1.5}
PALE = {"saturates": True, "saturation": 0.25}
TURNED = {"colours": True, "turn": 17.0}
BACK = {"colours": True, "turn": -18.0}
FIRST = {"contrast_first": True}
CHANGES = {
    "nothing": {},
    "factors of what is left out": {
        "shift": 9.0,
        "contrast": 2.0,
        "saturation": 0.0,
        "turn": 60.0,
    },
    "brighter": BRIGHTER,
    "darker": DARKER,
    "contrast": CONTRAST,
    "contrast first": CONTRAST | FIRST,
    "saturation": VIVID,
    "hue": TURNED,
    "hue back": BACK,
    "all, contrast first": BRIGHTER | CONTRAST | PALE | TURNED | FIRST,
    "all, contrast last": BRIGHTER | CONTRAST | PALE | TURNED,
    "darker all, contrast first": DARKER | FLAT | VIVID | BACK | FIRST,
    "darker all, contrast last": DARKER | FLAT | VIVID | BACK,
}


def colors(count=40):
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (1, count, 3)).astype("float32")


def eight_bits(values):
    return np.floor(np.clip(values, 0, 255))


def in_hsv(image, factor, turn):
    """Scales the saturation and turns the hue of each pixel, in eight bits."""
    pixels = []
    for color in image.reshape(-1, 3):
        hue, saturation, value = colorsys.rgb_to_hsv(*color / 255)
        hue = (round(hue * 180) + turn) % 180
        saturation = eight_bits(round(saturation * 255) * factor)
        changed = colorsys.hsv_to_rgb(hue / 180, saturation / 255, value)
        pixels.append(np.rint(np.multiply(changed, 255)))
    return np.reshape(pixels, image.shape)


def reference(image, drawn):
    """What mmsegmentation's `PhotoMetricDistortion` makes of an image."""
    image = image.astype("float64")
    if drawn["brightens"]:
        image = eight_bits(image + drawn["shift"])
    if drawn["contrasts"] and drawn["contrast_first"]:
        image = eight_bits(image * drawn["contrast"])
    if drawn["saturates"]:
        image = in_hsv(image, drawn["saturation"], 0)
    if drawn["colours"]:
        image = in_hsv(image, 1, drawn["turn"])
    if drawn["contrasts"] and not drawn["contrast_first"]:
        image = eight_bits(image * drawn["contrast"])
    return image


def assert_same(found, wanted):
    """Equal, but for halves: float32 may round them the other way."""
    assert np.mean(np.asarray(found) == wanted) > 0.97
    np.testing.assert_allclose(found, wanted, atol=9)


@pytest.fixture(scope="module")
def draws():
    """Many draws with the rates and ranges of the recipe."""

    def draw(number):
        seed = tf.stack([number, 0])
        return vars(draw_distortion(seed, SegmentationAugmentation()))

    numbers = tf.data.Dataset.range(600)
    stream = map_in_order(numbers, draw).batch(600)
    return next(stream.as_numpy_iterator())


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


@pytest.mark.parametrize("name", CHANGES)
def test_changes_and_their_order(name):
    drawn = NOTHING | CHANGES[name]
    image = colors(400)
    scalars = {key: tf.constant(value) for key, value in drawn.items()}
    found = apply_distortion(tf.constant(image), Distortion(**scalars))
    assert_same(found, reference(image, drawn))


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("shift", -32, 32), ("contrast", 0.5, 1.5), ("saturation", 0.5, 1.5)],
)
def test_factors_fill_their_ranges(draws, name, low, high):
    found, margin = draws[name], 0.02 * (high - low)
    assert low <= found.min() < low + margin
    assert high - margin < found.max() <= high
    assert 0.4 < np.mean(found < (low + high) / 2) < 0.6


def test_hues_turn_by_whole_numbers(draws):
    turns, counts = np.unique(draws["turn"], return_counts=True)
    np.testing.assert_array_equal(turns, np.arange(-18, 18))
    # 600 draws of 36 numbers: 17 of each.
    assert counts.max() < 40


@pytest.mark.parametrize(
    "name",
    ["brightens", "contrasts", "contrast_first", "saturates", "colours"],
)
def test_even_chances(draws, name):
    assert 0.4 < np.mean(draws[name]) < 0.6


def test_draws_are_independent(draws):
    related = np.corrcoef([draws[name].astype(float) for name in NOTHING])
    np.testing.assert_allclose(related, np.eye(len(NOTHING)), atol=0.2)


def test_distortion_follows_from_the_seed():
    image, rules = colors(), SegmentationAugmentation(hue_delta=90)
    for number in range(12):
        drawn = vars(draw_distortion([number, 0], rules))
        drawn = {name: value.numpy() for name, value in drawn.items()}
        found = distort(tf.constant(image), [number, 0], rules)
        assert_same(found, reference(image, drawn))


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_rate_of_distortion(rate):
    rules = SegmentationAugmentation(distortion_rate=rate)
    for number in range(4):
        drawn = vars(draw_distortion([number, 0], rules))
        for name in ("brightens", "contrasts", "saturates", "colours"):
            assert bool(drawn[name]) == bool(rate)
