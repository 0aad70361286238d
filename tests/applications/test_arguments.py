"""Every argument of the constructors: what it does, and what it refuses."""

import inspect

import keras
import numpy as np
import pytest

import keras_twins
from keras_twins.applications import CONSTRUCTORS
from tests import tiny

Small = keras_twins.TwinsSVTSmall


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"weights": "imagnet"}, "`weights` argument should be either"),
        ({"weights": "/no/such/file.h5"}, "Received: weights=/no/such/file"),
        (
            {"weights": "imagenet", "classes": 10},
            r"`classes` should be 1000. Received classes=10.*reset_classifier",
        ),
        ({"classes": 0}, "positive integer"),
        ({"weights": b"path"}, "`weights` argument should be either"),
        ({"weights": ["a"]}, "`weights` argument should be either"),
        ({"input_shape": 64}, "tuple of three integers"),
        ({"drop_path_rate": "high"}, "`drop_path_rate` must be a number"),
        ({"dropout_rate": 1.0}, "`dropout_rate` must be a number"),
        (
            {
                "input_tensor": keras.KerasTensor((None, 64, 64, 3)),
                "input_shape": (32, 32, 3),
            },
            "`input_shape` must be that of `input_tensor`",
        ),
        ({"classes": 2.5}, "positive integer"),
        ({"pooling": "mean", "include_top": False}, "pooling='mean'"),
        ({"input_shape": (224, 224)}, "tuple of three integers"),
        ({"input_shape": (224.0, 224, 3)}, "tuple of three integers"),
        ({"input_shape": (31, 224, 3)}, "at least 32x32; Received"),
        ({"input_shape": (224, 16, 3)}, "at least 32x32; Received"),
        ({"input_shape": (224, 224, None)}, "channels must be known"),
        ({"input_tensor": np.zeros((1, 64, 64, 3))}, "KerasTensor"),
        ({"window_padding": "same"}, "window_padding='same'"),
        ({"patch_padding": "same"}, "patch_padding='same'"),
        ({"dialect": "mmcls"}, "`dialect` must be one of"),
        ({"drop_path_rate": 1.5}, "Received: drop_path_rate=1.5"),
    ],
)
def test_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Small(**{"weights": None, **arguments})


def test_pretrained_weights_take_softmax_or_logits_only(tmp_path):
    path = tmp_path / "any.safetensors"
    path.touch()
    with pytest.raises(ValueError, match="Only `None` and `softmax`"):
        Small(weights=str(path), classifier_activation="sigmoid")


def test_channels_first_is_refused():
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match="`channels_first`"):
            Small(weights=None)
    finally:
        keras.config.set_image_data_format("channels_last")


def test_a_config_has_no_imagenet_weights():
    with pytest.raises(ValueError, match="belongs to a published variant"):
        keras_twins.classifier(tiny.SVT, weights="imagenet")


def test_signatures_are_equal():
    signatures = []
    for variant, function in CONSTRUCTORS.items():
        parameters = inspect.signature(function).parameters
        assert parameters["name"].default == f"twins_{variant}"
        signatures.append(
            [(p.name, p.kind, p.default) for p in parameters.values()]
        )
        signatures[-1] = [row for row in signatures[-1] if row[0] != "name"]
    assert all(signature == signatures[0] for signature in signatures)
    reference = inspect.signature(keras.applications.EfficientNetV2S)
    ours = list(inspect.signature(Small).parameters)
    assert ours[: len(reference.parameters)] == list(reference.parameters)


def _tiny(**arguments):
    arguments = {"input_shape": (32, 32, 3), "classes": 5, **arguments}
    model = keras_twins.classifier(tiny.SHALLOW, **arguments)
    tiny.randomise(model)
    return model


def test_preprocessing_is_inside():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), "uint8")
    mean = np.array([0.485, 0.456, 0.406], "float32")
    std = np.array([0.229, 0.224, 0.225], "float32")
    inside = _tiny().predict_on_batch(pixels)
    outside = _tiny(include_preprocessing=False).predict_on_batch(
        (pixels / np.float32(255) - mean) / std
    )
    np.testing.assert_allclose(inside, outside, atol=1e-5)
    assert keras_twins.preprocess_input(pixels) is pixels


def test_no_preprocessing_without_colour():
    with pytest.warns(UserWarning, match="4 input channels"):
        model = _tiny(input_shape=(32, 32, 4))
    assert "normalization" not in [layer.name for layer in model.layers]


def test_activation_and_names():
    model = _tiny(classifier_activation=None, name="mine")
    assert model.name == "mine"
    logits = model.predict_on_batch(tiny.images(1, 32, 32, 3))
    probabilities = _tiny().predict_on_batch(tiny.images(1, 32, 32, 3))
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)


def test_two_in_one_model():
    image = keras.Input((32, 32, 3))
    outputs = [_tiny(name=name)(image) for name in ("a", "b")]
    model = keras.Model(image, outputs)
    assert len(model.weights) == 2 * len(_tiny().weights)


def test_drop_path_rises_linearly():
    model = _tiny(drop_path_rate=0.4)
    rates = [
        layer.drop_path_rate
        for layer in model.layers
        if isinstance(layer, keras_twins.layers.TwinsBlock)
    ]
    np.testing.assert_allclose(rates, [0, 0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize("include_top", [True, False])
def test_reset_classifier_keeps_the_body(include_top):
    model = _tiny(include_top=include_top)
    x = tiny.images(2, 32, 32, 3)
    new = keras_twins.reset_classifier(model, 9, classifier_activation=None)
    assert new.output.shape == (None, 9)
    assert new.get_layer("norm") is model.get_layer("norm")
    features = keras_twins.reset_classifier(model, 0).predict_on_batch(x)
    kernel, bias = new.get_layer("predictions").get_weights()
    np.testing.assert_allclose(
        new.predict_on_batch(x), features @ kernel + bias, atol=1e-5
    )
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(new)
    )
    assert again.output.shape == (None, 9)


def test_reset_classifier_refuses():
    with pytest.raises(ValueError, match="`classes` must be"):
        keras_twins.reset_classifier(_tiny(), -1)
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="must be a Twins classifier"):
        keras_twins.reset_classifier(other, 3)


def test_numpy_integers_are_integers():
    classes, side = np.int64(4), np.int64(32)
    model = _tiny(classes=classes, input_shape=(side, side, 3))
    assert model.output.shape == (None, 4)
    assert _tiny(classes=0, include_top=False).output.shape[-1] == 32


def test_list_models():
    names = keras_twins.list_models()
    assert len(names) == 6
    assert all(callable(getattr(keras_twins, name)) for name in names)
    assert keras_twins.list_models("*svt*base") == ["TwinsSVTBase"]
