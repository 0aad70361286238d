import numpy as np
import pytest

from keras_twins.data.classification.random_erasing import Erasing
from keras_twins.data.classification.random_erasing import apply_erasing
from keras_twins.data.classification.random_erasing import draw_erasing
from keras_twins.data.classification.random_erasing import erase
from keras_twins.preprocessing import normalize
from tests.data.classification.draws import assert_rate
from tests.data.classification.draws import draw_many

tf = pytest.importorskip("tensorflow")

SIZE = (224, 200)


@pytest.fixture(scope="module")
def draws():
    return draw_many(lambda seed: draw_erasing(SIZE, seed, 0.25), 1500)


def test_areas_ratios_and_places(draws):
    top, left, height, width = draws["part"].T
    assert (top >= 0).all() and (top + height <= 224).all()
    assert (left >= 0).all() and (left + width <= 200).all()
    areas = height * width / (224 * 200)
    assert 0.019 < areas.min() < 0.03
    assert 0.32 < areas.max() < 0.336
    assert abs(areas.mean() - (0.02 + 1 / 3) / 2) < 0.02
    ratios = height / width
    assert 0.29 < ratios.min() < 0.32
    assert 3.1 < ratios.max() < 3.4
    # On a logarithmic scale, as many are above 1 as below.
    assert_rate(ratios > 1, 0.5)
    for start, length, side in ((top, height, 224), (left, width, 200)):
        place = start / (side - length)
        assert place.min() < 0.01
        assert place.max() > 0.99
        assert abs(place.mean() - 0.5) < 0.05


def test_rate(draws):
    assert_rate(draws["erases"], 0.25)
    never = draw_many(lambda seed: draw_erasing(SIZE, seed, 0.0), 20)
    assert not never["erases"].any()
    always = draw_many(lambda seed: draw_erasing(SIZE, seed, 1.0), 20)
    assert always["erases"].all()


def test_nothing_is_erased_where_nothing_fits():
    # A rectangle is smaller than the picture in both directions; of a single
    # row, all would be erased or none.
    found = draw_many(lambda seed: draw_erasing((1, 40), seed, 1.0), 40)
    assert not found["part"][found["erases"], 2].any()
    pixel = tf.fill((1, 1, 3), 7.0)
    np.testing.assert_array_equal(erase(pixel, [0, 1], 1.0), pixel)


def drawn(erases, part):
    return Erasing(erases=tf.constant(erases), part=tf.constant(part))


def test_noise_is_normal_where_it_is_drawn():
    image = tf.fill((60, 80, 3), 7.0)
    found = apply_erasing(image, drawn(True, (10, 20, 45, 50)), [4, 2]).numpy()
    window = found[10:55, 20:70].copy()
    found[10:55, 20:70] = 7
    np.testing.assert_array_equal(found, image)
    noise = normalize(window).reshape(-1, 3)
    # 2250 numbers in a channel.
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.11)
    np.testing.assert_allclose(noise.std(axis=0), 1, atol=0.08)
    np.testing.assert_allclose(np.corrcoef(noise.T), np.eye(3), atol=0.11)
    assert len(np.unique(window)) > 6000


def test_picture_stays_where_nothing_is_erased():
    image = tf.fill((6, 8, 3), 7.0)
    found = apply_erasing(image, drawn(False, (1, 1, 3, 3)), [4, 2])
    np.testing.assert_array_equal(found, image)


def test_erasing_follows_from_the_seed():
    image = tf.zeros((30, 30, 3))
    one, same, other = (
        erase(image, [number, 0], 1.0).numpy() for number in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert np.any(one != other)
    assert 0.01 < (one != 0).any(axis=-1).mean() < 0.4
