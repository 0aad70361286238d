import io

import numpy as np
import pytest
from PIL import Image

from keras_twins.data.classification.augmentation import ImageAugmentation
from keras_twins.data.classification.random_crop import central_part
from keras_twins.data.classification.random_crop import decode_part
from keras_twins.data.classification.random_crop import draw_part
from keras_twins.data.classification.random_crop import random_resized_crop
from tests.data.classification.draws import draw_many

tf = pytest.importorskip("tensorflow")

HEIGHT, WIDTH = 61, 83
SMALL = ImageAugmentation(size=24)


def picture():
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = [120 + 90 * np.sin(x / 5 + y / 9 + phase) for phase in range(3)]
    return np.stack(waves, -1).astype("uint8")


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def cut(image, part, size=24):
    """What Pillow cuts out of a picture and resizes."""
    top, left, height, width = (int(side) for side in part)
    window = image.crop((left, top, left + width, top + height))
    return np.asarray(window.resize((size, size), Image.Resampling.BICUBIC))


def assert_pixels(found, wanted):
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert np.mean(found == wanted) > 0.99
    np.testing.assert_allclose(found, wanted, atol=1)


def test_areas_ratios_and_places():
    size = (375, 500)
    parts = draw_many(lambda seed: draw_part(size, seed, SMALL), 1500)
    top, left, height, width = parts.T
    assert parts.min(axis=0)[2:].min() > 0
    assert (top >= 0).all() and (top + height <= 375).all()
    assert (left >= 0).all() and (left + width <= 500).all()
    areas = height * width / (375 * 500)
    assert 0.078 < areas.min() < 0.09
    assert 0.95 < areas.max() <= 1
    ratios = width / height
    assert 0.74 < ratios.min() < 0.77
    assert 1.3 < ratios.max() < 1.35
    # Where any ratio fits, all are as probable: on a logarithmic scale.
    small = areas < 0.4
    assert abs(np.log(ratios[small]).mean()) < 0.03
    assert abs(areas[small].mean() - 0.24) < 0.02
    for start, length, side in ((top, height, 375), (left, width, 500)):
        place = start[small] / (side - length[small])
        assert place.min() < 0.01
        assert place.max() > 0.99
        assert abs(place.mean() - 0.5) < 0.06


def test_scale_and_ratio_are_taken():
    rules = ImageAugmentation(scale=(0.25, 0.25), ratio=(1.0, 1.0))
    part = draw_part((100, 100), [0, 1], rules)
    np.testing.assert_array_equal(part[2:], [50, 50])
    tall = ImageAugmentation(scale=(0.5, 0.5), ratio=(0.5, 0.5))
    part = draw_part((100, 100), [0, 1], tall)
    np.testing.assert_array_equal(part[2:], [100, 50])


@pytest.mark.parametrize(
    ("size", "wanted"),
    [
        # Too wide: 4:3 of the height. Too tall: 3:4 of the width.
        ((30, 1000), (0, 480, 30, 40)),
        ((1000, 30), (480, 0, 40, 30)),
        ((31, 101), (0, 30, 31, 41)),
        ((40, 50), (0, 0, 40, 50)),
        ((1, 1), (0, 0, 1, 1)),
        ((9, 1), (4, 0, 1, 1)),
    ],
)
def test_part_where_none_fits(size, wanted):
    found = central_part(size, (3 / 4, 4 / 3))
    np.testing.assert_array_equal(found, wanted)


def test_fallback_is_taken():
    whole = ImageAugmentation(scale=(0.9, 1.0))
    found = draw_part((30, 1000), [5, 6], whole)
    np.testing.assert_array_equal(found, (0, 480, 30, 40))


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_part_of_a_jpeg_file(subsampling):
    content = encoded(
        Image.fromarray(picture()), "JPEG", subsampling=subsampling
    )
    whole = np.asarray(Image.open(io.BytesIO(content)))
    rng = np.random.default_rng(0)
    parts = [(0, 0, HEIGHT, WIDTH), (17, 0, 9, 1), (0, WIDTH - 1, 5, 1)]
    for _ in range(20):
        height, width = rng.integers(1, (HEIGHT + 1, WIDTH + 1))
        top, left = rng.integers(0, (HEIGHT - height + 1, WIDTH - width + 1))
        parts.append((top, left, height, width))
    for top, left, height, width in parts:
        found = decode_part(content, tf.constant((top, left, height, width)))
        wanted = whole[top : top + height, left : left + width]
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_files_are_cut_and_resized(kind, mode):
    content = encoded(Image.fromarray(picture()).convert(mode), kind)
    image = Image.open(io.BytesIO(content)).convert("RGB")
    seed = [3, 9]
    part = draw_part((HEIGHT, WIDTH), seed, SMALL)
    found = random_resized_crop(content, seed, SMALL)
    assert found.dtype == tf.float32
    assert_pixels(found, cut(image, part))


def test_cmyk_and_palettes():
    image = Image.fromarray(picture())
    inks = encoded(image.convert("CMYK"), "JPEG", quality=95)
    found = random_resized_crop(inks, [3, 9], SMALL)
    part = draw_part((HEIGHT, WIDTH), [3, 9], SMALL)
    wanted = cut(Image.open(io.BytesIO(inks)).convert("RGB"), part)
    np.testing.assert_allclose(found, wanted, atol=3)
    flat = encoded(image.convert("P"), "PNG")
    wanted = cut(Image.open(io.BytesIO(flat)).convert("RGB"), part)
    assert_pixels(random_resized_crop(flat, [3, 9], SMALL), wanted)


def test_images_are_cut_and_resized():
    image = tf.constant(picture())
    found = random_resized_crop(image, [1, 2], SMALL)
    part = draw_part((HEIGHT, WIDTH), [1, 2], SMALL)
    assert_pixels(found, cut(Image.fromarray(picture()), part))
    floats = tf.cast(image, tf.float32)
    again = random_resized_crop(floats, [1, 2], SMALL)
    np.testing.assert_array_equal(found, again)


def test_broken_file():
    content = encoded(Image.fromarray(picture()), "JPEG")[:400]
    with pytest.raises(tf.errors.InvalidArgumentError):
        random_resized_crop(content, [1, 2], SMALL)
