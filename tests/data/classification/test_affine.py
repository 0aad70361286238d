"""Rotations, shears and shifts against Pillow.

No level differs, but where rows mix, bicubic values are in float32: at most 4
of 10000 are off by one.
"""

import numpy as np
import pytest
from PIL import Image

from keras_twins.data import load_photographs
from keras_twins.data.classification import affine
from keras_twins.data.tensorflow_data import map_in_order

tf = pytest.importorskip("tensorflow")

FILL = (124, 116, 104)
SHARES = {"bicubic": 4e-4, "bilinear": 0.0}
METHODS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
}
MATRICES = {
    "identity": (1, 0, 0, 0, 1, 0),
    "half a pixel": (1, 0, 0.5, 0, 1, -0.5),
    "smaller": (1.7, 0, -5.5, 0, 2.1, 0.25),
    "larger": (0.3, 0, 2, 0, 0.4, 1.5),
    "mirrored": (-1, 0, 20, 0, 1, 0),
    "everything": (0.8, -0.4, 3.3, 0.35, 1.2, -7.1),
    "far outside": (1, 0, 1e6, 0, 1, 0),
    "one place": (0, 0, 3.2, 0, 0, 2.9),
}


def noise(height, width):
    rng = np.random.default_rng(height * width)
    return rng.integers(0, 256, (height, width, 3), dtype="uint8")


@pytest.fixture(scope="module")
def images():
    """Photographs, noise, a ramp, one colour, small and odd sizes."""
    photographs = load_photographs()
    rows, columns = np.mgrid[:50, :70]
    ramp = np.stack([3 * columns, 5 * rows, 255 - 2 * columns], -1)
    return {
        "photograph": photographs["china"][100:324, 200:424],
        "flower": photographs["flower"][::4, ::4],
        "noise": noise(41, 28),
        "ramp": ramp.astype("uint8"),
        "flat": np.full((30, 21, 3), (255, 31, 0), dtype="uint8"),
        "pixel": noise(1, 1),
        "row": noise(1, 9),
        "column": noise(8, 1),
        "four": noise(2, 2),
    }


def assert_same(images, change, wanted, share=0.0):
    """Compares all images; the graph takes any size, as a data set does.

    A `share` of all levels may be off by one.
    """
    any_size = tf.TensorSpec([None, None, 3], tf.float32)
    graph = tf.function(change, input_signature=[any_size], autograph=False)
    differing = {}
    for name, image in images.items():
        found = graph(image.astype("float32"))
        assert found.dtype == tf.float32
        pixels = np.asarray(wanted(Image.fromarray(image))).astype("float32")
        differing[name] = np.count_nonzero(found.numpy() != pixels)
        np.testing.assert_allclose(found, pixels, atol=1 if share else 0)
    levels = sum(image.size for image in images.values())
    assert sum(differing.values()) <= share * levels, differing


def moved(matrix, interpolation):
    """Returns what Pillow makes of an image with a matrix of its size."""

    def move(image):
        return image.transform(
            image.size,
            Image.Transform.AFFINE,
            matrix(image.size),
            resample=METHODS[interpolation],
            fillcolor=FILL,
        )

    return move


@pytest.mark.parametrize("interpolation", METHODS)
@pytest.mark.parametrize("name", MATRICES)
def test_transform(images, name, interpolation):
    matrix = MATRICES[name]
    assert_same(
        images,
        lambda image: affine.transform(image, matrix, FILL, interpolation),
        moved(lambda _: matrix, interpolation),
        SHARES[interpolation],
    )


@pytest.mark.parametrize("interpolation", METHODS)
@pytest.mark.parametrize("degrees", [0, 0.1, -27.0, 30, 90, 180, 1000.3])
def test_rotate(images, degrees, interpolation):
    assert_same(
        images,
        lambda image: affine.rotate(image, degrees, FILL, interpolation),
        lambda image: image.rotate(
            degrees, METHODS[interpolation], fillcolor=FILL
        ),
        SHARES[interpolation],
    )


@pytest.mark.parametrize("interpolation", METHODS)
@pytest.mark.parametrize("factor", [0.0, 0.27, -0.3, 0.081])
def test_shears(images, factor, interpolation):
    for change, matrix in (
        (affine.shear_x, (1, factor, 0, 0, 1, 0)),
        (affine.shear_y, (1, 0, 0, factor, 1, 0)),
    ):
        assert_same(
            images,
            lambda image, own=change: own(image, factor, FILL, interpolation),
            moved(lambda _, own=matrix: own, interpolation),
        )


@pytest.mark.parametrize("interpolation", METHODS)
@pytest.mark.parametrize("fraction", [0.0, 0.405, -0.45, 0.5, 2.0])
def test_translations(images, fraction, interpolation):
    def to_the_left(image):
        pixels = fraction * tf.cast(tf.shape(image)[1], tf.float64)
        return affine.translate_x(image, pixels, FILL, interpolation)

    def up(image):
        pixels = fraction * tf.cast(tf.shape(image)[0], tf.float64)
        return affine.translate_y(image, pixels, FILL, interpolation)

    assert_same(
        images,
        to_the_left,
        moved(lambda size: (1, 0, fraction * size[0], 0, 1, 0), interpolation),
    )
    assert_same(
        images,
        up,
        moved(lambda size: (1, 0, 0, 0, 1, fraction * size[1]), interpolation),
    )


def test_magnitudes_are_drawn_in_a_data_set():
    image = noise(21, 18)
    angles = np.random.default_rng(0).normal(0, 30, 5)

    def change(angle):
        return affine.rotate(tf.constant(image, tf.float32), angle, FILL)

    stream = map_in_order(tf.data.Dataset.from_tensor_slices(angles), change)
    assert stream.element_spec.shape == image.shape
    for angle, found in zip(angles, stream, strict=True):
        wanted = Image.fromarray(image).rotate(
            angle, METHODS["bicubic"], fillcolor=FILL
        )
        np.testing.assert_allclose(found, np.asarray(wanted), atol=1)


def test_unknown_interpolation():
    with pytest.raises(ValueError, match="'bicubic', 'bilinear'.*'nearest'"):
        affine.shear_y(tf.zeros((2, 2, 3)), 0.1, FILL, "nearest")
