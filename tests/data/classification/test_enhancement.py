"""Changes of colour against Pillow: no pixel differs."""

import numpy as np
import pytest
from PIL import Image
from PIL import ImageEnhance
from PIL import ImageOps

from keras_twins.data import load_photographs
from keras_twins.data.classification import enhancement
from keras_twins.data.tensorflow_data import map_in_order

tf = pytest.importorskip("tensorflow")


def noise(height, width, low=0, high=256):
    rng = np.random.default_rng(height * width)
    return rng.integers(low, high, (height, width, 3), dtype="uint8")


def gradient(height, width):
    rows, columns = np.mgrid[:height, :width]
    channels = [rows * 3, columns * 2, 40 + (rows + columns) // 2]
    return np.stack(channels, -1).astype("uint8")


@pytest.fixture(scope="module")
def images():
    """Photographs, noise, small and odd sizes, and images of one colour."""
    photographs = load_photographs()
    flat = np.full((9, 7, 3), (12, 130, 255), dtype="uint8")
    half_flat = noise(20, 31)
    half_flat[..., 1] = 77
    return {
        "photograph": photographs["china"][::2, ::2],
        "dark photograph": photographs["flower"][100:324, 60:284] // 3 + 5,
        "noise": noise(64, 48),
        # Fewer pixels than levels, about as many, and some more.
        "little noise": noise(13, 17),
        "noise of 256 pixels": noise(16, 16),
        "noise of 513 pixels": noise(27, 19, 100, 140),
        "gradient": gradient(85, 83),
        "flat": flat,
        "black": np.zeros((5, 5, 3), dtype="uint8"),
        "white": np.full((5, 5, 3), 255, dtype="uint8"),
        "flat channel": half_flat,
        "two pixels": np.array([[[0, 3, 9]], [[255, 4, 9]]], dtype="uint8"),
        "pixel": np.array([[[1, 2, 3]]], dtype="uint8"),
        "row": noise(1, 40),
        "column of two": noise(40, 2),
    }


def assert_same(images, change, wanted):
    """Compares all images; the graph takes any size, as a data set does."""
    any_size = tf.TensorSpec([None, None, 3], tf.float32)
    graph = tf.function(change, input_signature=[any_size], autograph=False)
    differing = {}
    for name, image in images.items():
        found = graph(image.astype("float32"))
        assert found.dtype == tf.float32
        pixels = np.asarray(wanted(Image.fromarray(image))).astype("float32")
        differing[name] = np.count_nonzero(found.numpy() != pixels)
    assert not any(differing.values()), differing


def bands_added(image, addend, threshold=128):
    """What timm calls SolarizeAdd: a table of levels."""
    table = [
        min(255, level + addend) if level < threshold else level
        for level in range(256)
    ]
    return image.point(table * 3)


@pytest.mark.parametrize("name", ["auto_contrast", "equalize", "invert"])
def test_changes_without_magnitude(images, name):
    change = getattr(enhancement, name)
    wanted = getattr(ImageOps, name.replace("_", ""))
    assert_same(images, change, wanted)


@pytest.mark.parametrize("bits", [1, 2, 4, 7, 8])
def test_posterize(images, bits):
    assert_same(
        images,
        lambda image: enhancement.posterize(image, bits),
        lambda image: ImageOps.posterize(image, bits),
    )


def test_posterize_without_bits_is_black():
    image = tf.constant(noise(5, 4).astype("float32"))
    assert not enhancement.posterize(image, tf.constant(0)).numpy().any()


@pytest.mark.parametrize("threshold", [0, 1, 26, 128, 255, 256])
def test_solarize(images, threshold):
    assert_same(
        images,
        lambda image: enhancement.solarize(image, threshold),
        lambda image: ImageOps.solarize(image, threshold),
    )


@pytest.mark.parametrize("addend", [0, 1, 99, 110, 128])
def test_solarize_add(images, addend):
    assert_same(
        images,
        lambda image: enhancement.solarize_add(image, addend),
        lambda image: bands_added(image, addend),
    )


@pytest.mark.parametrize("factor", [0.0, 0.1, 0.19, 0.5, 1.0, 1.37, 1.9, 3.0])
@pytest.mark.parametrize(
    "name", ["Color", "Contrast", "Brightness", "Sharpness"]
)
def test_factors(images, name, factor):
    change = getattr(enhancement, name.lower())
    wanted = getattr(ImageEnhance, name)
    assert_same(
        images,
        lambda image: change(image, factor),
        lambda image: wanted(image).enhance(factor),
    )


def test_grey_is_that_of_pillow(images):
    for image in images.values():
        found = enhancement.grey(tf.constant(image.astype("float32")))
        wanted = np.asarray(Image.fromarray(image).convert("L"))
        np.testing.assert_array_equal(found, wanted)


def test_magnitudes_are_drawn_in_a_data_set():
    image = noise(21, 18)

    def change(factor):
        pixels = tf.constant(image, tf.float32)
        whole = tf.cast(10 * factor, tf.int32)
        pixels = enhancement.color(pixels, factor)
        pixels = enhancement.sharpness(pixels, factor)
        pixels = enhancement.posterize(pixels, whole % 5 + 1)
        pixels = enhancement.solarize(pixels, whole * 12)
        pixels = enhancement.solarize_add(pixels, whole * 6)
        return pixels

    factors = [0.3, 1.2]
    stream = map_in_order(tf.data.Dataset.from_tensor_slices(factors), change)
    for factor, found in zip(factors, stream, strict=True):
        whole = int(10 * factor)
        wanted = Image.fromarray(image)
        wanted = ImageEnhance.Color(wanted).enhance(factor)
        wanted = ImageEnhance.Sharpness(wanted).enhance(factor)
        wanted = ImageOps.posterize(wanted, whole % 5 + 1)
        wanted = ImageOps.solarize(wanted, whole * 12)
        wanted = bands_added(wanted, whole * 6)
        np.testing.assert_array_equal(found, np.asarray(wanted))
