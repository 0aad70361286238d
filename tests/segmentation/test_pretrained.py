"""Weights of whole models: names, files, downloads, and the way back."""

import dataclasses
import hashlib
import logging

import keras
import numpy as np
import pytest

from keras_twins.config import VARIANTS
from keras_twins.segmentation import SemanticFPN
from keras_twins.segmentation import UPerNet
from keras_twins.segmentation import export_state
from keras_twins.weights import CheckpointError
from keras_twins.weights import WeightsDownloadError
from keras_twins.weights import segmentation_registry as registry
from keras_twins.weights import write_safetensors
from tests.segmentation.models import both
from tests.segmentation.models import quick
from tests.tiny import MINIMAL
from tests.tiny import PCPVT
from tests.tiny import randomise
from tests.weights.server import run_server
from tests.weights.server import send

TINY = {
    SemanticFPN: {"pyramid_filters": 6, "filters": 8},
    UPerNet: {"filters": 8, "auxiliary_filters": 6},
}


@pytest.fixture(autouse=True)
def _small_variant(monkeypatch):
    monkeypatch.setitem(VARIANTS, "svt_small", MINIMAL)


def build(cls, weights=None, num_classes=5, variant="svt_small", **kwargs):
    return cls.from_twins(
        variant, weights, num_classes, **{**TINY[cls], **kwargs}
    )


def filled(cls, **kwargs):
    model = build(cls, **kwargs)
    randomise(model)
    return model


def predict(model) -> np.ndarray:
    pixels = np.random.default_rng(1).uniform(0, 255, (1, 71, 64, 3))
    return model.predict_on_batch(pixels.astype("float32"))


@quick
@pytest.mark.parametrize("dialect", ["mmsegmentation", "official_segmentation"])
def test_there_and_back(cls, dialect, tmp_path):
    model = filled(cls, dialect=dialect)
    state = export_state(model)
    packed = "backbone.layers.1.0.attn.attn.in_proj_weight"
    assert (packed in state) == (dialect == "mmsegmentation")
    write_safetensors(state, tmp_path / "model.safetensors")
    again = build(cls, tmp_path / "model.safetensors")
    # The numeric details follow from whose names they are.
    assert again.backbone.config == model.backbone.config
    np.testing.assert_allclose(predict(again), predict(model), atol=1e-6)


def test_the_names_are_those_of_the_originals():
    """As the manifests of the reference outputs have them."""
    upernet = export_state(filled(UPerNet))
    assert upernet["decode_head.psp_modules.3.1.conv.weight"].shape == (
        (8, 32, 1, 1)
    )
    assert upernet["decode_head.fpn_bottleneck.bn.running_var"].shape == (8,)
    assert upernet["auxiliary_head.conv_seg.bias"].shape == (5,)
    fpn = export_state(filled(SemanticFPN))
    assert fpn["neck.fpn_convs.3.conv.weight"].shape == (6, 6, 3, 3)
    assert fpn["decode_head.scale_heads.3.4.conv.weight"].shape == (8, 8, 3, 3)
    assert fpn["backbone.norm_list.3.weight"].shape == (32,)


def test_what_no_model_reads_is_left_over_and_named(tmp_path, caplog):
    model = filled(UPerNet, dialect="mmsegmentation")
    state = export_state(model)
    state["backbone.norm.weight"] = np.ones(32, "float32")
    state["backbone.head.bias"] = np.ones(1000, "float32")
    write_safetensors(state, tmp_path / "model.safetensors")
    with caplog.at_level(logging.INFO, "keras_twins"):
        again = build(
            UPerNet, tmp_path / "model.safetensors", auxiliary_weight=0
        )
    assert "not used: head.bias, norm.weight" in caplog.text
    np.testing.assert_allclose(predict(again), predict(model), atol=1e-6)


@both
def test_keras_files(cls, tmp_path):
    model = filled(cls, dialect="mmsegmentation")
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    again = build(cls, path, dialect="mmsegmentation")
    np.testing.assert_allclose(predict(again), predict(model), atol=1e-6)
    # The auxiliary head, too, which no prediction shows.
    expected = export_state(model)
    for name, values in export_state(again).items():
        np.testing.assert_array_equal(values, expected[name])


