import numpy as np
import pytest

from keras_twins.data import AugmentedBatches
from keras_twins.data import random_affine

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 12, 16, 3), "uint8")


def rng():
    return np.random.default_rng(1)


def test_no_change_gives_the_images_back():
    images = random_affine(IMAGES, rng(), 0.0, 0.0, 0.0)
    assert images.dtype == np.float32
    np.testing.assert_allclose(images, IMAGES, atol=1e-3)


def test_each_image_moves_by_itself_within_bounds():
    dots = np.zeros((50, 21, 21, 1), "float32")
    dots[:, 10, 10] = 1
    moved = random_affine(dots, rng(), 0.2, 0.0, 0.0)[..., 0]
    np.testing.assert_allclose(moved.sum(axis=(1, 2)), 1, atol=1e-5)
    rows = (moved.sum(axis=2) * np.arange(21)).sum(axis=1) - 10
    columns = (moved.sum(axis=1) * np.arange(21)).sum(axis=1) - 10
    for shift in (rows, columns):
        assert np.abs(shift).max() <= 0.2 * 21 + 1e-3
        assert len(np.unique(shift.round(3))) > 40


def test_rotation_moves_what_is_off_the_centre():
    lines = np.zeros((20, 21, 21, 1), "float32")
    lines[:, 10] = 1
    turned = random_affine(lines, rng(), 0.0, 45.0, 0.0)[..., 0]
    np.testing.assert_allclose(turned[:, 10, 10], 1, atol=1e-5)
    assert (turned[:, 10, 0] < 0.5).mean() > 0.5


def test_what_comes_in_from_outside_is_zero():
    ones = np.ones((20, 16, 16, 1), "float32")
    shifted = random_affine(ones, rng(), 0.4, 0.0, 0.0)
    assert (shifted == 0).any(axis=(1, 2, 3)).all()
    assert shifted.max() <= 1 + 1e-6


def test_an_epoch_has_every_image_once():
    labels = np.arange(10)
    batches = AugmentedBatches(IMAGES, labels, batch_size=4)
    seen = [batches[index] for index in range(len(batches))]
    assert [len(images) for images, _ in seen] == [4, 4, 2]
    first = np.concatenate([targets for _, targets in seen])
    assert sorted(first) == sorted(labels)
    batches.on_epoch_end()
    second = np.concatenate([batches[i][1] for i in range(len(batches))])
    assert sorted(second) == sorted(labels)
    assert not np.array_equal(first, second)


def test_remainder_can_be_left_out():
    batches = AugmentedBatches(
        IMAGES, np.arange(10), batch_size=4, drop_remainder=True
    )
    assert [len(batches[i][0]) for i in range(len(batches))] == [4, 4]
    with pytest.raises(ValueError, match="10 images, batch_size=11"):
        AugmentedBatches(IMAGES, np.arange(10), 11, drop_remainder=True)


def test_batches_follow_from_the_seed_alone():
    one, same, other = (
        AugmentedBatches(IMAGES, np.arange(10), seed=seed)[0][0]
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_options_reach_the_augmentation():
    still = {"max_shift": 0.0, "max_rotation": 0.0, "max_zoom": 0.0}
    images, index = AugmentedBatches(IMAGES, np.arange(10), **still)[0]
    np.testing.assert_allclose(images, IMAGES[index], atol=1e-3)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="10 images and 9 targets"):
        AugmentedBatches(IMAGES, np.arange(9))
