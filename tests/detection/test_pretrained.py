"""Weights of whole detectors: names, files, and the way back."""

import keras
import numpy as np
import pytest

from keras_twins.config import VARIANTS
from keras_twins.detection.mask_rcnn import MaskRCNN
from keras_twins.detection.pretrained import export_state
from keras_twins.detection.retinanet import RetinaNet
from keras_twins.segmentation import SemanticFPN
from keras_twins.segmentation import export_state as export_segmentation
from keras_twins.weights import CheckpointError
from keras_twins.weights import write_safetensors
from tests.compiling import call_compiled
from tests.tiny import MINIMAL
from tests.tiny import PCPVT
from tests.tiny import randomise
from tests.weights.detectron2_files import to_detectron2

PARAMETERS = {
    "pcpvt_small": (33_842_164, 43_759_600),
    "pcpvt_base": (53_564_404, 63_481_840),
    "pcpvt_large": (70_725_620, 80_643_056),
    "svt_small": (33_782_260, 43_699_696),
    "svt_base": (66_241_396, 75_577_200),
    "svt_large": (109_890_804, 118_644_976),
}
UNUSED = {
    "backbone.norm.weight": (32,),
    "backbone.norm.bias": (32,),
    "backbone.head.weight": (1000, 32),
    "backbone.head.bias": (1000,),
}
TINY = {RetinaNet: {"filters": 8}, MaskRCNN: {"filters": 8, "units": 16}}

both = pytest.mark.parametrize("cls", [RetinaNet, MaskRCNN])


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(VARIANTS, "svt_small", MINIMAL)
    monkeypatch.setitem(VARIANTS, "pcpvt_small", PCPVT)


def build(cls, weights=None, num_classes=3, variant="svt_small", **kwargs):
    return cls.from_twins(
        variant, weights, num_classes, **{**TINY[cls], **kwargs}
    )


def filled(cls, **kwargs):
    model = build(cls, **kwargs)
    randomise(model)
    return model


def raw(model) -> list[np.ndarray]:
    pixels = np.random.default_rng(1).uniform(0, 255, (1, 71, 64, 3))
    found = call_compiled(model.raw_outputs, pixels.astype("float32"))
    return [keras.ops.convert_to_numpy(x) for x in keras.tree.flatten(found)]


def check_same(model, expected) -> None:
    """The same weights, and the same numeric details."""
    assert model.backbone.config == expected.backbone.config
    found = {v.path: v for v in model.weights}
    for variable in expected.weights:
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(found[variable.path]),
            keras.ops.convert_to_numpy(variable),
            err_msg=variable.path,
        )


@both
def test_there_and_back(cls, tiny, tmp_path):
    model = filled(cls)
    state = export_state(model)
    path = tmp_path / "model.safetensors"
    write_safetensors(state, path)
    check_same(build(cls, path), model)


def test_the_names_are_those_of_the_originals(tiny):
    """As the manifests of the reference outputs have them."""
    shapes = {k: v.shape for k, v in export_state(filled(RetinaNet)).items()}
    assert shapes["backbone.norm_list.3.weight"] == (32,)
    assert shapes["neck.fpn_convs.3.conv.weight"] == (8, 32, 3, 3)
    assert shapes["bbox_head.reg_convs.3.conv.weight"] == (8, 8, 3, 3)
    assert shapes["bbox_head.retina_cls.bias"] == (27,)
    shapes = {k: v.shape for k, v in export_state(filled(MaskRCNN)).items()}
    box, mask = "roi_head.bbox_head", "roi_head.mask_head"
    assert shapes["rpn_head.rpn_reg.weight"] == (12, 8, 1, 1)
    assert shapes[f"{box}.shared_fcs.0.weight"] == (16, 8 * 7 * 7)
    assert shapes[f"{box}.fc_cls.weight"] == (4, 16)
    assert shapes[f"{mask}.upsample.weight"] == (8, 8, 2, 2)
    assert shapes[f"{mask}.conv_logits.weight"] == (3, 8, 1, 1)


def slow_models():
    for variant in VARIANTS:
        small = variant == "svt_small"
        for cls in (RetinaNet, MaskRCNN):
            marks = [] if small else [pytest.mark.slow]
            yield pytest.param(cls, variant, marks=marks)


@pytest.mark.parametrize(("cls", "variant"), list(slow_models()))
def test_parameters_are_those_of_the_originals(cls, variant):
    """Without the classifier and the norm that the originals carry along."""
    model = cls.from_twins(variant, weights=None)
    expected = PARAMETERS[variant][cls is MaskRCNN]
    assert sum(int(np.prod(v.shape)) for v in model.weights) == expected


@both
def test_what_no_model_reads_is_accepted(cls, tiny, tmp_path):
    model = filled(cls)
    state = export_state(model)
    state |= {k: np.ones(shape, "float32") for k, shape in UNUSED.items()}
    path = tmp_path / "model.safetensors"
    write_safetensors(state, path)
    check_same(build(cls, path), model)
    state["backbone.norm5.bias"] = np.ones(3, "float32")
    write_safetensors(state, path)
    with pytest.raises(CheckpointError, match="norm5.bias: an unknown name"):
        build(cls, path)


@both
def test_keras_files(cls, tiny, tmp_path):
    model = filled(cls)
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    check_same(build(cls, path), model)
    with pytest.raises(CheckpointError, match="class, variant and channels"):
        build(cls, path, filters=9)
    with pytest.raises(CheckpointError, match="same `num_classes`"):
        build(cls, path, num_classes=4)


