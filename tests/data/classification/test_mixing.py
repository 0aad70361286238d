import dataclasses

import numpy as np
import pytest

from keras_twins.data.classification.augmentation import LIGHT
from keras_twins.data.classification.augmentation import ImageAugmentation
from keras_twins.data.classification.mixing import Mixing
from keras_twins.data.classification.mixing import draw_mixing
from keras_twins.data.classification.mixing import draw_rectangle
from keras_twins.data.classification.mixing import group_size
from keras_twins.data.classification.mixing import mix_batch
from keras_twins.data.classification.mixing import mix_images
from keras_twins.data.classification.mixing import mix_targets
from keras_twins.data.classification.mixing import smooth_targets
from tests.data.classification.draws import assert_rate
from tests.data.classification.draws import draw_many

tf = pytest.importorskip("tensorflow")

SIZE = (40, 50)
CLASSES = 4


def numbered(batch, size=SIZE):
    """Images whose pixels are all the number of the image."""
    numbers = np.arange(batch, dtype="float32")[:, None, None, None]
    return tf.constant(np.broadcast_to(numbers, (batch, *size, 3)))


def mixing(part, weight):
    return Mixing(part=tf.constant(part), weight=tf.constant(weight, "float64"))


def draws(count=1200, **change):
    rules = ImageAugmentation(**change)
    return draw_many(lambda seed: draw_mixing(SIZE, seed, rules), count)


def is_whole(drawn):
    return (drawn["part"] == (0, 0, *SIZE)).all(axis=1)


def test_smoothed_targets():
    found = smooth_targets(tf.constant([2, 0]), CLASSES, 0.1)
    # Of 0.1, each of four classes gets 0.025.
    wanted = [[0.025, 0.025, 0.925, 0.025], [0.925, 0.025, 0.025, 0.025]]
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    np.testing.assert_array_equal(
        smooth_targets(tf.constant([1]), CLASSES, 0.0), [[0, 1, 0, 0]]
    )


def test_mixup_blends_with_the_reverse():
    drawn = mixing((0, 0, 2, 2), 0.75)
    found = mix_images(numbered(3, (2, 2)), drawn)
    # 0.75 of each, 0.25 of the one from the other end.
    np.testing.assert_allclose(found[:, 0, 0, 0], [0.5, 1.0, 1.5])
    np.testing.assert_array_equal(found[0], np.full((2, 2, 3), 0.5))
    targets = mix_targets(tf.eye(3), drawn, (2, 2))
    wanted = [[0.75, 0, 0.25], [0, 1, 0], [0.25, 0, 0.75]]
    np.testing.assert_allclose(targets, wanted)


def test_cutmix_puts_in_the_reverse():
    # Rows 1 and 2, columns 2 to 4: 6 of 20 pixels.
    drawn = mixing((1, 2, 3, 5), 0.0)
    found = mix_images(numbered(2, (4, 5)), drawn)
    window = np.zeros((4, 5))
    window[1:3, 2:5] = 1
    np.testing.assert_array_equal(found[0, ..., 0], window)
    np.testing.assert_array_equal(found[1, ..., 2], 1 - window)
    targets = mix_targets(tf.eye(2), drawn, (4, 5))
    np.testing.assert_allclose(targets, [[0.7, 0.3], [0.3, 0.7]], rtol=1e-6)


def test_rectangle_inside():
    # Of a share of 0.75 half of each side is cut.
    found = draw_many(
        lambda seed: draw_rectangle(SIZE, tf.constant(0.75, "float64"), seed),
        1500,
    )
    top, left, bottom, right = found.T
    inside = (top > 0) & (bottom < 40) & (left > 0) & (right < 50)
    # The centre is uniform: 19 of 40 rows, 25 of 50 columns.
    assert_rate(inside, 19 / 40 * 25 / 50)
    np.testing.assert_array_equal((bottom - top)[inside], 20)
    np.testing.assert_array_equal((right - left)[inside], 24)
    # The first row as centre: 10 of the 20 rows are left.
    assert (bottom - top).min() == 10
    assert (top >= 0).all() and (bottom <= 40).all()
    assert (left >= 0).all() and (right <= 50).all()
    assert (bottom == 40).any() and (right == 50).any()


@pytest.mark.parametrize(
    ("share", "sides"), [(1.0, (0, 0)), (0.99, (4, 4)), (0.8, (16, 22))]
)
def test_sides_of_the_rectangle(share, sides):
    """Rounded down, then to an even number, as the recipe's halves are.

    40 * sqrt(0.2) is 17.9, 50 * sqrt(0.2) is 22.4.
    """
    share = tf.constant(share, "float64")
    found = draw_many(lambda seed: draw_rectangle(SIZE, share, seed), 200)
    sizes = found[:, 2:] - found[:, :2]
    np.testing.assert_array_equal(sizes.max(axis=0), sides)


def test_half_of_the_groups_are_cut():
    drawn = draws()
    blends = is_whole(drawn)
    assert_rate(blends, 0.5)
    np.testing.assert_array_equal(drawn["weight"][~blends], 0)
    shares = drawn["weight"][blends]
    # Beta(0.8, 0.8): mean 1/2, variance 1/10.4.
    assert abs(shares.mean() - 0.5) < 0.06
    assert abs(shares.var() - 1 / 10.4) < 0.015
    assert shares.min() < 0.02 and shares.max() > 0.98


