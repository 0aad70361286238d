"""Eight bits on images that mean something: the digits."""

import importlib

import keras
import numpy as np
import pytest

from keras_twins.data import load_digits
from keras_twins.export import export_model
from tests.digits import SIDE
from tests.digits import digits_model

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow",
        reason="the files are the same from each backend",
    ),
]

SUFFIXES = {"litert": ".tflite", "openvino": ""}
RUNTIMES = {"litert": "ai_edge_litert", "openvino": "nncf"}


@pytest.fixture(scope="module")
def representative() -> np.ndarray:
    (images, _), _ = load_digits(SIDE)
    return images[::14]


@pytest.mark.parametrize(
    ("format", "precision"),
    [("litert", "dynamic_int8"), ("litert", "int8"), ("openvino", "int8")],
)
def test_size_and_agreement(format, precision, representative, tmp_path):
    if importlib.util.find_spec(RUNTIMES[format]) is None:
        pytest.skip(f"{RUNTIMES[format]} is not installed")
    model, images, _ = digits_model()
    full, small = (
        export_model(
            model,
            tmp_path / f"{name}{SUFFIXES[format]}",
            format,
            precision=name,
            images=images[::2],
            representative_images=representative,
        )
        for name in ("float32", precision)
    )
    assert small.top1_agreement >= 0.98
    assert small.bytes <= 0.3 * full.bytes
    # Without calibration, or with other numbers, it would be the same file.
    assert 0 < small.max_abs_difference < 0.5 * small.max_abs_output
