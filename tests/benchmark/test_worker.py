import dataclasses
import io
import json

import pytest

from keras_twins.benchmark import worker
from keras_twins.benchmark.process import Worker
from keras_twins.benchmark.process import WorkerError
from keras_twins.benchmark.task import Program
from keras_twins.benchmark.task import Task
from tests import tiny

TASK = Task(variant="tiny", config=tiny.SVT.to_dict(), size=64)
FAKES = "tests.benchmark.fakes"


def request(function: str, **options) -> dict:
    return {
        "function": f"{FAKES}:{function}",
        "task": dataclasses.asdict(TASK),
        "options": options,
    }


def serve(*requests: dict) -> list[dict]:
    answers = io.StringIO()
    worker.serve(io.StringIO("\n".join(map(json.dumps, requests))), answers)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def test_build_prepare_measure():
    built, prepared, measured = serve(
        {"command": "build", **request("sleeper", seconds=0.002)},
        {"command": "prepare", "batch": 3},
        {"command": "measure", "batch": 3, "steps": 2},
    )
    assert (built["parameters"], built["device"]) == (64, "float32")
    assert prepared["seconds"] >= 0.006
    # One step, not the burst of two.
    assert 0.006 <= measured["seconds"] < 0.1
    # Each is a peak of its own: the system may have taken pages back between.
    assert min(measured["peak"], prepared["peak"]) > 10e6


def test_an_error_is_an_answer():
    first, second, third = serve(
        {"command": "build", **request("unimportable")},
        {"command": "prepare", "batch": 1},
        {"command": "build", **request("sleeper")},
    )
    # That of the cause: why the package cannot be imported.
    assert first == {"error": "RuntimeError: operator nms does not exist"}
    assert second == {"error": "ValueError: `build` must come first."}
    assert third["parameters"] == 64


def test_a_burst_waits_once(monkeypatch):
    events = []

    def build(task):
        return Program(
            prepare=lambda batch: lambda: events.append("step") or len(events),
            wait=lambda result: events.append(f"wait for {result}"),
        )

    monkeypatch.setattr(worker, "find_function", lambda name: build)
    session = worker.Session()
    session.build("", dataclasses.asdict(TASK), {})
    session.prepare(1)
    events.clear()
    session.measure(1, 3)
    assert events == ["step"] * 3 + ["wait for 3"]


def test_modules_are_preloaded(tmp_path, monkeypatch):
    (tmp_path / "early.py").write_text("import sys; sys.modules['late'] = sys")
    monkeypatch.syspath_prepend(tmp_path)
    session = worker.Session()
    with pytest.raises(ImportError):
        session.call("late:getrecursionlimit", {})
    answer = session.call("late:getrecursionlimit", {}, preload=["early"])
    assert answer["value"] > 100


def test_a_process_that_ends_tells_why():
    with Worker({"KERAS_BACKEND": "numpy"}) as process:
        assert process.ask("build", **request("crasher"))["device"] == "cpu"
        with pytest.raises(WorkerError, match="code 7: no more memory"):
            process.ask("prepare", batch=1)
        with pytest.raises(WorkerError, match="exit code 7"):
            process.ask("prepare", batch=1)


def test_a_process_that_takes_too_long_is_ended():
    process = Worker({"KERAS_BACKEND": "numpy"}, limit=0.2)
    with process, pytest.raises(WorkerError, match="exit code -9"):
        process.ask("build", **request("sleeper"))
