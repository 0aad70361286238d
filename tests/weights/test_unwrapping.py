"""Containers and prefixes around a state dict."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from keras_twins.weights.errors import CheckpointError
from keras_twins.weights.readers import read_checkpoint
from keras_twins.weights.unwrapping import unwrap

ONE = np.ones(2, "float32")
TWO = 2 * ONE


def check(wrapped, names: set[str], found: tuple[str, ...]) -> None:
    state, wrappers = unwrap(wrapped)
    assert set(state) == names
    assert wrappers == found
    for name in names:
        assert name in state
        np.testing.assert_array_equal(state[name], ONE)


@pytest.mark.parametrize(
    ("wrapped", "found"),
    [
        ({"a.b": ONE}, ()),
        ({"model": {"a.b": ONE}, "epoch": 3}, ("model",)),
        ({"state_dict": {"a.b": ONE}, "model": {"a.b": TWO}}, ("state_dict",)),
        (
            {"model_ema": {"a.b": ONE}, "state_dict": {"a.b": TWO}},
            ("model_ema",),
        ),
        (
            {"state_dict_ema": {"a.b": ONE}, "model_ema": {"a.b": TWO}},
            ("state_dict_ema",),
        ),
        ({"state_dict": {"model": {"a.b": ONE}}}, ("state_dict", "model")),
        ({"module.a.b": ONE}, ("module.",)),
        ({"module._orig_mod.a.b": ONE}, ("module.", "_orig_mod.")),
        ({"_orig_mod.module.a.b": ONE}, ("_orig_mod.", "module.")),
        (
            {"model": {"module.backbone.a.b": ONE}},
            ("model", "module.", "backbone."),
        ),
    ],
)
def test_containers_and_prefixes_are_taken_off(wrapped, found):
    check(wrapped, {"a.b"}, found)


def test_names_without_the_prefix_stay():
    check({"backbone.a": ONE, "head.fc": ONE}, {"a", "head.fc"}, ("backbone.",))


def test_two_names_must_not_become_one():
    with pytest.raises(CheckpointError, match="'norm.w' and 'backbone.norm.w'"):
        unwrap({"norm.w": ONE, "backbone.norm.w": ONE})


def test_a_file_without_tensors_is_refused():
    with pytest.raises(CheckpointError, match=r"\['epoch', 'optimizer'\]"):
        unwrap({"epoch": 3, "optimizer": {"lr": 0.1}})


def test_names_of_a_lazy_file_are_cut_without_reading(tmp_path):
    save_file({"module.a": ONE, "module.b": ONE}, tmp_path / "w")
    check(read_checkpoint(tmp_path / "w"), {"a", "b"}, ("module.",))
