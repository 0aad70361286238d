import numpy as np
import pytest

from keras_twins.data.classification.interpolation import CURVES
from keras_twins.data.classification.interpolation import sample

tf = pytest.importorskip("tensorflow")


@pytest.mark.parametrize("name", CURVES)
def test_places_in_the_middle_of_rows_need_no_rows(name):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (6, 9, 3)).astype("float32")
    x = rng.uniform(-1, 10, 54)
    y = np.repeat(np.arange(6), 9) + 0.5
    short, long = (
        sample(image, tf.constant(x), rows, CURVES[name])
        for rows in (None, tf.constant(y))
    )
    np.testing.assert_allclose(short[0], long[0], atol=1e-4)
    np.testing.assert_array_equal(short[1], long[1])
    np.testing.assert_array_equal(short[1], (x >= 0) & (x < 9))


@pytest.mark.parametrize("name", CURVES)
def test_curves_go_through_pixels_and_beyond_the_border(name):
    image = np.array([[[10, 20, 30], [50, 0, 255]]], dtype="float32")
    x = tf.constant([0.0, 0.5, 1.0, 1.5, 1.999], tf.float64)
    y = tf.fill([5], tf.constant(0.5, tf.float64))
    values, inside = sample(image, x, y, CURVES[name])
    assert inside.numpy().all()
    np.testing.assert_array_equal(values[1, :3], image[0, 0])
    np.testing.assert_array_equal(values[3, :3], image[0, 1])
    np.testing.assert_allclose(values[2, :3], image[0].mean(0), atol=1e-5)


def test_the_bicubic_curve_is_the_one_with_a_slope_of_minus_one():
    image = np.zeros((1, 6, 3), dtype="float32")
    image[0, 2] = 100
    x = tf.constant(np.arange(6) + 0.75, tf.float64)
    values, _ = sample(image, x, None, CURVES["bicubic"])
    distance = np.abs(np.arange(6) + 0.25 - 2)
    near = distance**3 - 2 * distance**2 + 1
    far = -(distance**3) + 5 * distance**2 - 8 * distance + 4
    wanted = np.where(distance < 1, near, np.where(distance < 2, far, 0))
    np.testing.assert_allclose(values[:, 0], 100 * wanted, atol=1e-4)