def test_keras_files_do_not_tell_their_dialect(tmp_path):
    path = tmp_path / "model.weights.h5"
    filled(SemanticFPN).save_weights(path)
    with pytest.raises(
        ValueError,
        match="'official_segmentation' after.*'mmsegmentation' after.*=None",
    ):
        build(SemanticFPN, path)


def test_keras_files_with_and_without_an_auxiliary_head(tmp_path):
    path, dialect = tmp_path / "model.weights.h5", "official_segmentation"
    model = filled(UPerNet)
    model.save_weights(path)
    single = build(UPerNet, path, dialect=dialect, auxiliary_weight=0)
    np.testing.assert_allclose(predict(single), predict(model), atol=1e-6)
    single.save_weights(path)
    with pytest.raises(CheckpointError, match="no auxiliary.*ry_weight=0`"):
        build(UPerNet, path, dialect=dialect)


@pytest.mark.parametrize("argument", ["num_classes", "auxiliary_filters"])
def test_keras_files_of_other_heads(argument, tmp_path):
    path = tmp_path / "model.weights.h5"
    filled(UPerNet).save_weights(path)
    with pytest.raises(CheckpointError, match="`num_classes` and") as caught:
        build(UPerNet, path, dialect="official_segmentation", **{argument: 9})
    assert "include_top" not in str(caught.value)


def test_keras_files_have_no_negative_variances(tmp_path):
    path = tmp_path / "model.weights.h5"
    model = filled(UPerNet)
    weights = [v for v in model.weights if v.path.endswith("moving_variance")]
    weights[-1].assign(-keras.ops.convert_to_tensor(weights[-1]))
    model.save_weights(path)
    with pytest.raises(CheckpointError, match="variances below zero"):
        build(UPerNet, path, dialect="official_segmentation")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s.pop("decode_head.conv_seg.bias"),
            "conv_seg.bias: missing",
        ),
        (
            lambda s: s.update({"decode_head.other": np.ones(3, "float32")}),
            "decode_head.other: unknown",
        ),
        (
            lambda s: s.update(
                {"decode_head.conv_seg.bias": np.ones(7, "float32")}
            ),
            "num_classes",
        ),
        (
            lambda s: s.update(
                {"neck.lateral_convs.0.conv.bias": np.full(6, np.nan, "f4")}
            ),
            "not finite",
        ),
        (
            lambda s: s.update(
                {
                    "decode_head.scale_heads.0.0.bn.running_var": np.full(
                        8, -0.1, "float32"
                    )
                }
            ),
            "running_var: holds variances below zero",
        ),
        (
            lambda s: s.update({"backbone.odd.name": np.ones(3, "float32")}),
            "odd.name: an unknown name",
        ),
    ],
    ids=["missing", "unknown", "classes", "nan", "variance", "backbone"],
)
def test_wrong_files(change, message, tmp_path):
    state = export_state(filled(SemanticFPN))
    change(state)
    write_safetensors(state, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=message):
        build(SemanticFPN, tmp_path / "model.safetensors")


@pytest.mark.parametrize(
    ("cls", "arguments", "hint"),
    [
        (UPerNet, {"num_classes": 7}, "with `num_classes=5`"),
        (UPerNet, {"filters": 9}, "with `filters=8`"),
        (SemanticFPN, {"filters": 9}, "with `filters=8`"),
        (SemanticFPN, {"pyramid_filters": 9}, "with `pyramid_filters=6`"),
        (UPerNet, {"auxiliary_filters": 9}, "with `auxiliary_filters=6`"),
        (UPerNet, {"variant": "pcpvt_small"}, "looks like svt_small"),
    ],
)
def test_files_of_other_sizes(cls, arguments, hint, tmp_path, monkeypatch):
    monkeypatch.setitem(VARIANTS, "pcpvt_small", PCPVT)
    path = tmp_path / "model.safetensors"
    write_safetensors(export_state(filled(cls)), path)
    with pytest.raises(CheckpointError, match=hint) as caught:
        build(cls, path, **arguments)
    assert "reset_classifier" not in str(caught.value)


