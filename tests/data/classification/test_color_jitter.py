import itertools

import numpy as np
import pytest
from PIL import Image
from PIL import ImageEnhance

from keras_twins.data.classification.color_jitter import Jitter
from keras_twins.data.classification.color_jitter import apply_jitter
from keras_twins.data.classification.color_jitter import draw_jitter
from keras_twins.data.classification.color_jitter import jitter
from tests.data.classification.draws import assert_rate
from tests.data.classification.draws import draw_many

tf = pytest.importorskip("tensorflow")

ENHANCERS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
ORDERS = list(itertools.permutations(range(3)))


def picture():
    rng = np.random.default_rng(2)
    return rng.integers(0, 256, (9, 12, 3)).astype("uint8")


def reference(factors, order):
    image = Image.fromarray(picture())
    for change in order:
        image = ENHANCERS[change](image).enhance(float(factors[change]))
    return np.asarray(image)


@pytest.mark.parametrize("order", ORDERS)
def test_changes_follow_the_order(order):
    factors = np.array([1.3, 0.7, 1.375], "float32")
    drawn = Jitter(factors=tf.constant(factors), order=tf.constant(order))
    found = apply_jitter(tf.constant(picture(), tf.float32), drawn)
    np.testing.assert_array_equal(found, reference(factors, order))


def test_factors_and_orders():
    draws = draw_many(lambda seed: draw_jitter(seed, 0.4), 900)
    assert draws["factors"].shape == (900, 3)
    for factors in draws["factors"].T:
        assert 0.6 <= factors.min() < 0.62
        assert 1.38 < factors.max() <= 1.4
        assert_rate(factors < 1, 0.5)
    related = np.corrcoef(draws["factors"].T)
    np.testing.assert_allclose(related, np.eye(3), atol=0.15)
    for order in ORDERS:
        assert_rate((draws["order"] == order).all(axis=1), 1 / 6)


def test_factors_are_not_negative():
    draws = draw_many(lambda seed: draw_jitter(seed, 3.0), 300)
    assert 0 <= draws["factors"].min() < 0.1
    assert draws["factors"].max() > 3.8


def test_jitter_follows_from_the_seed():
    image = tf.constant(picture(), tf.float32)
    for number in range(3):
        drawn = draw_jitter([number, 1], 0.4)
        wanted = reference(drawn.factors.numpy(), drawn.order.numpy())
        found = jitter(image, [number, 1], 0.4)
        np.testing.assert_array_equal(found, wanted)
