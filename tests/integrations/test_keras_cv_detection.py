"""KerasCV's detectors: each builds, learns, and comes back from its file."""

import sys

import keras
import pytest

from keras_twins.integrations import keras_cv as twins_cv
from tests.compiling import build_optimizer
from tests.compiling import slow_on
from tests.integrations import detectors
from tests.integrations import heads

BUILDERS = {"retinanet": twins_cv.retinanet, "yolo_v8": twins_cv.yolo_v8}
LOSSES = {
    "retinanet": {"box_loss": "smoothl1", "classification_loss": "focal"},
    "yolo_v8": {
        "box_loss": "ciou",
        "classification_loss": "binary_crossentropy",
    },
}
# Maps of 8, 4 and 2, RetinaNet's also of 1 and 1; 9 anchors each.
SHAPES = {
    "retinanet": {
        "box": (2, 774, 4),
        "classification": (2, 774, heads.CLASSES),
    },
    "yolo_v8": {"boxes": (2, 84, 64), "classes": (2, 84, heads.CLASSES)},
}

pytestmark = [
    # KerasCV names the input, and hands images over without the name.
    pytest.mark.filterwarnings("ignore:The structure of `inputs`:UserWarning"),
    # Every detector has a `compile` of its own.
    pytest.mark.filterwarnings("ignore:`compile\\(\\)` was not:UserWarning"),
]


@pytest.fixture
def library():
    return pytest.importorskip("keras_cv")


@pytest.fixture(params=list(BUILDERS))
def head(request) -> str:
    return request.param


def detector(library, head: str, **kwargs) -> keras.Model:
    """Returns a detector that is unsure of what it sees, and says so."""
    decoder = library.layers.NonMaxSuppression(
        bounding_box_format=detectors.FORMAT,
        from_logits=head == "retinanet",
        confidence_threshold=1e-4,
        max_detections=20,
    )
    depth = {} if head == "retinanet" else {"fpn_depth": 1}
    return BUILDERS[head](
        heads.backbone(**kwargs),
        heads.CLASSES,
        bounding_box_format=detectors.FORMAT,
        prediction_decoder=decoder,
        **depth,
    )


@pytest.mark.parametrize(
    "head", [pytest.param("retinanet", marks=slow_on("jax")), "yolo_v8"]
)
def test_forward_and_file(head, library, tmp_path):
    model = detector(library, head, image_shape=(None, None, 3))
    detectors.check_outputs(model, SHAPES[head])
    detectors.check_saving(model, tmp_path)
    detectors.check_frozen(model, model.backbone)


@slow_on("jax")
def test_learns(head, library):
    model = detector(library, head)
    model.compile(optimizer=keras.optimizers.SGD(0.001), **LOSSES[head])
    build_optimizer(model)
    detectors.check_training_step(model, "classes")


@slow_on("jax")
@pytest.mark.xfail(
    keras.backend.backend() == "torch",
    raises=ImportError,
    strict=True,
    reason="KerasCV 0.9.0: on the torch backend, its suppression of boxes is "
    "torchvision's, and that is no dependency of the package.",
)
def test_predicts(head, library):
    if keras.backend.backend() == "torch":
        skip_with_torchvision()
    detectors.check_predictions(detector(library, head), "classes")


def skip_with_torchvision() -> None:
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):
        return
    pytest.skip("torchvision is here, and nothing is missing")


@slow_on("jax")
def test_missing_torchvision_is_named(head, library):
    # The first as of a torchvision that is of another PyTorch.
    errors = [
        RuntimeError("operator torchvision::nms does not exist"),
        RuntimeError("out of memory"),
    ]

    def broken(*args, **kwargs):
        raise errors.pop(0)

    decoder = library.layers.NonMaxSuppression(detectors.FORMAT, True)
    decoder.call = broken
    model = BUILDERS[head](
        heads.backbone(),
        heads.CLASSES,
        bounding_box_format=detectors.FORMAT,
        prediction_decoder=decoder,
    )
    with pytest.raises(ImportError, match="Install the torchvision"):
        model.prediction_decoder.call(None, None)
    with pytest.raises(RuntimeError, match="out of memory"):
        model.prediction_decoder.call(None, None)


def test_sides_that_do_not_fit(head, library):
    with pytest.raises(ValueError, match="multiples of 32.*80, 64"):
        BUILDERS[head](heads.backbone(image_shape=(80, 64, 3)), 3)


def test_missing_library_names_the_extra(head, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_cv", None)
    with pytest.raises(ImportError, match=r"keras-twins\[cv\]"):
        BUILDERS[head](heads.backbone(), heads.CLASSES)
