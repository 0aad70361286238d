import keras
import numpy as np
import pytest

import keras_twins
from keras_twins.export.serving import serving_model
from tests.tiny import MINIMAL
from tests.tiny import randomise


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.integers(0, 256, (2, 40, 33, 3)).astype("uint8")


def build(preprocessing: bool) -> keras.Model:
    model = keras_twins.classifier(
        MINIMAL,
        input_shape=(None, None, 3),
        classes=5,
        include_preprocessing=preprocessing,
    )
    randomise(model)
    return model


def test_raw_pixels_of_a_fixed_size(pixels):
    served = serving_model(build(False), "uint8", True, (40, 33))
    (source,) = served.inputs
    assert tuple(source.shape) == (None, 40, 33, 3)
    assert keras.backend.standardize_dtype(source.dtype) == "uint8"
    np.testing.assert_allclose(
        served.predict(pixels, verbose=0),
        build(True).predict(pixels.astype("float32"), verbose=0),
        rtol=1e-5,
        atol=1e-6,
    )


def test_weights_are_shared(pixels):
    model = build(True)
    served = serving_model(model, "uint8")
    assert [id(w) for w in served.weights] == [id(w) for w in model.weights]
    # The model can still be taken apart, as a new head needs it.
    keras_twins.reset_classifier(model, 3)


def test_nothing_to_wrap(pixels):
    model = build(True)
    model.compile("sgd", "mse")
    for served in (serving_model(model), serving_model(model, "float32")):
        assert [x.name for x in served.layers] == [x.name for x in model.layers]
        assert not served.compiled
    images = pixels.astype("float32")
    np.testing.assert_array_equal(
        served.predict(images, verbose=0), model.predict(images, verbose=0)
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_dtype": "int8"}, "`input_dtype` must be one of"),
        ({"preprocess": True}, "leave `preprocess` out"),
        ({"image_size": (40,)}, "a height and a width"),
        ({"image_size": (40, 0)}, "a height and a width"),
        ({"image_size": (40.0, 32)}, "a height and a width"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        serving_model(build(True), **arguments)


def test_arguments_that_do_not_fit_the_model():
    fixed = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    with pytest.raises(ValueError, match="only fix what the model leaves open"):
        serving_model(fixed, image_size=(8, 9))
    with pytest.raises(ValueError, match="3 channels"):
        serving_model(fixed, preprocess=True)
    inputs = [keras.Input((4,)), keras.Input((4,))]
    with pytest.raises(ValueError, match="2 inputs"):
        serving_model(keras.Model(inputs, keras.ops.add(*inputs)))
    with pytest.raises(ValueError, match="functional or built"):
        serving_model(keras.Sequential())
