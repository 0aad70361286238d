import json
import pathlib
from importlib.util import find_spec

import keras
import pytest

from keras_twins.benchmark import Case
from keras_twins.benchmark import SpeedReport
from keras_twins.benchmark import group
from keras_twins.benchmark import inference_cases
from keras_twins.benchmark import run_speed
from keras_twins.benchmark import select_systems
from tests import tiny
from tests.benchmark.fakes import system
from tests.benchmark.fakes import writer

# Of processes that compute nothing, one backend says it all.
once = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the same on each backend"
)


@pytest.fixture
def variant(tmp_path, monkeypatch) -> str:
    """The path of a small architecture; workers find the tests."""
    monkeypatch.setenv("PYTHONPATH", str(pathlib.Path(__file__).parents[2]))
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(tiny.SHALLOW.to_dict()))
    return str(path)


def run(systems, variant, cases, rounds=2, **options):
    lines = []
    report = run_speed(
        systems,
        [variant],
        cases,
        rounds,
        **{"burst": 0.01, "pause": 0.0, "progress": lines.append, **options},
    )
    return report, lines


@once
def test_systems_take_turns(variant):
    systems = [
        system("slow", options={"seconds": 0.04}, reference=True),
        system("fast", options={"seconds": 0.002}),
        system("broken", "unimportable"),
        system("killed", "crasher"),
        system("absent", packages=("no_such_package",)),
        system("file", "reader", writer=writer("write")),
        system("no file", "reader", writer=writer("refuse")),
    ]
    report, lines = run(systems, variant, inference_cases((1, 4), (64,)))
    rows = {(row.system, row.case.batch): row for row in report.rows}
    assert {name for name, _ in rows} == {"slow", "fast", "file"}
    fast = rows["fast", 4]
    assert len(fast.seconds) == len(fast.peaks) == 2
    assert fast.median >= 0.008
    # Of 0.04 and 0.002 seconds an image; sleep may last longer.
    assert 2 < report.ratio(fast) < 21
    assert report.ratio(rows["slow", 4]) == 1.0
    assert fast.parameters == 64 and fast.peak >= fast.base > 0
    assert rows["file", 1].device == "written tiny 1, written tiny 4"
    reasons = {failure.system: failure.reason for failure in report.failures}
    assert reasons == {
        "broken": "RuntimeError: operator nms does not exist",
        "killed": "the process ended with exit code 7: no more memory",
        "absent": "not installed: no_such_package",
        "no file": "ValueError: nothing is written",
    }
    assert any("write-tiny-64: written in" in line for line in lines)
    assert "round 2 of 2, 3 systems; about 0 min left, until" in lines[-1]
    content = json.loads(json.dumps(report.to_dict()))
    assert SpeedReport.from_dict(content) == report


@once
def test_groups_that_fit_into_memory(variant, monkeypatch):
    monkeypatch.setattr(group, "available_memory", lambda: 0)
    monkeypatch.setattr(group, "count_cores", lambda: 1)
    systems = [
        system("timm", reference=True),
        system("one"),
        system("two"),
    ]
    report, _ = run(systems, variant, [Case(size=64)], rounds=1)
    groups = [(row.system, row.group) for row in report.rows]
    assert groups == [("timm", 0), ("one", 0), ("timm", 1), ("two", 1)]
    assert all(report.ratio(row) for row in report.rows)


def test_a_real_model(backend, variant):
    """The running backend, forward and training, in a worker."""
    cases = [
        Case(size=64, batch=1),
        Case(size=64, batch=2),
        Case(size=64, batch=2, training=True),
    ]
    report, _ = run(select_systems([backend]), variant, cases, rounds=1)
    assert report.failures == ()
    assert [row.case for row in report.rows] == cases
    assert all(0 < row.median < 60 for row in report.rows)
    assert all(row.parameters > 10_000 for row in report.rows)
    assert {row.device for row in report.rows} == {"cpu"}
    assert report.versions[backend][0].isdecimal()


@once
@pytest.mark.slow
def test_exported_files_and_timm(variant):
    """What is installed runs; two batch sizes, two dtypes."""
    names = ["artifact", "timm-artifact", "timm-eager"]
    cases = inference_cases((1, 2), (64,), ("float32", "bfloat16"))
    report, _ = run(select_systems(names), variant, cases, rounds=1)
    absent = {
        failure.system: failure.reason
        for failure in report.failures
        if not failure.reason.startswith("not installed")
    }
    # Where torchvision does not load, nor does timm.
    assert all("timm" in name for name in absent), absent
    measured = {(row.system, row.case) for row in report.rows}
    for ours in select_systems(["artifact"]):
        if find_spec(ours.packages[0]):
            expected = [case for case in cases if case.dtype in ours.dtypes]
            assert {(ours.name, case) for case in expected} <= measured


def test_wrong_arguments(variant):
    with pytest.raises(ValueError, match="`rounds` must be at least 1"):
        run([], variant, [Case()], rounds=0)
    with pytest.raises(ValueError, match="`variants` must hold"):
        run([], "svt_huge", [Case()])
