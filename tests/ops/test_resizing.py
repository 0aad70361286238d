"""Sizes of maps, against the rule written out in NumPy."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_twins import ops
from tests.tiny import images
from tests.tiny import to_numpy

SIZES = st.integers(1, 9)
few = settings(max_examples=12, deadline=None)


def bilinear_weights(new: int, old: int) -> np.ndarray:
    weights = np.zeros((new, old))
    for i in range(new):
        at = min(max((i + 0.5) * old / new - 0.5, 0), old - 1)
        low = min(int(at), old - 1)
        weights[i, low] += 1 - (at - low)
        weights[i, min(low + 1, old - 1)] += at - low
    return weights


def resized(x, rows, columns):
    return np.einsum("hH,wW,bHWc->bhwc", rows, columns, x)


@few
@given(SIZES, SIZES, SIZES, SIZES)
def test_bilinear(height, width, new_height, new_width):
    x = images(2, height, width, 3)
    expected = resized(
        x,
        bilinear_weights(new_height, height),
        bilinear_weights(new_width, width),
    )
    found = to_numpy(ops.resize_bilinear(x, new_height, new_width))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@few
@given(SIZES, SIZES, SIZES, SIZES)
def test_nearest(height, width, new_height, new_width):
    x = images(2, height, width, 3)
    rows = np.arange(new_height) * height // new_height
    columns = np.arange(new_width) * width // new_width
    found = to_numpy(ops.resize_nearest(x, new_height, new_width))
    np.testing.assert_array_equal(found, x[:, rows][:, :, columns])


@few
@given(SIZES, SIZES, st.integers(1, 6))
def test_adaptive_average(height, width, bins):
    x = images(2, height, width, 3)
    expected = np.empty((2, bins, bins, 3))
    for i, j in np.ndindex(bins, bins):
        rows = slice(i * height // bins, -(-(i + 1) * height // bins))
        columns = slice(j * width // bins, -(-(j + 1) * width // bins))
        expected[:, i, j] = x[:, rows, columns].mean(axis=(1, 2))
    found = to_numpy(ops.adaptive_average_pool(x, bins))
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(
    "resize",
    [ops.resize_bilinear, ops.resize_nearest],
    ids=lambda f: f.__name__,
)
def test_dtypes_are_kept(resize, dtype):
    x = keras.ops.cast(images(1, 3, 5, 2), dtype)
    assert keras.backend.standardize_dtype(resize(x, 6, 9).dtype) == dtype
    same = resize(x, 3, 5)
    np.testing.assert_array_equal(
        to_numpy(keras.ops.cast(same, "float32")),
        to_numpy(keras.ops.cast(x, "float32")),
    )