def test_share_of_cutmix_is_uniform():
    drawn = draws(mixup=0.0)
    np.testing.assert_array_equal(drawn["weight"], 0)
    sides = drawn["part"][:, 2:] - drawn["part"][:, :2]
    area = sides.prod(axis=1) / 2000
    # Of sides r, r - r ** 2 / 4 are inside on average, both ways; r ** 2 is
    # uniform. That makes 1/2 - 1/5 + 1/48 less what is rounded down.
    assert abs(area.mean() - 0.31) < 0.03
    assert area.max() > 0.8


def test_one_of_the_two_alone():
    assert is_whole(draws(200, cutmix=0.0)).all()
    assert (draws(200, mixup=0.0)["weight"] == 0).all()


def test_other_rates():
    assert_rate(is_whole(draws(switch_rate=0.2)), 0.8)
    drawn = draws(mix_rate=0.3)
    area = np.prod(drawn["part"][:, 2:] - drawn["part"][:, :2], axis=1)
    assert_rate((drawn["weight"] == 1) | (area == 0), 0.7)


def test_tiny_parameters_mix_nothing_in_between():
    drawn = draws(400, mixup=1e-4, cutmix=0.0)
    assert np.isfinite(drawn["weight"]).all()
    assert np.isin(drawn["weight"].round(6), (0, 1)).mean() > 0.95
    assert_rate(drawn["weight"] > 0.5, 0.5)


@pytest.mark.parametrize("mix_group", [None, 2, 3])
def test_batches_are_mixed_within_groups(mix_group):
    rules = ImageAugmentation(mixup=0.8, cutmix=0.0, mix_group=mix_group)
    images, labels = numbered(6, (4, 4)), tf.range(6)
    found, targets = mix_batch(images, labels, [1, 2], 0, 6, rules)
    assert targets.dtype == tf.float32
    group = mix_group or 6
    numbers = np.arange(6)
    partner = numbers // group * group + group - 1 - numbers % group
    for index in numbers:
        high, low = 0.1 / 6 + 0.9, 0.1 / 6
        share = (targets[index, index] - low) / (high - low)
        if partner[index] == index:
            np.testing.assert_allclose(found[index], index, rtol=1e-6)
            continue
        wanted = share * index + (1 - share) * partner[index]
        np.testing.assert_allclose(found[index], wanted, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            targets[index, partner[index]], low + 0.9 * (1 - share), rtol=1e-4
        )
    np.testing.assert_allclose(tf.reduce_sum(targets, 1), 1, rtol=1e-6)


def test_share_is_that_of_the_pixels():
    rules = ImageAugmentation(label_smoothing=0.0)
    corrected = 0
    for number in range(12):
        images, targets = mix_batch(
            numbered(2), tf.range(2), [number, 7], 0, 2, rules
        )
        other = np.mean(images[0])
        np.testing.assert_allclose(targets[0], [1 - other, other], atol=1e-5)
        np.testing.assert_allclose(targets[1], [other, 1 - other], atol=1e-5)
        corrected += set(np.unique(images[0])) == {0, 1}
    assert 0 < corrected < 12


def test_hosts_mix_what_one_would():
    rules = ImageAugmentation(mix_group=2)
    rng = np.random.default_rng(0)
    images = tf.constant(rng.uniform(0, 255, (8, 6, 6, 3)), tf.float32)
    labels, first, seed = tf.range(8), 24, [3, 1]
    whole = mix_batch(images, labels, seed, first, 10, rules)
    halves = [
        mix_batch(
            images[rows : rows + 4],
            labels[rows : rows + 4],
            seed,
            first + rows,
            10,
            rules,
        )
        for rows in (0, 4)
    ]
    for part, parts in zip(whole, zip(*halves, strict=True), strict=True):
        np.testing.assert_array_equal(part, np.concatenate(parts))
    shares = {float(row.max()) for row in whole[1].numpy()}
    assert len(shares) > 2


def test_steps_are_mixed_differently():
    rules = ImageAugmentation(cutmix=0.0)
    images, labels = numbered(4, (2, 2)), tf.range(4)
    one, two, again = (
        mix_batch(images, labels, [5, 5], first, 4, rules)[1].numpy()
        for first in (0, 4, 0)
    )
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - two).max() > 1e-3


def test_without_mixing():
    images, labels = numbered(3), tf.constant([0, 1, 1])
    found, targets = mix_batch(images, labels, [0, 0], 0, 2, LIGHT)
    np.testing.assert_array_equal(found, images)
    wanted = [[0.95, 0.05], [0.05, 0.95], [0.05, 0.95]]
    np.testing.assert_allclose(targets, wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("batch", "asked", "found"),
    [
        (1024, 128, 128),
        (64, 128, 64),
        (200, 128, 100),
        (6, 4, 3),
        (131, 128, 131),
        (6, None, 6),
    ],
)
def test_groups_cut_the_batch_into_whole_ones(batch, asked, found):
    assert group_size(batch, asked) == found


def test_batch_must_be_known():
    rules = dataclasses.replace(ImageAugmentation(), size=2)
    batches = tf.data.Dataset.from_tensor_slices(numbered(3)).batch(2)

    def mix(images):
        return mix_batch(images, tf.range(2), [0, 0], 0, 6, rules)

    with pytest.raises(ValueError, match="known batch size"):
        batches.map(tf.autograph.experimental.do_not_convert(mix))
