"""Stochastic depth: per sample, scaled, and only in training."""

import keras
import numpy as np
import pytest

from keras_twins.layers import DropPath
from tests.tiny import to_numpy


def test_drops_whole_samples_and_scales_the_others():
    x = np.ones((4000, 2, 3), "float32")
    y = to_numpy(DropPath(0.25, seed=1)(x, training=True))
    kept = y[:, 0, 0] != 0
    assert (y[kept] == np.float32(1 / 0.75)).all() and not y[~kept].any()
    assert kept.mean() == pytest.approx(0.75, abs=0.03)


def test_is_the_identity_outside_training():
    x = np.ones((4, 3), "float32")
    layer = DropPath(0.9)
    np.testing.assert_array_equal(to_numpy(layer(x)), x)
    np.testing.assert_array_equal(to_numpy(layer(x, training=False)), x)


def test_draws_anew_each_call_and_again_with_the_seed():
    x = np.ones((64, 1), "float32")
    first = DropPath(0.5, seed=3)
    a, b = (to_numpy(first(x, training=True)) for _ in range(2))
    again = to_numpy(DropPath(0.5, seed=3)(x, training=True))
    assert (a != b).any()
    np.testing.assert_array_equal(a, again)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_rate_is_checked(rate):
    with pytest.raises(ValueError, match=f"rate={rate}"):
        DropPath(rate)


def test_half_precision_keeps_its_dtype():
    x = keras.ops.ones((8, 2), "float16")
    y = DropPath(0.5, dtype="mixed_float16")(x, training=True)
    assert keras.backend.standardize_dtype(y.dtype) == "float16"
