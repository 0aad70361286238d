"""Twins as classes of KerasHub, its presets, and KerasHub's heads."""

import dataclasses
import hashlib
import importlib
import sys

import keras
import numpy as np
import pytest

import keras_twins
from keras_twins.weights import export_state
from keras_twins.weights import registry
from keras_twins.weights import write_safetensors
from tests import tiny
from tests.integrations import heads
from tests.weights.server import run_server
from tests.weights.server import send

NAME = "keras_twins.integrations.keras_hub"
HANDLE = "hf://timm/twins_svt_small.in1k"

pytestmark = [
    # KerasHub makes a data set of arrays, and Keras cannot shuffle that.
    pytest.mark.filterwarnings("ignore:`shuffle=True` was passed:UserWarning"),
    # Every task of KerasHub has a `compile` of its own.
    pytest.mark.filterwarnings("ignore:`compile\\(\\)` was not:UserWarning"),
]


@pytest.fixture
def library():
    return pytest.importorskip("keras_hub")


@pytest.fixture
def hub(library):
    return importlib.import_module(NAME)


def small_backbone(hub, **kwargs):
    backbone = hub.TwinsBackbone(heads.CONFIG, **kwargs)
    tiny.randomise(backbone)
    return backbone


def test_missing_library_names_the_extra(monkeypatch):
    for module in [m for m in sys.modules if m.startswith(NAME)]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(ImportError, match=r"keras-twins\[hub\]"):
        importlib.import_module(NAME)


def test_backbone_is_the_network_of_the_package(hub):
    ours = keras_twins.TwinsBackbone(heads.CONFIG)
    tiny.randomise(ours)
    theirs = hub.TwinsBackbone(heads.CONFIG, image_shape=(64, 64, 3))
    assert [w.path for w in theirs.weights] == [w.path for w in ours.weights]
    theirs.set_weights(ours.get_weights())
    np.testing.assert_array_equal(heads.outputs(theirs), heads.outputs(ours))
    for level, dim in zip(range(2, 6), theirs.hidden_dims, strict=True):
        side = heads.SIDE // 2**level
        shape = (None, side, side, dim)
        assert theirs.pyramid_outputs[f"P{level}"].shape == shape


def test_backbone_comes_back_from_its_config(hub):
    backbone = hub.TwinsBackbone(
        heads.CONFIG,
        image_shape=(None, 64, 1),
        drop_path_rate=0.25,
        final_norm=False,
        dtype="mixed_bfloat16",
        trainable=False,
    )
    again = hub.TwinsBackbone.from_config(backbone.get_config())
    assert again.get_config() == backbone.get_config()
    assert again.options.drop_path_rate == 0.25
    assert not again.trainable
    policies = {layer.dtype_policy.name for layer in again._flatten_layers()}
    assert policies - {"float32"} == {"mixed_bfloat16"}


def test_a_name_is_no_config(hub):
    with pytest.raises(ValueError, match="from_preset.*config=.svt_small"):
        hub.TwinsBackbone("svt_small")


def test_lora_reaches_the_attention(hub):
    backbone = small_backbone(hub)
    backbone.enable_lora(rank=2)
    names = {v.path.split("/")[-1] for v in backbone.trainable_variables}
    assert {"lora_kernel_a", "lora_kernel_b"} <= names
    # A block of local attention has `qkv`, three of global `q` and `kv`.
    assert len(backbone._lora_enabled_layers) == 7


def test_classifier_contract(hub, tmp_path):
    model = hub.TwinsImageClassifier(
        small_backbone(hub),
        num_classes=heads.CLASSES,
        preprocessor=hub.TwinsImageClassifierPreprocessor(
            hub.TwinsImageConverter(image_size=(64, 64), scale=1 / 255)
        ),
    )
    heads.check_training_step(
        model,
        np.array([0, 1]),
        loss=keras.losses.SparseCategoricalCrossentropy(True),
    )
    loaded = heads.check_saving(model, tmp_path)
    assert loaded.preprocessor.image_size == (64, 64)


