"""Tensor functions against plain NumPy, and fast paths against slow ones."""

import math

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_twins import ops
from keras_twins.ops import attention
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
def test_patches_as_a_product(size, p):
    arguments = images(2, *size, 3), images(p, p, 3, 5), images(5)
    _assert_same(ops.convolve_patches, arguments)
    y = ops.convolve_patches(*arguments)
    assert tuple(y.shape) == (2, size[0] // p, size[1] // p, 5)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("p", [2, 3])
def test_spread_patches_as_a_product(p, bias):
    x, kernel = images(2, 3, 4, 6), images(p, p, 5, 6)

    def spread(x, kernel, *bias):
        return ops.spread_patches(x, kernel, bias[0] if bias else None)

    _assert_same(spread, (x, kernel, images(5)) if bias else (x, kernel))
    assert tuple(spread(x, kernel).shape) == (2, 3 * p, 4 * p, 5)


@pytest.mark.parametrize("shape", [(7, 4), (2, 3, 4), (2, 3, 5, 4), (1, 1, 4)])
@pytest.mark.parametrize("bias", [True, False])
def test_projection_as_a_product(shape, bias):
    x, kernel = images(*shape), images(4, 6)

    def project(x, kernel, *bias):
        return ops.project(x, kernel, bias[0] if bias else None)

    _assert_same(project, (x, kernel, images(6)) if bias else (x, kernel))
    y = to_numpy(project(x, kernel))
    np.testing.assert_allclose(y, x @ kernel, atol=1e-5)


@pytest.mark.parametrize("size", [(5, 7), (1, 1)])
@pytest.mark.parametrize("side", [3, 5])
def test_depthwise_without_copies(size, side):
    arguments = images(2, *size, 6), images(side, side, 6, 1), images(6)
    _assert_same(ops.add_depthwise, arguments)


@pytest.mark.parametrize(("queries", "keys"), [(5, 7), (49, 49), (1, 1)])
def test_fused_attention(queries, keys):
    q, k, v = (images(3, n, 8, seed=n) for n in (queries, keys, keys))
    _assert_same(lambda *x: ops.attend(*x, num_heads=2), (q, k, v))


@pytest.mark.parametrize("length", [12, 7])
def test_attention_of_large_maps_goes_by_parts(length, monkeypatch):
    q, k, v = (images(2, n, 8, seed=n) for n in (length, 5, 5))
    # Scores of 2 heads and 5 keys: 40 bytes for each query of an image.
    monkeypatch.setattr(attention, "_MAX_SCORES", 40 * 4)
    parts = attention._count_parts(q, k, 2)
    assert parts == {12: 3, 7: 7}[length]
    _assert_same(lambda *x: ops.attend(*x, num_heads=2), (q, k, v))
    if keras.backend.backend() == "jax":
        import jax

        text = str(jax.make_jaxpr(lambda *x: ops.attend(*x, 2))(q, k, v))
        assert "scan" in text
        assert f"2,2,{length // parts},5" in text
        assert f"2,2,{length},5" not in text


@pytest.mark.parametrize("shape", [(5, 8), (2, 3, 4, 8), (1, 3)])
def test_fast_layer_norm(shape):
    scale, shift = images(2, shape[-1])
    inputs = images(*shape) * 3 + 1
    _assert_same(lambda *x: ops.layer_norm(*x, 1e-5), (inputs, scale, shift))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_layer_norm_in_half_precision(dtype):
    x = keras.ops.cast(images(4, 32) + 50, dtype)
    ones, zeros = keras.ops.ones(32, dtype), keras.ops.zeros(32, dtype)
    y = ops.layer_norm(x, ones, zeros, 1e-6)
    assert keras.backend.standardize_dtype(y.dtype) == dtype
    wide = to_numpy(keras.ops.cast(x, "float32"))
    expected = (wide - wide.mean(-1, keepdims=True)) / np.std(
        wide, -1, keepdims=True
    )
    np.testing.assert_allclose(
        to_numpy(keras.ops.cast(y, "float32")), expected, atol=0.02
    )


def test_fast_gelu():
    _assert_same(ops.gelu, (images(50) * 4,))


def test_the_switch():
    assert ops.fast_paths_enabled()
    with ops.fast_paths(False):
        assert not ops.fast_paths_enabled()
        with ops.fast_paths(True):
            assert ops.fast_paths_enabled()
        assert not ops.fast_paths_enabled()
    assert ops.fast_paths_enabled()


def test_the_environment_switches_too(monkeypatch):
    monkeypatch.setenv("KERAS_TWINS_FAST_PATHS", "0")
    assert not ops.fast_paths_enabled()
    with ops.fast_paths(True):
        assert ops.fast_paths_enabled()


def _plain(function):
    def without_fast_paths(*arguments):
        with ops.fast_paths(False):
            return function(*arguments)

    return without_fast_paths


def _assert_same(function, arguments) -> None:
    """Fast paths and plain operations agree, forward and backward."""
    tensors = [keras.ops.convert_to_tensor(a) for a in arguments]
    plain = _plain(function)
    np.testing.assert_allclose(
        to_numpy(function(*tensors)), to_numpy(plain(*tensors)), atol=1e-5
    )
    for a, b in zip(
        gradients_of(function, arguments),
        gradients_of(plain, arguments),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, atol=2e-5, rtol=1e-5)


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
