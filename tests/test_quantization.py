"""`model.quantize`, on each backend: what it changes, and what it keeps."""

import contextlib
import dataclasses
import gc

import keras
import numpy as np
import pytest

import keras_twins
from keras_twins import VARIANTS
from tests import tiny
from tests.compiling import slow_on
from tests.digits import digits_model

pytestmark = pytest.mark.filterwarnings(
    # Keras names every layer that it leaves as it is.
    "ignore:Layer .* does not have a `quantize` method:UserWarning"
)

SIDE = 64
CLASSES = 5


def small(variant: str) -> keras_twins.TwinsConfig:
    """Returns the variant with an eighth of the width and fewer blocks."""
    config = VARIANTS[variant]
    depths = zip(config.depths, config.attention_pattern, strict=True)
    return dataclasses.replace(
        config,
        embed_dims=tuple(dim // 8 for dim in config.embed_dims),
        depths=tuple(max(depth // 6, len(x)) for depth, x in depths),
    )


@contextlib.contextmanager
def few_objects():
    """Keras collects garbage for each kernel that it takes away."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def build(config) -> keras.Model:
    model = keras_twins.classifier(
        config, input_shape=(SIDE, SIDE, 3), classes=CLASSES
    )
    tiny.randomise(model)
    return model


def images(count: int = 12) -> np.ndarray:
    return 60 * np.abs(tiny.images(count, SIDE, SIDE, 3))


def modes(model: keras.Model, kind: type) -> set:
    """Returns the quantization modes of all layers of a kind."""
    return {
        getattr(layer, "quantization_mode", None)
        for layer in model._flatten_layers()
        if isinstance(layer, kind)
    }


QUICK = ("pcpvt_small", "svt_large")


@pytest.mark.parametrize(
    "variant",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
        for name in VARIANTS
    ],
)
def test_int8(variant):
    model = build(small(variant))
    x = images()
    expected = model.predict_on_batch(x)
    values = sum(weight.size for weight in model.get_weights())
    with few_objects():
        model.quantize("int8")
    assert modes(model, keras.layers.Dense) == {"int8"}
    # Patches and the position encoding are convolutions, and stay float.
    assert modes(model, keras.layers.Conv2D) == {None}
    assert modes(model, keras.layers.DepthwiseConv2D) == {None}
    kernels = [w for w in model.get_weights() if w.dtype == "int8"]
    assert sum(kernel.size for kernel in kernels) > 0.6 * values
    found = model.predict_on_batch(x)
    assert np.abs(found - expected).max() > 0
    np.testing.assert_allclose(found, expected, atol=0.05)


@slow_on("jax")
@pytest.mark.parametrize(
    ("config", "mode", "tolerance"),
    [(tiny.MINIMAL, "int4", 0.3), (tiny.PCPVT, "float8", 0.15)],
    ids=["int4", "float8"],
)
def test_other_modes(config, mode, tolerance, tmp_path):
    model = build(config)
    x = images()
    expected = model.predict_on_batch(x)
    with few_objects():
        model.quantize(mode)
    assert modes(model, keras.layers.Dense) == {mode}
    assert modes(model, keras.layers.Conv2D) == {None}
    found = model.predict_on_batch(x)
    assert np.abs(found - expected).max() > 1e-4
    np.testing.assert_allclose(found, expected, atol=tolerance)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert modes(again, keras.layers.Dense) == {mode}
    np.testing.assert_allclose(again.predict_on_batch(x), found, atol=1e-5)


def test_digits_stay_the_same():
    model, pixels, labels = digits_model()
    expected = model.predict(pixels, batch_size=128, verbose=0).argmax(-1)
    assert (expected == labels).mean() > 0.9
    with few_objects():
        model.quantize("int8")
    found = model.predict(pixels, batch_size=128, verbose=0).argmax(-1)
    assert (found == expected).mean() >= 0.98


def test_a_backbone_keeps_its_maps():
    model = keras_twins.TwinsBackbone(tiny.MINIMAL)
    tiny.randomise(model)
    x = tiny.images(2, SIDE, SIDE, 3)
    pyramid = model.feature_model(["P2", "P3", "P4", "P5"])
    expected = pyramid.predict_on_batch(x)
    with few_objects():
        model.quantize("int8")
    found = model.feature_model(["P2", "P3", "P4", "P5"]).predict_on_batch(x)
    for a, b in zip(expected, found, strict=True):
        cosine = (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)
        assert 0.999 < cosine < 1


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_a_published_size(mode):
    model = keras_twins.TwinsSVTSmall(weights=None)
    tiny.randomise(model)
    x = 60 * np.abs(tiny.images(4, 224, 224, 3))
    expected = model.predict_on_batch(x)
    with few_objects():
        model.quantize(mode)
    found = model.predict_on_batch(x)
    cosine = (expected * found).sum()
    cosine /= np.linalg.norm(expected) * np.linalg.norm(found)
    assert cosine > {"int8": 0.99, "int4": 0.8}[mode]
