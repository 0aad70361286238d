import os
import pathlib

import numpy as np
import pytest
from safetensors.numpy import load_file

import keras_twins
from keras_twins.weights.errors import CheckpointError
from tests import tiny
from tests.weights_port.files import disguise
from tests.weights_port.files import official_state
from tests.weights_port.files import with_prefix
from tests.weights_port.files import write_paddle
from tests.weights_port.files import write_safetensors
from tests.weights_port.files import write_torch
from weights_port import convert
from weights_port import export

CONFIGS = pytest.mark.parametrize(
    "config", [tiny.SVT, tiny.PCPVT], ids=["svt", "pcpvt"]
)


def write_source(path: pathlib.Path, kind: str, state) -> str:
    """Writes official weights as another code base does; returns the naming."""
    if kind == "paddle":
        write_paddle(path, disguise(state, "paddle"))
        return "paddle"
    if kind == "safetensors":
        write_safetensors(path, state)
        return "official"
    pytest.importorskip("torch")
    if kind == "official":
        content = {"model": with_prefix(state, "module."), "epoch": 300}
        write_torch(path, content)
        return "official"
    if kind == "timm legacy":
        write_torch(path, state, legacy=True)
        return "official"
    given = disguise(state, kind)
    body = {n: v for n, v in given.items() if not n.startswith("head")}
    head = {n: v for n, v in given.items() if n.startswith("head")}
    content = with_prefix(body, "backbone.") | head
    write_torch(path, {"meta": {}, "state_dict": content})
    return kind


def check_state(path, expected) -> None:
    found = load_file(path)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].dtype == np.float32
        assert found[name].tobytes() == values.tobytes(), name


@pytest.mark.parametrize(
    "kind",
    [
        "official",
        "timm legacy",
        "safetensors",
        "mmpretrain",
        "mmsegmentation",
        "paddle",
    ],
)
@CONFIGS
def test_every_format_to_keras_and_back_to_the_bit(tmp_path, kind, config):
    classes = None if kind == "mmsegmentation" else 5
    state = official_state(config, classes)
    source = tmp_path / "original"
    naming = write_source(source, kind, state)
    ported, back = tmp_path / "a.weights.h5", tmp_path / "b.safetensors"
    result = convert(source, ported, config)
    assert result.official.naming == naming
    exported = export(ported, back, config)
    check_state(back, state)
    assert exported.official.classes == classes
    assert {*os.listdir(tmp_path)} == {"original", ported.name, back.name}


@pytest.mark.parametrize("kind", ["mmpretrain", "paddle"])
def test_safetensors_are_written_directly(tmp_path, kind):
    state = official_state(tiny.SVT)
    write_source(tmp_path / "original", kind, state)
    convert(tmp_path / "original", tmp_path / "out.safetensors", tiny.SVT)
    check_state(tmp_path / "out.safetensors", state)


def test_the_report_says_how_to_build_the_model(tmp_path):
    source, out = tmp_path / "original", tmp_path / "out.safetensors"
    write_source(source, "mmpretrain", official_state(tiny.SVT))
    result = convert(source, out, tiny.SVT)
    report = result.report()
    assert "mmpretrain names" in report
    assert "wrapper: state_dict + backbone." in report
    assert "dialect='mmpretrain_svt'" in report
    assert result.sha256 in report


@pytest.mark.parametrize("suffix", [".weights.h5", ".safetensors"])
def test_converted_weights_fit_the_public_classifier(tmp_path, suffix):
    source, out = tmp_path / "original", tmp_path / f"ported{suffix}"
    state = official_state(tiny.SVT, classes=1000)
    write_safetensors(source, state)
    convert(source, out, tiny.SVT)
    # With its preprocessing layer, which the ported file knows nothing of.
    model = keras_twins.classifier(tiny.SVT, weights=out)
    kernel = model.get_layer("predictions").get_weights()[0]
    np.testing.assert_array_equal(kernel, state["head.weight"].T)
    kernel = model.get_layer("stage3_block0").attention.projection.kernel
    np.testing.assert_array_equal(
        tiny.to_numpy(kernel), state["blocks.3.0.attn.proj.weight"].T
    )


def test_the_head_can_be_left_out(tmp_path):
    source = tmp_path / "original"
    out = tmp_path / "out.weights.h5"
    state = official_state(tiny.SVT)
    write_safetensors(source, state)
    result = convert(source, out, tiny.SVT, include_top=False)
    assert not result.official.include_top
    assert {*result.official.left_out} == {"head.weight", "head.bias"}
    keras_twins.classifier(tiny.SVT, weights=out, include_top=False)
    export(out, tmp_path / "back.safetensors", tiny.SVT)
    body = {n: v for n, v in state.items() if not n.startswith("head.")}
    check_state(tmp_path / "back.safetensors", body)
    with pytest.raises(CheckpointError, match="head.weight"):
        convert(out, tmp_path / "c.safetensors", tiny.SVT, include_top=True)


def test_other_channels_and_half_precision(tmp_path):
    state = official_state(tiny.SVT, channels=1)
    halves = {name: v.astype("float16") for name, v in state.items()}
    write_safetensors(tmp_path / "original", halves)
    convert(tmp_path / "original", tmp_path / "a.weights.h5", tiny.SVT)
    export(tmp_path / "a.weights.h5", tmp_path / "b.safetensors", tiny.SVT)
    expected = {name: v.astype("float32") for name, v in halves.items()}
    check_state(tmp_path / "b.safetensors", expected)


@pytest.mark.parametrize("suffix", [".weights.h5", ".safetensors"])
def test_a_bad_source_leaves_the_old_result(tmp_path, suffix):
    source, out = tmp_path / "original", tmp_path / f"out{suffix}"
    out.write_bytes(b"old")
    state = official_state(tiny.SVT)
    del state["norm.bias"]
    write_safetensors(source, state)
    with pytest.raises(CheckpointError, match="norm.bias: missing"):
        convert(source, out, tiny.SVT)
    assert out.read_bytes() == b"old"
    assert {*os.listdir(tmp_path)} == {"original", out.name}


def test_a_write_that_fails_leaves_the_old_result(tmp_path, monkeypatch):
    source, out = tmp_path / "original", tmp_path / "out.weights.h5"
    out.write_bytes(b"old")
    write_safetensors(source, official_state(tiny.SVT))

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        convert(source, out, tiny.SVT)
    assert out.read_bytes() == b"old"
    assert {*os.listdir(tmp_path)} == {"original", out.name}


def test_paths_that_cannot_be_meant_are_refused(tmp_path):
    source = tmp_path / "a.safetensors"
    write_safetensors(source, official_state(tiny.SVT))
    with pytest.raises(ValueError, match="must end with .weights.h5 or"):
        convert(source, tmp_path / "out.pth", tiny.SVT)
    with pytest.raises(ValueError, match="must end with .safetensors"):
        export(source, tmp_path / "out.weights.h5", tiny.SVT)
    with pytest.raises(ValueError, match="another file"):
        convert(source, source, tiny.SVT)
    with pytest.raises(ValueError, match="folder that exists"):
        convert(source, tmp_path / "no" / "out.safetensors", tiny.SVT)


def test_keras_files_of_others_are_refused(tmp_path):
    import h5py

    path = tmp_path / "other.weights.h5"
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = np.zeros(3)
    with pytest.raises(CheckpointError, match="a model of keras_twins"):
        export(path, tmp_path / "out.safetensors")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CheckpointError, match="cannot be read"):
        export(path, tmp_path / "out.safetensors")
