"""Tensor functions against plain NumPy, and fast paths against slow ones."""

import math

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_twins import ops
from tests.gradients import gradients_of
from tests.tiny import images
from tests.tiny import to_numpy

sizes = st.integers(1, 9)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), sizes, sizes, st.integers(1, 4), st.integers(1, 3))
def test_windows_hold_the_right_positions(batch, rows, columns, p, channels):
    x = images(batch, rows * p, columns * p, channels)
    windows = to_numpy(ops.partition_windows(x, p))
    expected = x.reshape(batch, rows, p, columns, p, channels)
    expected = expected.transpose(0, 1, 3, 2, 4, 5)
    np.testing.assert_array_equal(
        windows, expected.reshape(-1, p * p, channels)
    )
    merged = ops.merge_windows(windows, p, rows * p, columns * p)
    np.testing.assert_array_equal(to_numpy(merged), x)


@settings(max_examples=25, deadline=None)
@given(sizes, sizes, st.integers(1, 5))
def test_pad_and_crop(height, width, multiple):
    x = images(1, height, width, 2)
    padded = to_numpy(ops.pad_to_multiple(x, multiple))
    assert padded.shape[1] == math.ceil(height / multiple) * multiple
    assert padded.shape[2] == math.ceil(width / multiple) * multiple
    assert padded[:, height:].sum() == 0 and padded[:, :, width:].sum() == 0
    np.testing.assert_array_equal(to_numpy(ops.crop(padded, height, width)), x)
    cropped = to_numpy(ops.crop_to_multiple(x, multiple))
    kept = (height // multiple * multiple, width // multiple * multiple)
    assert cropped.shape[1:3] == kept


@pytest.mark.parametrize("size", [(8, 12), (9, 14)])
@pytest.mark.parametrize("p", [2, 4])
def test_patch_convolution_equals_convolution(size, p):
    x, kernel, bias = images(2, *size, 3), images(p, p, 3, 5), images(5)

    def fast(x, kernel, bias):
        return ops.convolve_patches(x, kernel, bias)

    def plain(x, kernel, bias):
        y = keras.ops.conv(x, kernel, strides=p, data_format="channels_last")
        return y + bias

    _assert_same(fast, plain, (x, kernel, bias))


@pytest.mark.parametrize("size", [(5, 7), (1, 1)])
def test_shifts_equal_depthwise_convolution(size):
    x, kernel, bias = images(2, *size, 6), images(3, 3, 6, 1), images(6)

    def by(method):
        return lambda *args: ops.add_depthwise(*args, method=method)

    _assert_same(by("shifts"), by("convolution"), (x, kernel, bias))


def _assert_same(fast, plain, arguments) -> None:
    """The two agree, forward and backward."""
    tensors = [keras.ops.convert_to_tensor(a) for a in arguments]
    np.testing.assert_allclose(
        to_numpy(fast(*tensors)), to_numpy(plain(*tensors)), atol=1e-5
    )
    for a, b in zip(
        gradients_of(fast, arguments),
        gradients_of(plain, arguments),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_gelu_is_exact():
    x = np.linspace(-6, 6, 101, dtype="float32")
    expected = [0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in x]
    np.testing.assert_allclose(to_numpy(ops.gelu(x)), expected, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_gelu_keeps_the_tail_in_half_precision(dtype):
    x = keras.ops.convert_to_tensor([-3.0], dtype=dtype)
    y = ops.gelu(x)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    value = float(to_numpy(keras.ops.cast(y, "float32"))[0])
    assert value == pytest.approx(-0.00405, rel=0.01)


@pytest.mark.parametrize("masked", [False, True])
def test_attend(masked):
    q, k, v = (images(3, n, 8, seed=n) for n in (5, 7, 7))
    mask = np.ones((3, 7), "float32")
    if masked:
        mask[1, 4:] = 0
    outputs = to_numpy(
        ops.attend(q, k, v, num_heads=2, key_mask_BM=mask if masked else None)
    )
    for b in range(3):
        valid = mask[b] == 1
        for head in (slice(0, 4), slice(4, 8)):
            scores = q[b][:, head] @ k[b][valid][:, head].T / 2.0
            weights = np.exp(scores - scores.max(-1, keepdims=True))
            weights /= weights.sum(-1, keepdims=True)
            np.testing.assert_allclose(
                outputs[b][:, head], weights @ v[b][valid][:, head], atol=2e-6
            )


def test_attend_applies_dropout_to_the_weights():
    q = images(1, 4, 8)
    outputs = ops.attend(q, q, q, num_heads=2, dropout=lambda w: w * 0)
    assert not to_numpy(outputs).any()


def test_too_small_maps_are_named():
    with pytest.raises(ValueError, match="GSA needs maps of at least 8x8"):
        ops.require_min_size(images(1, 7, 9, 2), 8, "GSA")
