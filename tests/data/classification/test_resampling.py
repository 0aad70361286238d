"""Resizing against Pillow: no pixel differs."""

import numpy as np
import pytest
from PIL import Image

from keras_twins.data import load_photographs
from keras_twins.data.classification.resampling import evaluation_crop
from keras_twins.data.classification.resampling import resize
from keras_twins.data.tensorflow_data import map_in_order
from keras_twins.preprocessing import EvaluationCrop
from keras_twins.preprocessing import evaluation_crop as published_crop
from keras_twins.preprocessing import load_image

tf = pytest.importorskip("tensorflow")

METHODS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
}


def noise(height, width):
    rng = np.random.default_rng(height * width)
    return rng.integers(0, 256, (height, width, 3), dtype="uint8")


@pytest.fixture(scope="module")
def photographs():
    return load_photographs()


def resized(image, size, interpolation):
    """Returns what Pillow makes of an image.

    First the width, then the height: Pillow chooses by itself from version 13
    on.
    """
    height, width = size
    image = Image.fromarray(image)
    for new in ((width, image.height), (width, height)):
        image = image.resize(new, METHODS[interpolation])
    return np.asarray(image)


def count_differing(image, size, interpolation):
    found = resize(image.astype("float32"), *size, interpolation)
    assert found.shape == (*size, 3)
    return np.count_nonzero(found != resized(image, size, interpolation))


@pytest.mark.parametrize("interpolation", METHODS)
@pytest.mark.parametrize(
    "size", [(224, 224), (248, 371), (500, 33), (427, 224), (30, 640)]
)
def test_photographs(photographs, size, interpolation):
    for image in photographs.values():
        assert count_differing(image, size, interpolation) == 0


@pytest.mark.parametrize("interpolation", METHODS)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ((40, 60), (20, 30)),
        ((20, 30), (40, 60)),
        ((37, 23), (51, 22)),
        ((16, 17), (16, 17)),
        ((16, 17), (16, 9)),
        ((16, 17), (33, 17)),
        ((1, 1), (7, 5)),
        ((7, 5), (1, 1)),
        ((1, 40), (3, 17)),
        ((300, 2), (5, 64)),
    ],
)
def test_noise_of_many_sizes(old, new, interpolation):
    assert count_differing(noise(*old), new, interpolation) == 0


@pytest.mark.parametrize("interpolation", METHODS)
@pytest.mark.parametrize("value", [0, 1, 254, 255])
def test_one_colour_stays(value, interpolation):
    image = np.full((29, 43, 3), value, dtype="float32")
    for size in ((17, 31), (64, 48)):
        found = resize(image, *size, interpolation)
        np.testing.assert_array_equal(found, np.full((*size, 3), value))


def test_sizes_are_drawn_in_a_data_set():
    image = noise(50, 40)

    def crop(size):
        part = tf.constant(image, tf.float32)[: size[0], : size[1]]
        return resize(part, 32, 32)

    sizes = np.array([[50, 40], [11, 38], [3, 5]], dtype="int32")
    stream = map_in_order(tf.data.Dataset.from_tensor_slices(sizes), crop)
    assert stream.element_spec.shape == (32, 32, 3)
    for (height, width), found in zip(sizes, stream, strict=True):
        wanted = resized(image[:height, :width], (32, 32), "bicubic")
        np.testing.assert_array_equal(found, wanted)


def test_unknown_interpolation():
    with pytest.raises(ValueError, match="'bicubic', 'bilinear'.*'area'"):
        resize(tf.zeros((2, 2, 3)), 4, 4, "area")


@pytest.mark.parametrize("crop", ["official", "timm"])
def test_evaluation_crop_of_photographs(photographs, crop):
    for image in photographs.values():
        for turned in (image, image.transpose(1, 0, 2)):
            found = evaluation_crop(
                turned.astype("float32"), published_crop(crop)
            )
            wanted = load_image(Image.fromarray(turned), 224, crop)
            assert_nearly_same(found, wanted)


def assert_nearly_same(found, wanted):
    """Equal, but for what Pillow resizes in another order."""
    np.testing.assert_allclose(found, wanted, atol=1)
    assert np.mean(np.asarray(found) != wanted) < 0.2


@pytest.mark.parametrize("crop", ["official", "timm"])
@pytest.mark.parametrize(
    "size", [(50, 40), (41, 57), (99, 33), (20, 21), (32, 32), (1, 3)]
)
def test_evaluation_crop_of_odd_sizes(size, crop):
    image = noise(*size)
    found = evaluation_crop(image.astype("float32"), published_crop(crop, 32))
    assert found.shape == (32, 32, 3)
    wanted = load_image(Image.fromarray(image), 32, crop)
    assert_nearly_same(found, wanted)


def test_evaluation_crop_fits_into_what_was_resized():
    with pytest.raises(ValueError, match="resize=20, crop=24"):
        evaluation_crop(tf.zeros((9, 9, 3)), EvaluationCrop(20, 24))
