"""Convolutions that keep the size of a map."""

import keras
import numpy as np
import pytest

from keras_twins.layers.convolution import SizedConvolution
from tests.tiny import images
from tests.tiny import to_numpy


@pytest.mark.parametrize("side", [1, 3, 5])
def test_it_computes_what_keras_computes(side):
    x = images(2, 6, 5, 4)
    layer = SizedConvolution(3, side, padding="same")
    found = layer(x)
    plain = keras.layers.Conv2D(3, side, padding="same")
    plain.build((None, 6, 5, 4))
    plain.set_weights(layer.get_weights())
    np.testing.assert_allclose(
        to_numpy(found), to_numpy(plain(x)), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    "arguments",
    [
        {"padding": "valid"},
        {"padding": "same", "strides": 2},
        {"padding": "same", "dilation_rate": 2},
        {"padding": "same", "groups": 2},
        {"padding": "same", "activation": "relu"},
    ],
)
def test_other_kinds_are_refused(arguments):
    layer = SizedConvolution(4, 3, **arguments)
    with pytest.raises(ValueError, match="padding.*Received"):
        layer.build((None, 6, 6, 4))
