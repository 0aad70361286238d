import json
import pathlib
import subprocess
import sys

import keras
import pytest

from keras_twins.training.run import describe_run
from keras_twins.training.run import provenance
from keras_twins.training.run import write_provenance


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return result.stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    git(tmp_path, "init", "--quiet")
    (tmp_path / "file").write_text("a")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    return tmp_path


def test_what_a_training_runs_with(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["keras-twins", "train", "digits"])
    facts = describe_run()
    assert facts["backend"] == keras.backend.backend()
    assert facts["command"][1:] == ["keras-twins", "train", "digits"]
    assert facts["versions"]["keras"] == keras.__version__
    assert facts["backend"] in facts["versions"]
    assert facts["devices"][0].startswith("cpu")


def test_starts_are_added(tmp_path):
    path = tmp_path / "run.json"
    write_provenance(path, {"epochs": 3, "path": pathlib.Path("a")})
    write_provenance(path, {"epochs": 4})
    facts = json.loads(path.read_text())
    assert facts["configuration"] == {"epochs": 4}
    assert len(facts["starts"]) == 2
    path.write_text("broken")
    write_provenance(path, {"epochs": 5})
    assert len(json.loads(path.read_text())["starts"]) == 1


def test_revision_of_a_checkout(checkout):
    revision = git(checkout, "rev-parse", "HEAD")
    assert provenance.find_revision(checkout) == revision
    (checkout / "file").write_text("b")
    assert provenance.find_revision(checkout) == f"{revision}-dirty"


def test_no_revision_of_what_git_does_not_know(checkout, tmp_path):
    installed = checkout / "environment"
    installed.mkdir()
    (installed / "module.py").touch()
    assert provenance.find_revision(installed) is None


def test_no_revision_without_git(checkout, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert provenance.find_revision(checkout) is None
    assert "revision" not in describe_run()
