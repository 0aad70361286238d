"""The fast 3 x 3 convolution against Keras's own, forward and backward."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from keras_twins import ops
from keras_twins.ops import convolution
from keras_twins.ops import winograd
from tests.compiling import call_compiled
from tests.gradients import gradients_of
from tests.tiny import images
from tests.tiny import to_numpy

SIZES = st.integers(1, 11)


@pytest.fixture
def narrow(monkeypatch):
    """Lets narrow maps take the fast path."""
    monkeypatch.setattr(convolution, "_MIN_CHANNELS", 1)
    monkeypatch.setattr(convolution, "_MIN_GRADIENT_CHANNELS", 1)


def _kernel(channels: int, filters: int) -> np.ndarray:
    return images(3, 3, channels, filters, seed=1)


@settings(max_examples=8, deadline=None)
@given(SIZES, SIZES)
def test_any_size(height, width):
    x, kernel = images(2, height, width, 3), _kernel(3, 5)
    plain = keras.ops.conv(x, kernel, 1, "same", data_format="channels_last")
    found = call_compiled(lambda pair: winograd._convolve(*pair), (x, kernel))
    np.testing.assert_allclose(to_numpy(found), to_numpy(plain), atol=5e-5)


@pytest.mark.usefixtures("narrow")
def test_gradients():
    arguments = images(2, 7, 9, 4), _kernel(4, 3)
    fast = gradients_of(ops.convolve_3x3, arguments)
    with ops.fast_paths(False):
        plain = gradients_of(ops.convolve_3x3, arguments)
    for one, other in zip(fast, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-4)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="is for JAX alone")
def test_where_it_is_worth_it(monkeypatch):
    calls = []
    monkeypatch.setattr(
        convolution, "winograd", lambda x, kernel: calls.append(x.shape)
    )
    wide = images(1, 5, 5, 64), _kernel(64, 64)
    ops.convolve_3x3(*wide)
    assert len(calls) == 1
    ops.convolve_3x3(images(1, 5, 5, 63), _kernel(63, 64))
    half = [keras.ops.cast(x, "bfloat16") for x in wide]
    ops.convolve_3x3(*half)
    with ops.fast_paths(False):
        ops.convolve_3x3(*wide)
    assert len(calls) == 1


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="is for PyTorch alone"
)
def test_which_gradients_are_faster(monkeypatch):
    """Those of wide kernels that are trained."""
    import torch

    calls = []
    fast = convolution._torch_fast_gradient

    def count(x, kernel):
        calls.append(x.shape[-1])
        return fast(x, kernel)

    monkeypatch.setattr(convolution, "_torch_fast_gradient", count)
    kernel = torch.from_numpy(_kernel(128, 128)).requires_grad_()
    x = images(1, 5, 5, 128)
    ops.convolve_3x3(x, kernel)
    assert calls == [128]
    with torch.no_grad():
        ops.convolve_3x3(x, kernel)
    ops.convolve_3x3(x, kernel.detach())
    ops.convolve_3x3(x[..., :127], kernel[:, :, :127])
    with ops.fast_paths(False):
        ops.convolve_3x3(x, kernel)
    assert calls == [128]


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="is for TensorFlow alone"
)
@pytest.mark.parametrize("channels", [1, 3, 5, 8])
def test_parts_of_the_channels(monkeypatch, channels):
    """As many as fit, the last part narrower; as the whole, with gradients."""
    calls = []
    whole = keras.ops.conv

    def conv(x, *args, **kwargs):
        calls.append(x.shape[-1])
        return whole(x, *args, **kwargs)

    arguments = images(2, 6, 7, channels), _kernel(channels, 3)
    with ops.fast_paths(False):
        plain = gradients_of(ops.convolve_3x3, arguments)
    monkeypatch.setattr(keras.ops, "conv", conv)
    monkeypatch.setattr(convolution, "_MAX_PATCH_BYTES", 3 * 9 * 6 * 7 * 4)
    parts = gradients_of(ops.convolve_3x3, arguments)
    full, rest = divmod(channels, 3)
    assert calls == [3] * full + [rest] * bool(rest)
    for one, other in zip(parts, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=5e-5)


@pytest.mark.usefixtures("narrow")
def test_unknown_sizes():
    from keras_twins.layers.convolution import sized_convolution

    layer = sized_convolution(5, 3, keras.dtype_policies.get("float32"), "c")
    image = keras.Input((None, None, 4))
    model = keras.Model(image, layer(image))
    x = images(2, 6, 7, 4)
    expected = keras.ops.conv(x, layer.kernel, 1, "same")
    np.testing.assert_allclose(
        model.predict(x, verbose=0), to_numpy(expected), atol=1e-4
    )
