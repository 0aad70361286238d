"""The tests that keras.applications runs on its own models, on ours."""

import keras
import numpy as np
import pytest

import keras_twins
from keras_twins.applications import CONSTRUCTORS
from tests.tiny import images

NAMES = list(CONSTRUCTORS)

# The larger ones differ from these in the numbers of their config alone.
SMALL_FIRST = [
    pytest.param(name, marks=() if name.endswith("small") else pytest.mark.slow)
    for name in NAMES
]


def _channels(variant: str) -> int:
    return keras_twins.VARIANTS[variant].embed_dims[-1]


@pytest.mark.parametrize("variant", SMALL_FIRST)
@pytest.mark.parametrize("channels", [1, 4])
def test_notop_of_any_size_and_channels(variant, channels):
    if channels == 4:
        with pytest.warns(UserWarning, match="expects 1 or 3 input channels"):
            model = CONSTRUCTORS[variant](
                weights=None, include_top=False, input_shape=(None, None, 4)
            )
    else:
        model = CONSTRUCTORS[variant](
            weights=None, include_top=False, input_shape=(None, None, 1)
        )
    assert model.output.shape == (None, None, None, _channels(variant))


@pytest.mark.parametrize("variant", SMALL_FIRST)
def test_notop_of_odd_size(variant):
    model = CONSTRUCTORS[variant](
        weights=None, include_top=False, input_shape=(123, 123, 3)
    )
    assert model.output.shape == (None, 3, 3, _channels(variant))


@pytest.mark.parametrize("variant", SMALL_FIRST)
def test_notop_on_an_input_tensor(variant):
    image = keras.Input((200, 200, 4))
    model = CONSTRUCTORS[variant](
        weights=None,
        include_top=False,
        input_tensor=keras.layers.Conv2D(3, 1)(image),
    )
    assert model.input is image
    assert model.output.shape == (None, 6, 6, _channels(variant))


@pytest.mark.parametrize("variant", SMALL_FIRST)
def test_pooling(variant):
    model = CONSTRUCTORS[variant](
        weights=None, include_top=False, pooling="max"
    )
    assert model.output.shape == (None, _channels(variant))


PARAMETERS = {
    "pcpvt_small": 24_106_216,
    "pcpvt_base": 43_828_456,
    "pcpvt_large": 60_989_672,
    "svt_small": 24_060_776,
    "svt_base": 56_070_952,
    "svt_large": 99_271_400,
}
"""As the logs of the official repository count them."""


@pytest.mark.parametrize("variant", NAMES)
def test_top(variant):
    model = CONSTRUCTORS[variant](weights=None)
    assert model.layers[-1].activation.__name__ == "softmax"
    assert model.output.shape == (None, 1000)
    assert model.input.shape == (None, 224, 224, 3)
    assert model.name == f"twins_{variant}"
    assert model.count_params() == PARAMETERS[variant]


@pytest.mark.parametrize("variant", SMALL_FIRST)
def test_serialisation_keeps_the_weights(variant):
    model = CONSTRUCTORS[variant](weights=None)
    config = keras.saving.serialize_keras_object(model)
    again = keras.saving.deserialize_keras_object(config)
    assert [w.path for w in again.weights] == [w.path for w in model.weights]
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]


# The seventh, an elephant in the top 3 of the pretrained models, needs the
# published weights: tests/weights/test_pretrained.py.


def test_a_classifier_takes_every_size():
    model = keras_twins.TwinsSVTSmall(
        weights=None, input_shape=(None, None, 3), classes=7
    )
    for size in ((32, 32), (75, 118)):
        pixels = np.abs(images(2, *size, 3)) * 50
        probabilities = model.predict_on_batch(pixels)
        assert probabilities.shape == (2, 7)
        np.testing.assert_allclose(probabilities.sum(-1), 1.0, atol=1e-5)


def test_a_graph_of_unknown_size_refuses_small_images(backend):
    model = keras_twins.TwinsSVTSmall(
        weights=None, input_shape=(None, None, 3), classes=7
    )
    with pytest.raises(Exception, match="at least 8x8") as caught:
        model.predict_on_batch(images(1, 31, 40, 3))
    if backend != "tensorflow":
        assert caught.type is ValueError
