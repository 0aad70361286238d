import csv
import sys

import pytest

from keras_twins.training.run import logs
from keras_twins.training.run.logs import RunLogs
from keras_twins.training.run.state import TrainingState
from tests.training.run.test_event_file import records
from tests.training.run.testers import no_file_above


def state_of(epochs):
    state = TrainingState(steps_per_epoch=5, step=5 * epochs)
    for epoch in range(epochs):
        add_epoch(state, epoch)
    return state


def add_epoch(state, epoch):
    state.rows.append({"loss": 1 / (1 + epoch), "learning_rate": 0.1})
    state.times.append({"seconds": 3.0, "images_per_second": 20.0})


def rows(folder):
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def test_table_and_event_file_go_on_after_a_resumption(tmp_path):
    first = state_of(0)
    with RunLogs(tmp_path).of(first) as _:
        pass
    run = RunLogs(tmp_path)
    state = state_of(3)
    with run.of(state):
        pass
    # The checkpoint is that of epoch 2.
    state = state_of(2)
    run = RunLogs(tmp_path)
    with run.of(state):
        add_epoch(state, 2)
        run.add_epoch(state)
    assert [row["epoch"] for row in rows(tmp_path)] == ["1", "2", "3"]
    (path,) = (tmp_path / "tensorboard").iterdir()
    # After those that say what this file is, a record for each epoch.
    found = list(records(path))[2:]
    assert len(found) == 3
    assert all(b"loss" in record for record in found)


def test_new_score_gets_a_column(tmp_path):
    state = state_of(1)
    run = RunLogs(tmp_path, tensorboard=False)
    with run.of(state):
        add_epoch(state, 1)
        state.rows[-1]["val_top1"] = 0.5
        run.add_epoch(state)
    assert [row["val_top1"] for row in rows(tmp_path)] == ["", "0.5"]
    assert not (tmp_path / "tensorboard").exists()


def test_full_disk_is_a_warning(tmp_path):
    state = state_of(1)
    run = RunLogs(tmp_path, tensorboard=False)
    full = pytest.warns(UserWarning, match="log could not be written")
    with full, no_file_above(10), run.of(state):
        pass
    assert not list(tmp_path.iterdir())


def test_one_process_writes(tmp_path):
    state = state_of(1)
    run = RunLogs(tmp_path, enabled=False)
    with run.of(state):
        run.add_epoch(state)
    assert not list(tmp_path.iterdir())


def test_curves_are_drawn_if_matplotlib_is_there(tmp_path, monkeypatch):
    with RunLogs(tmp_path).of(state_of(2)):
        pass
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")

    (tmp_path / "curves.png").unlink()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with RunLogs(tmp_path).of(state_of(2)):
        pass
    assert not (tmp_path / "curves.png").exists()


def test_curves_are_drawn_now_and_then(tmp_path, monkeypatch):
    state = state_of(1)
    run = RunLogs(tmp_path)
    with run.of(state):
        run.add_epoch(state)
        assert not (tmp_path / "curves.png").exists()
        monkeypatch.setattr(logs, "_DRAWING_INTERVAL", 0.0)
        run.add_epoch(state)
        assert (tmp_path / "curves.png").exists()
