"""`weights="imagenet"`, from the constructor to the file and back."""

import dataclasses
import hashlib

import numpy as np
import pytest

import keras_twins
from keras_twins.applications import CONSTRUCTORS
from keras_twins.preprocessing import load_image
from keras_twins.weights import export_state
from keras_twins.weights import registry
from keras_twins.weights import write_safetensors
from tests.tiny import images
from tests.weights.server import run_server
from tests.weights.server import send


def test_constructor_downloads_once_and_loads(tmp_path, monkeypatch):
    original = keras_twins.TwinsSVTSmall(weights=None)
    config = keras_twins.VARIANTS["svt_small"]
    write_safetensors(export_state(original, config), tmp_path / "file")
    content = (tmp_path / "file").read_bytes()
    source = dataclasses.replace(
        registry.SOURCES["svt_small"][0],
        sha256=hashlib.sha256(content).hexdigest(),
    )
    monkeypatch.setitem(registry.SOURCES, "svt_small", (source,))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    pixels = np.abs(images(1, 224, 224, 3)) * 60
    expected = original.predict_on_batch(pixels)
    with run_server() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        path = (
            "/timm/twins_svt_small.in1k/resolve/"
            f"{source.revision}/model.safetensors"
        )
        server.pages[path] = send(content)
        model = keras_twins.TwinsSVTSmall()
        assert server.requests == [path]
    np.testing.assert_allclose(
        model.predict_on_batch(pixels), expected, atol=1e-6
    )
    # The server is gone; the cache is enough, for a grey body as well.
    body = keras_twins.TwinsSVTSmall(
        include_top=False, input_shape=(None, None, 1)
    )
    stem = model.get_layer("stage0_patch_embedding").projection.kernel
    grey = body.get_layer("stage0_patch_embedding").projection.kernel
    np.testing.assert_allclose(
        np.asarray(grey)[..., 0, :], np.asarray(stem).sum(2), atol=1e-6
    )


ELEPHANT = (
    "https://storage.googleapis.com/tensorflow/keras-applications/tests/"
    "elephant.jpg"
)


@pytest.mark.network
@pytest.mark.parametrize("variant", list(CONSTRUCTORS))
def test_published_weights_know_an_elephant(variant, tmp_path):
    """The seventh test that keras.applications runs on its models."""
    import urllib.request

    urllib.request.urlretrieve(ELEPHANT, tmp_path / "elephant.jpg")
    image = load_image(tmp_path / "elephant.jpg")[None]
    model = CONSTRUCTORS[variant]()
    best = keras_twins.decode_predictions(model.predict(image), top=3)[0]
    assert "African_elephant" in [name for _, name, _ in best]
