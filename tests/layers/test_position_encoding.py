"""PEG is a depthwise convolution and the identity."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_twins.layers import PositionEncodingGenerator
from tests.tiny import images
from tests.tiny import randomise
from tests.tiny import to_numpy


def test_adds_a_depthwise_convolution():
    x = images(2, 5, 6, 8)
    peg = PositionEncodingGenerator()
    peg.build(x.shape)
    randomise(peg)
    plain = keras.layers.DepthwiseConv2D(3, padding="same")
    plain.build(x.shape)
    plain.set_weights(peg.get_weights())
    np.testing.assert_allclose(
        to_numpy(peg(x)), x + to_numpy(plain(x)), atol=2e-6
    )


PROGRAM = """
import keras
import keras_twins
from tests import tiny
model = keras_twins.classifier(tiny.SHALLOW, input_shape=(64, 64, 3))
model.predict(tiny.images(2, 64, 64, 3), verbose=0)
"""


def test_tensorflow_optimises_the_graph(backend):
    """It logs an error and gives up where it meets a pattern it lacks."""
    if backend != "tensorflow":
        pytest.skip("about TensorFlow's graph optimiser")
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "remapper failed" not in result.stderr
    assert "optimization failure" not in result.stderr
