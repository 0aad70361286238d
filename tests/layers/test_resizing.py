import keras
import numpy as np
import pytest

from keras_twins.layers import AdaptiveAveragePooling
from keras_twins.layers import ResizeLike
from tests.testers import check_layer
from tests.tiny import images
from tests.tiny import to_numpy


def test_adaptive_average_pooling():
    check_layer(
        lambda **kw: AdaptiveAveragePooling(3, **kw),
        images(2, 7, 5, 4),
        (2, 3, 3, 4),
        num_weights=0,
    )


def test_bins_must_be_positive():
    with pytest.raises(ValueError, match="`bins` must be positive.*bins=0"):
        AdaptiveAveragePooling(0)


def test_resize_like():
    x, reference = images(2, 4, 3, 5), images(2, 8, 9, 1)
    layer = ResizeLike()
    expected = to_numpy(layer(x, reference))
    assert expected.shape == (2, 8, 9, 5)
    # The centre of a corner is outside of the outermost centres.
    np.testing.assert_allclose(expected[:, 0, 0], x[:, 0, 0], atol=1e-6)
    inputs = [keras.Input((None, None, c)) for c in (5, 1)]
    model = keras.Model(inputs, layer(*inputs))
    assert tuple(model.output.shape) == (None, None, None, 5)
    found = model.predict([x, reference], verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
