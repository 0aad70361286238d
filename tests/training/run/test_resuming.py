import dataclasses
import pathlib

import numpy as np
import pytest

from keras_twins.training.run import Checkpoint
from keras_twins.training.run import CheckpointFolder
from keras_twins.training.run import CheckpointMismatchError
from keras_twins.training.run.resuming import describe_changes
from keras_twins.training.run.resuming import find_checkpoint
from keras_twins.training.run.resuming import plain
from keras_twins.training.run.resuming import resumed_state
from keras_twins.training.run.state import TrainingState


@dataclasses.dataclass
class Process:
    """One of two processes; what the other one has is given."""

    is_chief: bool
    other: int
    num_processes: int = 2
    waited: int = 0

    def sum_arrays(self, arrays):
        if arrays[0].dtype == "int32":
            # Whether the chief has failed; the other one has not.
            self.waited += 1
            return arrays
        return [array + self.other for array in arrays]


def test_changes_are_named():
    before = {"a": {"b": 1, "c": [1, 2]}, "d": None, "gone": 1}
    after = {"a": {"b": 2, "c": [1, 2]}, "d": None, "new": {"e": 3}}
    assert describe_changes(before, after) == [
        "a.b was 1, is 2",
        "gone was 1, is absent",
        "new.e was absent, is 3",
    ]
    assert describe_changes(None, {}) == []


def test_configuration_as_json_has_it():
    given = {"size": (1, 2), "path": pathlib.Path("a/b"), "kind": np.float32(1)}
    assert plain(given) == {"size": [1, 2], "path": "a/b", "kind": "1.0"}
    assert plain(None) is None


def test_only_the_chief_changes_the_folder(tmp_path):
    folder = CheckpointFolder(tmp_path)
    folder.write(3, {"a": np.ones(2)}, {"step": 3})
    draft = tmp_path / "step-0000000004.safetensors.1-a.part"
    draft.touch()
    other = Process(is_chief=False, other=3)
    assert find_checkpoint(folder, other).state == {"step": 3}
    assert draft.exists() and other.waited == 1
    chief = Process(is_chief=True, other=3)
    assert find_checkpoint(folder, chief).state == {"step": 3}
    assert not draft.exists() and chief.waited == 1


def test_processes_with_different_folders_are_refused(tmp_path):
    with pytest.raises(CheckpointMismatchError, match="same folder"):
        find_checkpoint(CheckpointFolder(tmp_path), Process(True, other=3))


def test_long_lists_of_changes_are_cut():
    state = TrainingState(
        steps_per_epoch=2, configuration={str(n): n for n in range(20)}
    )
    found = Checkpoint(path=pathlib.Path("a"), arrays={}, state=state.to_json())
    fresh = TrainingState(steps_per_epoch=2)
    with pytest.raises(CheckpointMismatchError, match="7 was 7.*; \\.\\.\\."):
        resumed_state(found, fresh, accept_changes=False)
