"""Eight bits on a model and images that mean something: the digits."""

import dataclasses
import importlib.util
import pathlib

import keras
import numpy as np
import pytest

from keras_twins.data import load_digits
from keras_twins.demo import training
from keras_twins.export import export_model
from keras_twins.export.report import artifact_bytes
from tests.digits import CONFIG
from tests.digits import SIDE

pytest.importorskip("sklearn")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow",
        reason="the files are the same from each backend",
    ),
]

WIDE = dataclasses.replace(
    CONFIG, embed_dims=(32, 64, 128, 384), num_heads=(1, 2, 4, 12)
)
"""Two million parameters, most of them where there are four positions.

Beside the weights, a LiteRT file holds the graph and the ranges: 20 kB for
each block, which would be a third of a smaller file.
"""

RUNTIMES = {"litert": "ai_edge_litert", "openvino": "nncf"}


@pytest.fixture(scope="module")
def trained() -> training.Trained:
    """The demo's training, of a wider and shallower model, cut short."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "DEMO_CONFIG", WIDE)
        result = training.train(*load_digits(SIDE), epochs=4, seed=0)
    assert result.accuracy > 0.9
    return result


@pytest.mark.parametrize(
    ("format", "precision"),
    [("litert", "dynamic_int8"), ("litert", "int8"), ("openvino", "int8")],
)
def test_size_and_agreement(trained, format, precision, tmp_path):
    if importlib.util.find_spec(RUNTIMES[format]) is None:
        pytest.skip(f"{RUNTIMES[format]} is not installed")
    (training_images, _), _ = load_digits(SIDE)
    names = {"litert": "{}.tflite", "openvino": "{}"}
    full, small = (
        export_model(
            trained.model,
            tmp_path / names[format].format(name),
            format,
            precision=name,
            images=trained.test_images,
            representative_images=training_images[::14],
        )
        for name in ("float32", precision)
    )
    assert small.top1_agreement >= 0.98
    assert weight_bytes(small.path) <= 0.3 * weight_bytes(full.path)
    # Eight bits are seen in the probabilities, and do not ruin them.
    assert 0 < small.max_abs_difference < 0.5 * small.max_abs_output


def weight_bytes(path: pathlib.Path) -> int:
    """Returns the size of a file, or that of OpenVINO's weights.

    Beside them lies the graph as XML, a third of a MB for each model.
    """
    weights = path / "model.bin"
    return artifact_bytes(weights if weights.exists() else path)


def test_ranges_come_from_the_representative_images(trained, tmp_path):
    """From black images alone, there is no range to tell digits apart."""
    pytest.importorskip("ai_edge_litert")
    black = np.zeros((4, SIDE, SIDE, 3), "float32")
    card = export_model(
        trained.model,
        tmp_path / "model.tflite",
        "litert",
        precision="int8",
        images=trained.test_images[:80],
        representative_images=black,
        min_agreement=0,
    )
    assert card.top1_agreement < 0.9