def test_files_without_an_auxiliary_head(tmp_path):
    path = tmp_path / "model.safetensors"
    model = filled(UPerNet, auxiliary_weight=0)
    write_safetensors(export_state(model), path)
    with pytest.raises(CheckpointError, match="with `auxiliary_weight=0`, for"):
        build(UPerNet, path)


def test_the_head_of_another_model(tmp_path):
    path = tmp_path / "model.safetensors"
    write_safetensors(export_state(filled(SemanticFPN)), path)
    with pytest.raises(CheckpointError, match="of upernet.*of semantic_fpn"):
        build(UPerNet, path)
    state = {"blocks.0.0.norm1.bias": np.ones(8, "float32")}
    write_safetensors(state, path)
    with pytest.raises(CheckpointError, match="no model of segmentation"):
        build(UPerNet, path)


def test_ade20k_is_downloaded_once(tmp_path, monkeypatch):
    model = filled(UPerNet, num_classes=150, dialect="mmsegmentation")
    path = tmp_path / "file"
    write_safetensors(export_state(model), path)
    content = path.read_bytes()
    row = registry.ADE20K["upernet", "svt_small"]
    prefix = hashlib.sha256(content).hexdigest()[:8]
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    with run_server() as server:
        source = dataclasses.replace(
            row.source, url=f"{server.url}/file", sha256_prefix=prefix
        )
        row = dataclasses.replace(row, source=source)
        monkeypatch.setitem(registry.ADE20K, ("upernet", "svt_small"), row)
        server.pages["/file"] = send(content)
        again = build(UPerNet, "ade20k", num_classes=150)
        assert server.requests == ["/file"]
    np.testing.assert_allclose(predict(again), predict(model), atol=1e-6)
    folder = tmp_path / "home" / "models" / "keras_twins"
    recorded = (folder / f"{source.file_name}.sha256").read_text().strip()
    assert recorded == hashlib.sha256(content).hexdigest()
    # From the cache; a file that has changed since is refused.
    build(UPerNet, "ade20k", num_classes=150)
    (folder / source.file_name).write_bytes(content[:-1] + b"!")
    with (
        pytest.warns(UserWarning, match="expected sha256"),
        pytest.raises(WeightsDownloadError),
    ):
        build(UPerNet, "ade20k", num_classes=150)


def test_backbones_of_imagenet_have_fresh_norms_between_stages(
    tmp_path, monkeypatch
):
    import keras_twins
    from keras_twins.weights import pretrained

    classifier = keras_twins.classifier("svt_small", weights=None)
    randomise(classifier)
    path = tmp_path / "model.safetensors"
    write_safetensors(
        keras_twins.weights.export_state(classifier, MINIMAL), path
    )
    monkeypatch.setattr(pretrained, "fetch_weights", lambda _: path)
    model = build(SemanticFPN, "imagenet")
    weights = {v.path: v for v in model.weights}
    for v in classifier.weights:
        if v.path.startswith("stage"):
            np.testing.assert_array_equal(
                keras.ops.convert_to_numpy(weights[v.path]),
                keras.ops.convert_to_numpy(v),
            )
    gammas = [v for k, v in weights.items() if k.endswith("output_norm/gamma")]
    assert len(gammas) == 4
    assert all((keras.ops.convert_to_numpy(v) == 1).all() for v in gammas)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": "ade20k"}, "150 classes. Received: num_classes=5"),
        ({"weights": "cityscapes"}, "ade20k.*'cityscapes', which is no file"),
        ({"dialect": "caffe"}, "`dialect` must be one of"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        build(SemanticFPN, **arguments)


def test_the_table_of_published_weights():
    assert len(registry.ADE20K) == 12
    for (head, variant), row in registry.ADE20K.items():
        family, size = variant.split("_")
        assert f"{family}-{size[0]}_" in row.source.url
        assert ("uperhead" in row.source.url) == (head == "upernet")
        assert row.miou < row.miou_multi_scale
        assert row.source.sha256_prefix in row.source.file_name