@both
def test_a_backbone_of_its_own_details_is_warned_of(cls, tiny, tmp_path):
    model = filled(cls, dialect="mmsegmentation")
    path = tmp_path / "model.safetensors"
    with pytest.warns(UserWarning, match="dialect 'official_detection'"):
        write_safetensors(export_state(model), path)
    check_same(build(cls, path, dialect="mmsegmentation"), model)


@pytest.mark.parametrize(
    ("variant", "as_pvt", "untold"),
    [
        ("svt_small", False, "tell of `output_norms=False` and `extra_activ"),
        ("pcpvt_small", True, "tell of `extra_activation='relu'`: pass"),
    ],
)
def test_files_of_detectron2(variant, as_pvt, untold, tiny, tmp_path):
    model = filled(
        RetinaNet,
        variant=variant,
        output_norms=False,
        extra_activation="relu",
    )
    with pytest.warns(UserWarning, match=untold):
        state = export_state(model)
    state = to_detectron2(state, as_pvt=as_pvt)
    state["pixel_mean"] = np.array([123.675, 116.28, 103.53], "float32")
    state["pixel_std"] = np.ones((3, 1, 1), "float32")
    state["pixel_std"] *= np.array([58.395, 57.12, 57.375])[:, None, None]
    for level in range(5):
        name = f"anchor_generator.cell_anchors.{level}"
        state[name] = np.ones((9, 4), "float32")
    path = tmp_path / "model.safetensors"
    write_safetensors(state, path)
    again = build(RetinaNet, path, variant=variant)
    check_same(again, model)
    for found, expected in zip(raw(again), raw(model), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert again.get_config()["extra_activation"] == "relu"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s.update(
                pixel_mean=np.array([103.53, 116.28, 123.675], "float32")
            ),
            "pixel_mean: expected .*123.675.* for red, green and blue",
        ),
        (
            lambda s: s.update({"head.norm.bias": np.ones(3, "float32")}),
            "head.norm.bias: an unknown name",
        ),
        (
            lambda s: s.update(
                {"backbone.bottom_up.norm.bias": np.ones(3, "float32")}
            ),
            "bottom_up.norm.bias: an unknown name",
        ),
        (
            lambda s: s.update({"head.bbox_pred.bias": np.ones(8, "float32")}),
            "head.bbox_pred.bias must have .* 9 anchors",
        ),
        (
            lambda s: s.pop("backbone.top_block.p7.bias"),
            "neck.fpn_convs.4.conv.bias: missing",
        ),
    ],
    ids=["pixels", "head", "backbone", "anchors", "missing"],
)
def test_wrong_files_of_detectron2(change, message, tiny, tmp_path):
    model = filled(RetinaNet, variant="pcpvt_small")
    state = to_detectron2(export_state(model), as_pvt=True)
    change(state)
    path = tmp_path / "model.safetensors"
    write_safetensors(state, path)
    with pytest.raises(CheckpointError, match=message):
        build(RetinaNet, path, variant="pcpvt_small")


@pytest.mark.parametrize(
    ("cls", "arguments", "hint"),
    [
        (RetinaNet, {"num_classes": 4}, "with `num_classes=3`"),
        (RetinaNet, {"filters": 9}, "with `filters=8`"),
        (RetinaNet, {"variant": "pcpvt_small"}, "looks like svt_small"),
        (RetinaNet, {"output_norms": False}, "with `output_norms=True`"),
        (MaskRCNN, {"num_classes": 4}, "with `num_classes=3`"),
        (MaskRCNN, {"units": 9}, "with `units=16`"),
    ],
)
def test_files_of_other_sizes(cls, arguments, hint, tiny, tmp_path):
    path = tmp_path / "model.safetensors"
    write_safetensors(export_state(filled(cls)), path)
    with pytest.raises(CheckpointError, match=hint):
        build(cls, path, **arguments)


def test_the_head_of_another_model(tiny, tmp_path):
    path = tmp_path / "model.safetensors"
    write_safetensors(export_state(filled(RetinaNet)), path)
    with pytest.raises(CheckpointError, match="of mask_rcnn.*of retinanet"):
        build(MaskRCNN, path)
    state = {"blocks.0.0.norm1.bias": np.ones(8, "float32")}
    write_safetensors(state, path)
    with pytest.raises(CheckpointError, match="no model of detection"):
        build(RetinaNet, path)
    fpn = SemanticFPN.from_twins("svt_small", None, 3, filters=8)
    write_safetensors(export_segmentation(fpn), path)
    with pytest.raises(CheckpointError, match="retinanet.*of semantic_fpn"):
        build(RetinaNet, path)


def test_names_of_mmsegmentation_are_none_of_a_detector(tiny, tmp_path):
    path = tmp_path / "model.safetensors"
    state = export_state(filled(RetinaNet))
    state = {
        name.replace("backbone.blocks.", "backbone.layers."): values
        for name, values in state.items()
    }
    write_safetensors(state, path)
    with pytest.raises(CheckpointError, match="'official'.*mmsegmentation"):
        build(RetinaNet, path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": "coco"}, "nobody has published.*Received: weights='coco'"),
        ({"weights": "nowhere.pth"}, "imagenet.*'nowhere.pth', which is no"),
        ({"dialect": "caffe"}, "`dialect` must be one of"),
        ({"variant": "svt_tiny"}, "`variant` must be one of"),
    ],
)
def test_wrong_arguments(arguments, message, tiny):
    with pytest.raises(ValueError, match=message):
        build(RetinaNet, **arguments)


def test_export_needs_a_backbone_of_twins(tiny):
    model = build(RetinaNet)
    model._get_backbone = lambda: keras.Sequential()
    with pytest.raises(ValueError, match="must have a `TwinsBackbone`"):
        export_state(model)
