"""KerasHub's RetinaNet: it builds, learns, and comes back from its file."""

import importlib

import keras
import numpy as np
import pytest

import keras_twins
from tests import tiny
from tests.compiling import build_optimizer
from tests.compiling import slow_on
from tests.integrations import detectors
from tests.integrations import heads

# Maps of 8, 4, 2 and 1; 9 anchors each.
SHAPES = {
    "bbox_regression": (2, 765, 4),
    "cls_logits": (2, 765, heads.CLASSES),
}

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
    return importlib.import_module("keras_twins.integrations.keras_hub")


def detector(hub, library, **kwargs) -> keras.Model:
    """Returns a detector that is unsure of what it sees, and says so."""
    decoder = library.layers.NonMaxSuppression(
        bounding_box_format=detectors.FORMAT,
        from_logits=True,
        confidence_threshold=1e-4,
        max_detections=20,
    )
    kwargs = {"max_level": 6, "prediction_decoder": decoder, **kwargs}
    return hub.retinanet(
        heads.backbone(),
        heads.CLASSES,
        bounding_box_format=detectors.FORMAT,
        **kwargs,
    )


def test_forward_and_file(hub, library, tmp_path):
    model = detector(hub, library)
    detectors.check_outputs(model, SHAPES)
    loaded = detectors.check_saving(model, tmp_path)
    detectors.check_frozen(model, model.backbone.image_encoder)
    pixels = np.full((1, 2, 2, 3), 255.0)
    np.testing.assert_allclose(
        tiny.to_numpy(loaded.preprocessor(pixels)),
        keras_twins.preprocessing.normalize(pixels),
        atol=1e-5,
    )


@slow_on("jax")
def test_learns(hub, library):
    model = detector(hub, library)
    model.compile(optimizer=keras.optimizers.SGD(1e-4))
    build_optimizer(model)
    detectors.check_training_step(model, "labels")


@slow_on("jax")
def test_predicts(hub, library):
    model = detector(hub, library, preprocessor=None)
    detectors.check_predictions(model, "labels")


def test_backbone_of_the_library(hub):
    backbone = hub.TwinsBackbone(heads.CONFIG, (64, 128, 3), final_norm=False)
    model = hub.retinanet(
        backbone, heads.CLASSES, max_level=6, include_preprocessing=False
    )
    assert model.preprocessor is None
    assert model.backbone.image_encoder is backbone
    assert model.input_shape == (None, 64, 128, 3)


def test_sides_that_do_not_fit(hub):
    with pytest.raises(ValueError, match="multiples of 128.*64, 64"):
        hub.retinanet(heads.backbone(), 3)
    with pytest.raises(ValueError, match="known size.*None, 64"):
        hub.retinanet(heads.backbone(image_shape=(None, 64, 3)), 3)


@pytest.mark.parametrize("max_level", [4, 8])
def test_levels(max_level, hub):
    with pytest.raises(ValueError, match="`max_level` must be one of"):
        hub.retinanet(heads.backbone(), 3, max_level=max_level)


def test_relative_boxes(hub):
    with pytest.raises(ValueError, match="`bounding_box_format` must be one"):
        hub.retinanet(heads.backbone(), 3, bounding_box_format="rel_xyxy")


@pytest.mark.xfail(
    raises=ValueError,
    strict=True,
    reason="KerasHub 0.32: `AnchorGenerator` converts its anchors to the "
    "format of the boxes without the size of the image.",
)
def test_anchors_of_relative_boxes(library):
    anchors = library.layers.AnchorGenerator("rel_xyxy", 3, 5, 1, [1.0], 4.0)
    anchors(heads.images())
