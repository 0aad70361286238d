"""Whole dense models: recognised, converted, verified."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from keras_twins.config import VARIANTS
from keras_twins.detection.mask_rcnn import MaskRCNN
from keras_twins.detection.pretrained import export_state
from keras_twins.detection.retinanet import RetinaNet
from keras_twins.segmentation import UPerNet
from keras_twins.segmentation import export_state as export_segmentation
from keras_twins.weights import CheckpointError
from tests.compiling import slow_but_on
from tests.tiny import PCPVT
from tests.tiny import SHALLOW
from tests.tiny import randomise
from tests.weights.detectron2_files import to_detectron2
from tests.weights_port.files import write_safetensors
from weights_port import inspect_file
from weights_port.cli import main
from weights_port.dense import convert_dense
from weights_port.dense import open_dense
from weights_port.verify_dense import verify_dense

pytestmark = slow_but_on("torch")
SIZES = {
    RetinaNet: {"filters": 8},
    MaskRCNN: {"filters": 8, "units": 16},
    UPerNet: {"filters": 8, "auxiliary_weight": 0},
}


@pytest.fixture(autouse=True)
def _small_variants(monkeypatch):
    monkeypatch.setitem(VARIANTS, "svt_small", SHALLOW)
    monkeypatch.setitem(VARIANTS, "pcpvt_small", PCPVT)


def filled(cls, variant="svt_small", **kwargs):
    kwargs = {**SIZES[cls], **kwargs}
    model = cls.from_twins(variant, None, 3, **kwargs)
    randomise(model)
    return model


def write(path, model):
    export = export_segmentation if type(model) is UPerNet else export_state
    write_safetensors(path, export(model))
    return path


@pytest.mark.parametrize("cls", SIZES)
def test_a_file_says_what_model_it_is(cls, tmp_path):
    """Class, variant and sizes follow from names and shapes."""
    model = filled(cls)
    path = write(tmp_path / "a.safetensors", model)
    found = inspect_file(path)
    assert (found.head, found.variant) == (model.head_name, "svt_small")
    assert found.problems == ()
    again = open_dense(path)
    assert type(again) is cls
    assert again.num_classes == 3
    assert again.backbone.config == model.backbone.config
    assert verify_dense(path, path).passed


def test_there_and_back_by_command(tmp_path, capsys):
    source = write(tmp_path / "a.safetensors", filled(RetinaNet))
    ported, back = tmp_path / "b.keras", tmp_path / "c.safetensors"
    assert main(["convert", "--whole", str(source), str(ported)]) == 0
    assert "RetinaNet of detection" in capsys.readouterr().out
    assert main(["verify", "--whole", str(source), str(ported)]) == 0
    assert "the files agree" in capsys.readouterr().out
    assert main(["convert", "--whole", str(ported), str(back)]) == 0
    first, second = load_file(source), load_file(back)
    assert first.keys() == second.keys()
    for name, values in first.items():
        np.testing.assert_array_equal(second[name], values)


def test_a_file_that_differs_is_told(tmp_path, capsys):
    model = filled(MaskRCNN)
    source = write(tmp_path / "a.safetensors", model)
    kernel = model.mask_head.upsample.kernel
    kernel.assign(kernel + 1)
    ported = tmp_path / "b.weights.h5"
    model.save_weights(ported)
    result = verify_dense(source, ported)
    assert not result.passed
    unequal = [name for name, value in result.tensors.items() if value]
    assert unequal == [kernel.path]
    assert main(["verify", "--whole", str(source), str(ported)]) == 1
    assert f"  {kernel.path}: 1.0" in capsys.readouterr().out


def test_a_file_of_detectron2_keeps_its_details(tmp_path, capsys):
    model = filled(RetinaNet, "pcpvt_small", extra_activation="relu")
    with pytest.warns(UserWarning, match="extra_activation"):
        state = to_detectron2(export_state(model), as_pvt=True)
    source = tmp_path / "a.safetensors"
    write_safetensors(source, state)
    found = inspect_file(source)
    assert (found.head, found.variant) == ("retinanet", "pcpvt_small")
    assert found.dialect == "official_detection" and found.problems == ()
    ported = tmp_path / "b.keras"
    convert_dense(source, ported)
    result = verify_dense(source, ported)
    assert result.passed
    assert result.model.get_config()["extra_activation"] == "relu"
    back = tmp_path / "c.safetensors"
    with pytest.warns(UserWarning, match="extra_activation"):
        convert_dense(ported, back)
    assert verify_dense(source, back).passed


def test_the_backbone_alone_is_converted_by_default(tmp_path, capsys):
    source = write(tmp_path / "a.safetensors", filled(RetinaNet))
    out = tmp_path / "b.safetensors"
    assert main(["convert", str(source), str(out)]) == 0
    report = capsys.readouterr().out
    assert "the backbone of retinanet" in report
    assert "convert --whole" in report
    assert not any(name.startswith("neck.") for name in load_file(out))


def test_what_is_no_dense_model_is_refused(tmp_path):
    model = filled(RetinaNet)
    path = tmp_path / "a.weights.h5"
    model.save_weights(path)
    with pytest.raises(CheckpointError, match="does not say of which model"):
        open_dense(path)
    model.backbone.save(tmp_path / "b.keras")
    with pytest.raises(CheckpointError, match="Received: TwinsBackbone"):
        open_dense(tmp_path / "b.keras")
    state = {"blocks.0.0.norm1.bias": np.ones(8, "float32")}
    write_safetensors(tmp_path / "c.safetensors", state)
    with pytest.raises(CheckpointError, match="no model of segmentation or"):
        open_dense(tmp_path / "c.safetensors")
    with pytest.raises(ValueError, match="`out` must end with .keras or"):
        convert_dense(path, tmp_path / "d.onnx")


def test_files_of_other_models_are_not_compared(tmp_path):
    first = write(tmp_path / "a.safetensors", filled(RetinaNet))
    second = tmp_path / "b.keras"
    filled(MaskRCNN).save(second)
    with pytest.raises(CheckpointError, match="RetinaNet of.*MaskRCNN of"):
        verify_dense(first, second)
