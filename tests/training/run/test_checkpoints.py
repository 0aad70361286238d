import json
import os
import stat

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file

from keras_twins.training.run import CheckpointFolder
from keras_twins.training.run import CorruptCheckpointError
from keras_twins.training.run import read_checkpoint
from keras_twins.training.run import write_checkpoint
from tests.training.run.testers import no_file_above

ARRAYS = {
    "kernel": np.arange(6, dtype="float32").reshape(2, 3),
    "scalar": np.array(7, "int64"),
    "seed": np.array([1, 2], "uint32"),
    "half": np.ones((2, 2), "float16"),
    "brain": np.full(3, 0.5, ml_dtypes.bfloat16),
    "flag": np.array([True, False]),
    "nothing": np.zeros((0, 4), "float32"),
    "transposed": np.arange(6, dtype="float32").reshape(2, 3).T,
}
STATE = {"step": 3, "rows": [{"loss": 0.1}], "nothing": None}


@pytest.fixture
def folder(tmp_path):
    """Checkpoints of steps 1, 2 and 3."""
    folder = CheckpointFolder(tmp_path, keep=3)
    for step in (1, 2, 3):
        folder.write(step, {"kernel": np.full(50, float(step))}, {"step": step})
    return folder


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def empty(path):
    os.truncate(path, 0)


def flip_value(path):
    _flip(path, path.stat().st_size - 5)


def flip_state(path):
    _flip(path, path.read_bytes().index(b"step") + 8)


def _flip(path, position):
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def remove_digest(path):
    content = path.read_bytes().replace(b"sha256", b"sha999")
    path.write_bytes(content)


DAMAGES = [truncate, empty, flip_value, flip_state, remove_digest]


def test_checkpoint_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "a.safetensors"
    write_checkpoint(path, ARRAYS, STATE)
    found = read_checkpoint(path)
    assert found.state == STATE
    assert found.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(found.arrays[name], array)
    # Other programs read it, too.
    np.testing.assert_array_equal(load_file(path)["kernel"], ARRAYS["kernel"])


def test_newest_checkpoints_are_kept(tmp_path):
    folder = CheckpointFolder(tmp_path, keep=2)
    # As text, 9 would come after 10.
    for step in (8, 9, 10):
        folder.write(step, ARRAYS, {"step": step})
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "step-0000000009.safetensors",
        "step-0000000010.safetensors",
    ]
    assert folder.latest().state == {"step": 10}


def test_folder_without_checkpoints(tmp_path):
    folder = CheckpointFolder(tmp_path / "absent")
    assert folder.latest() is None
    assert folder.best() is None
    assert folder.newest() is None


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_checkpoint_is_named_and_passed_over(folder, damage):
    damage(folder.newest())
    with pytest.warns(UserWarning, match="3.safetensors.*goes on.*2.safe"):
        found = folder.latest()
    assert found.state == {"step": 2}
    # It must not count as one of those that are kept.
    assert folder.newest() == found.path
    assert folder.latest().state == {"step": 2}


def test_no_whole_checkpoint_is_an_error(folder):
    for path in folder.path.iterdir():
        truncate(path)
    with pytest.raises(CorruptCheckpointError, match="1.safe.*another folder"):
        folder.latest()


def test_checkpoint_that_may_not_be_read_is_not_passed_over(
    folder, monkeypatch
):
    def refuse(*_, **__):
        raise PermissionError("not yours")

    monkeypatch.setattr(
        "keras_twins.training.run.checkpoints.safe_open", refuse
    )
    with pytest.raises(PermissionError):
        folder.latest()


def test_best_checkpoint_outlives_newer_ones(folder):
    folder.mark_best(2)
    for step in (4, 5, 6):
        folder.write(step, ARRAYS, {"step": step})
    assert folder.best().state == {"step": 2}
    assert folder.latest().state == {"step": 6}


def test_best_checkpoint_is_copied_where_links_are_not_known(
    folder, monkeypatch
):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    folder.mark_best(1)
    assert folder.best().state == {"step": 1}


def test_full_disk_leaves_what_there_was(folder):
    large = {"kernel": np.zeros(10_000)}
    with no_file_above(5000), pytest.raises(OSError, match="step-0*4"):
        folder.write(4, large, {"step": 4})
    names = [path.name for path in folder.path.iterdir()]
    assert len(names) == 3
    assert not [name for name in names if "part" in name]
    assert folder.latest().state == {"step": 3}


def test_drafts_are_removed(folder):
    draft = folder.path / "step-0000000004.safetensors.77-abc.part"
    draft.write_bytes(b"half")
    folder.remove_drafts()
    assert not draft.exists()
    assert folder.latest().state == {"step": 3}


def test_others_may_read_a_checkpoint(folder):
    other = folder.path / "other"
    other.touch()
    mode = stat.S_IMODE(other.stat().st_mode)
    assert stat.S_IMODE(folder.newest().stat().st_mode) == mode


def test_state_is_in_the_metadata(folder):
    content = folder.newest().read_bytes()
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    assert json.loads(metadata["state"]) == {"step": 3}


def test_nothing_to_keep_is_refused(tmp_path):
    with pytest.raises(ValueError, match="keep=0"):
        CheckpointFolder(tmp_path, keep=0)
