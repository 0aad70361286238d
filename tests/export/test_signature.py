"""What a server sees of a SavedModel."""

import pathlib

import keras
import numpy as np
import pytest

import keras_twins
from keras_twins.export import describe_signature
from keras_twins.export import export_model
from keras_twins.export import exportable_formats
from tests.tiny import MINIMAL
from tests.tiny import randomise

README = pathlib.Path(__file__).parents[2] / "README.md"
SIDE = 224

tf = pytest.importorskip("tensorflow")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.skipif(
        "saved_model" not in exportable_formats(),
        reason="this backend leaves it to a second process",
    ),
]


@pytest.fixture(scope="module")
def model() -> keras.Model:
    model = keras_twins.classifier(MINIMAL, input_shape=(SIDE, SIDE, 3))
    randomise(model)
    return model


@pytest.fixture(scope="module")
def path(model, tmp_path_factory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("served") / "1"
    images = np.zeros((1, SIDE, SIDE, 3), "uint8")
    export_model(model, path, input_dtype="uint8", images=images)
    return path


def test_the_listing_of_the_readme(path):
    """The same for each classifier of 1000 classes at 224 pixels."""
    found = describe_signature(path)
    assert "inputs['images'] tensor_info:\n      dtype: DT_UINT8" in found
    assert "shape: (-1, 224, 224, 3)" in found
    shown = README.read_text().split("<!-- signature:begin -->")[1]
    assert found == shown.split("```")[1].strip()


def test_raw_bytes_go_in(model, path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (3, SIDE, SIDE, 3), dtype="uint8")
    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    found = signature(images=tf.constant(pixels))["output_0"].numpy()
    expected = model.predict(pixels.astype("float32"), verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_unknown_signature(path, tmp_path):
    with pytest.raises(ValueError, match="one of .*'serving_default'.*'other'"):
        describe_signature(path, "other")
    with pytest.raises(FileNotFoundError, match="no SavedModel in"):
        describe_signature(tmp_path)