def test_presets_in_a_folder(hub, library, tmp_path):
    preset = str(tmp_path / "preset")
    model = hub.TwinsImageClassifier(
        small_backbone(hub),
        num_classes=heads.CLASSES,
        preprocessor=hub.TwinsImageClassifierPreprocessor(
            hub.TwinsImageConverter(image_size=(32, 48), scale=1 / 255)
        ),
    )
    model.save_to_preset(preset)
    expected = heads.outputs(model)
    loaded = hub.TwinsImageClassifier.from_preset(preset)
    np.testing.assert_allclose(heads.outputs(loaded), expected, atol=1e-6)
    assert loaded.preprocessor.image_size == (32, 48)
    # The classes of KerasHub itself find ours.
    other = library.models.ImageClassifier.from_preset(preset, num_classes=7)
    assert type(other) is hub.TwinsImageClassifier
    assert other.output.shape == (None, 7)
    backbone = library.models.Backbone.from_preset(
        preset, image_shape=(64, 64, 3)
    )
    assert backbone.image_shape == (64, 64, 3)
    features = heads.outputs(model.backbone)
    for found in (other.backbone, backbone):
        assert type(found) is hub.TwinsBackbone
        np.testing.assert_allclose(heads.outputs(found), features, atol=1e-6)
    converter = library.layers.ImageConverter.from_preset(preset)
    assert type(converter) is hub.TwinsImageConverter


@pytest.fixture
def published(monkeypatch, tmp_path):
    """Serves a small network as if it were timm's; gives it and requests."""
    original = keras_twins.classifier(
        heads.CONFIG,
        input_shape=(64, 64, 3),
        include_preprocessing=False,
        classifier_activation=None,
    )
    tiny.randomise(original)
    write_safetensors(export_state(original, heads.CONFIG), tmp_path / "file")
    content = (tmp_path / "file").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    source = dataclasses.replace(
        registry.SOURCES["svt_small"][0], sha256=digest
    )
    monkeypatch.setitem(registry.SOURCES, "svt_small", (source,))
    monkeypatch.setitem(keras_twins.VARIANTS, "svt_small", heads.CONFIG)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    path = source.url.removeprefix("{endpoint}")
    with run_server() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        server.pages[path] = send(content)
        yield original, server.requests


def test_handles_of_timm(hub, published):
    original, requests = published
    model = hub.TwinsImageClassifier.from_preset(HANDLE)
    assert len(requests) == 1
    np.testing.assert_allclose(
        heads.outputs(model), heads.outputs(original), atol=1e-5
    )
    backbone = hub.TwinsBackbone.from_preset(HANDLE, image_shape=(64, 64, 3))
    other = hub.TwinsImageClassifier.from_preset(
        HANDLE, num_classes=5, preprocessor=None, dtype="mixed_bfloat16"
    )
    assert other.output.shape == (None, 5)
    assert other.dtype_policy.name == "mixed_bfloat16"
    for loaded in (backbone, other.backbone):
        for ours, theirs in zip(
            loaded.weights, model.backbone.weights, strict=True
        ):
            np.testing.assert_array_equal(
                tiny.to_numpy(ours), tiny.to_numpy(theirs)
            )
    empty = hub.TwinsBackbone.from_preset(HANDLE, load_weights=False)
    assert np.ptp(tiny.to_numpy(empty.get_layer("norm").gamma)) == 0
    assert len(requests) == 1  # the cache is enough


def test_images_are_resized_to_what_the_backbone_takes(hub, monkeypatch):
    monkeypatch.setitem(keras_twins.VARIANTS, "svt_small", heads.CONFIG)
    pixels = np.zeros((1, 80, 80, 3), "uint8")

    def classifier(image_shape):
        return hub.TwinsImageClassifier.from_preset(
            HANDLE, load_weights=False, image_shape=image_shape
        )

    model = classifier((96, 64, 3))
    # Not called: JAX would compile each operation for this size.
    assert model.preprocessor(pixels).shape == (1, *model.input_shape[1:])
    assert model.input_shape == (None, 96, 64, 3)
    partly_known = classifier((None, 64, 3)).preprocessor
    assert partly_known.image_size == (224, 64)


