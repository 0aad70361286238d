import pytest

from keras_twins.weights.errors import CheckpointError
from tests import tiny
from tests.weights_port.files import disguise
from tests.weights_port.files import official_state
from tests.weights_port.files import write_paddle
from tests.weights_port.files import write_safetensors
from weights_port import convert
from weights_port import verify


def test_a_ported_file_agrees_with_its_original(tmp_path):
    original, ported = tmp_path / "a", tmp_path / "b.weights.h5"
    state = official_state(tiny.SVT)
    write_safetensors(original, disguise(state, "mmpretrain"))
    convert(original, ported, tiny.SVT)
    result = verify(original, ported, tiny.SVT)
    assert result.passed
    assert set(result.tensors) == set(state)
    assert result.outputs == 0
    # Epsilon and the padding of windows and patches matter.
    assert result.default_dialect > 1e-4
    assert result.timm is None
    assert "not compared with an independent" in result.report()
    assert "the files agree" in result.report()


def test_a_changed_number_is_found(tmp_path):
    original, ported = tmp_path / "a", tmp_path / "b.safetensors"
    state = official_state(tiny.PCPVT)
    write_paddle(original, disguise(state, "paddle"))
    changed = {name: values.copy() for name, values in state.items()}
    changed["blocks.2.1.mlp.fc2.weight"][3, 4] += 1
    write_safetensors(ported, changed)
    result = verify(original, ported, tiny.PCPVT)
    assert not result.passed
    wrong = {name for name, value in result.tensors.items() if value}
    assert wrong == {"blocks.2.1.mlp.fc2.weight"}
    assert result.tensors["blocks.2.1.mlp.fc2.weight"] == pytest.approx(1)
    assert result.outputs > 1e-5
    assert "blocks.2.1.mlp.fc2.weight: 1.0" in result.report()


def test_a_ported_file_may_lack_the_head(tmp_path):
    original, ported = tmp_path / "a", tmp_path / "b.weights.h5"
    write_safetensors(original, official_state(tiny.SVT))
    convert(original, ported, tiny.SVT, include_top=False)
    result = verify(original, ported, tiny.SVT)
    assert result.passed
    assert result.left_out == ("head.bias", "head.weight")
    assert "head.weight" in result.report()
    with pytest.raises(CheckpointError, match="only one of the files has"):
        verify(ported, original, tiny.SVT)


def test_other_classes_are_not_compared(tmp_path):
    original, ported = tmp_path / "a", tmp_path / "b"
    write_safetensors(original, official_state(tiny.SVT, classes=5))
    write_safetensors(ported, official_state(tiny.SVT, classes=6))
    with pytest.raises(CheckpointError, match=r"head\.(weight|bias) has the"):
        verify(original, ported, tiny.SVT)
