import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from keras_twins.data.classification.augment import augment_image
from keras_twins.data.classification.augment import random_flip
from keras_twins.data.classification.augmentation import LIGHT
from keras_twins.data.classification.augmentation import ImageAugmentation
from keras_twins.data.classification.augmentation import RandAugment
from keras_twins.data.classification.color_jitter import jitter
from keras_twins.data.classification.rand_augment import rand_augment
from keras_twins.data.classification.random_crop import random_resized_crop
from keras_twins.data.classification.random_erasing import erase
from keras_twins.data.tensorflow_data import map_in_order
from tests.data.classification.draws import assert_rate
from tests.data.classification.draws import draw_many

tf = pytest.importorskip("tensorflow")

PLAIN = dataclasses.replace(LIGHT, size=24, flip_rate=0.0)


def picture():
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (5, 6, 3)).astype("uint8")
    return np.asarray(Image.fromarray(small).resize((48, 40)))


def content():
    file = io.BytesIO()
    Image.fromarray(picture()).save(file, "JPEG")
    return file.getvalue()


def augmented(rules, number=1, image=None):
    image = content() if image is None else image
    return augment_image(image, seed(number), rules).numpy()


def seed(number):
    return tf.stack([tf.cast(number, tf.int64), 0])


def seeds(number=1):
    return tf.unstack(tf.random.split(seed(number), 4))


def test_part_alone():
    wanted = random_resized_crop(content(), seeds()[0], PLAIN)
    np.testing.assert_array_equal(augmented(PLAIN), wanted)


def test_mirroring():
    mirrored = augmented(dataclasses.replace(PLAIN, flip_rate=1.0))
    np.testing.assert_array_equal(mirrored, augmented(PLAIN)[:, ::-1])


def test_mirroring_rate():
    image = tf.constant([[[0.0], [1.0]]])
    found = draw_many(lambda seed: random_flip(image, seed, 0.3), 500)
    assert_rate(found[:, 0, 0, 0], 0.3)


def test_rand_augment_in_the_place_of_color_jitter():
    operations = RandAugment(rate=1.0)
    change = {"rand_augment": operations, "color_jitter": 0.4}
    wanted = rand_augment(augmented(PLAIN), seeds()[2], operations)
    found = augmented(dataclasses.replace(PLAIN, **change))
    np.testing.assert_array_equal(found, wanted)
    assert np.any(found != augmented(PLAIN))


def test_color_jitter_without_rand_augment():
    wanted = jitter(augmented(PLAIN), seeds()[2], 0.4)
    found = augmented(dataclasses.replace(PLAIN, color_jitter=0.4))
    np.testing.assert_array_equal(found, wanted)
    assert np.any(found != augmented(PLAIN))


def test_erasing_comes_last():
    rules = dataclasses.replace(PLAIN, color_jitter=0.4)
    wanted = erase(augmented(rules), seeds()[3], 1.0)
    found = augmented(dataclasses.replace(rules, erasing_rate=1.0))
    np.testing.assert_array_equal(found, wanted)
    assert np.any(found != augmented(rules))


def test_interpolation_of_the_settings():
    bilinear = dataclasses.replace(PLAIN, interpolation="bilinear")
    assert np.any(augmented(bilinear) != augmented(PLAIN))
    turning = {"rand_augment": RandAugment(rate=1.0), "size": 24}
    wanted = rand_augment(
        augmented(bilinear), seeds()[2], turning["rand_augment"], "bilinear"
    )
    found = augmented(dataclasses.replace(bilinear, **turning))
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_images_that_are_decoded(dtype):
    image = tf.constant(picture().astype(dtype))
    found = augmented(PLAIN, image=image)
    wanted = random_resized_crop(image, seeds()[0], PLAIN)
    np.testing.assert_array_equal(found, wanted)


def test_streams_are_what_single_pictures_are():
    rules = ImageAugmentation(
        size=24, rand_augment=RandAugment(rate=1.0), erasing_rate=0.5
    )
    numbers = tf.data.Dataset.range(24)
    file = tf.constant(content())
    stream = map_in_order(
        numbers, lambda number: augment_image(file, seed(number), rules)
    )
    assert stream.element_spec.shape == (24, 24, 3)
    assert stream.element_spec.dtype == tf.float32
    images = list(stream.as_numpy_iterator())
    for number in range(0, 24, 8):
        found = augmented(rules, number)
        # Compiled as a whole, a product may round otherwise.
        np.testing.assert_allclose(images[number], found, atol=1)
    assert len({image.tobytes() for image in images}) == 24
    for image, again in zip(images, stream.as_numpy_iterator(), strict=True):
        np.testing.assert_array_equal(image, again)
    whole = [image for image in images if not (image % 1).any()]
    assert 4 <= len(whole) <= 20
    assert all(image.min() >= 0 and image.max() <= 255 for image in whole)