def test_pixels_are_prepared_as_the_weights_expect(hub):
    preprocessor = hub.TwinsImageClassifierPreprocessor.from_preset(HANDLE)
    assert preprocessor.image_size == (224, 224)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3))
    np.testing.assert_allclose(
        tiny.to_numpy(preprocessor(pixels.astype("uint8"))),
        keras_twins.preprocessing.normalize(pixels),
        atol=1e-4,
    )
    converter = hub.TwinsImageConverter.from_preset(HANDLE, image_size=(64, 96))
    assert converter(pixels).shape == (1, 64, 96, 3)


@pytest.mark.parametrize(
    "preset", ["hf://timm/twins_svt_tiny.in1k", "hf://timm/twins_svt_small"]
)
def test_unknown_handles_of_timm(preset, hub):
    with pytest.raises(ValueError, match="twins_pcpvt_base.in1k.*Received"):
        hub.TwinsBackbone.from_preset(preset)


def check_segmenter(model: keras.Model, folder) -> None:
    shape = (2, heads.SIDE, heads.SIDE, heads.CLASSES)
    assert heads.outputs(model).shape == shape
    loss = keras.losses.SparseCategoricalCrossentropy(True, ignore_class=255)
    heads.check_training_step(model, heads.label_maps(), loss=loss)
    loaded = heads.check_saving(model, folder)
    pixels = np.full((1, 2, 2, 3), 255.0)
    np.testing.assert_allclose(
        tiny.to_numpy(loaded.preprocessor(pixels)),
        keras_twins.preprocessing.normalize(pixels),
        atol=1e-5,
    )


def test_deeplab_contract(hub, tmp_path):
    backbone = heads.backbone(image_shape=(None, None, 3))
    model = hub.deeplab_v3(backbone, heads.CLASSES, dilation_rates=[2])
    check_segmenter(model, tmp_path)


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="no backend but torch fails"
)
@pytest.mark.xfail(
    raises=RuntimeError,
    strict=True,
    reason="Keras 3.15.1: sparse_categorical_crossentropy of probabilities "
    "hands torch's nll_loss a channels-last view; on maps its backward pass "
    "says `grad_input must be contiguous`. Logits are well.",
)
def test_label_maps_and_probabilities(hub):
    model = hub.deeplab_v3(
        heads.backbone(),
        heads.CLASSES,
        dilation_rates=[2],
        activation="softmax",
    )
    loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=255)
    heads.check_training_step(model, heads.label_maps(), loss=loss)


def test_segformer_contract(hub, tmp_path):
    backbone = hub.TwinsBackbone(heads.CONFIG, (64, 64, 3), final_norm=False)
    model = hub.segformer(backbone, heads.CLASSES, projection_filters=8)
    check_segmenter(model, tmp_path)


@pytest.mark.parametrize("level", [None, "P3", "P4"])
def test_deeplab_joins_any_level(level, hub):
    model = hub.deeplab_v3(
        hub.TwinsBackbone(heads.CONFIG, (64, 64, 3)),
        heads.CLASSES,
        low_level_feature_key=level,
        include_preprocessing=False,
    )
    assert model.output.shape == (None, 64, 64, heads.CLASSES)
    assert model.preprocessor is None


def test_deeplab_refuses_other_levels(hub):
    with pytest.raises(ValueError, match="`low_level_feature_key` must be"):
        hub.deeplab_v3(heads.backbone(), 3, low_level_feature_key="P5")


def test_grey_images_have_no_normalisation_of_colours(hub):
    backbone = heads.backbone(image_shape=(64, 64, 1))
    assert hub.segformer(backbone, heads.CLASSES).preprocessor is None
