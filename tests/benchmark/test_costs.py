import json

import keras
import numpy as np
import pytest

import keras_twins
from keras_twins.benchmark import BenchmarkReport
from keras_twins.benchmark import Measurement
from keras_twins.benchmark import child
from keras_twins.benchmark import installed_backends
from keras_twins.benchmark import run
from keras_twins.benchmark import run_benchmark
from keras_twins.weights import read_checkpoint


def measurement(**changes) -> Measurement:
    values = {"name": "load", "backend": "jax", "unit": "s"}
    return Measurement(**{**values, "runs": (1.0, 9.0, 2.0), **changes})


def test_one_measure_in_a_fresh_process(backend):
    report = run_benchmark([backend], repeats=1, measures=["import"])
    (row,) = report.rows
    assert row.backend == backend
    assert 0 < row.value < 60
    assert row.target == 0.3
    assert report.versions["keras"] == keras.__version__
    assert report.versions[backend][0].isdecimal()
    assert int(report.machine["cores"]) >= 1


def test_measures_and_backends_take_turns(monkeypatch):
    calls = []

    def answer(command, backend):
        calls.append((command[0], backend))
        number = float(len(calls))
        return {"seconds": number, "peak": 2.5, "bytes": 4e8, "reset": 0.0}

    monkeypatch.setattr(run, "_run", answer)
    report = run_benchmark(["jax", "torch"], repeats=2)
    assert calls[0] == ("write_weights", "jax")
    turn = [
        (f"measure_{name}", backend)
        for name in ("import", "build", "load")
        for backend in ("jax", "torch")
    ]
    assert calls[1:] == [*turn, *turn]
    rows = {(row.name, row.backend): row for row in report.rows}
    assert len(rows) == 8
    # The fourth and the tenth process: the first one wrote the file.
    assert rows["build Twins-SVT-B", "jax"].runs == (4.0, 10.0)
    assert rows["peak memory of loading", "torch"].met is False
    assert "400.0 MB" in report.notes[0] and "ru_maxrss" in report.notes[0]
    assert "lower bound" in report.notes[1]


def test_loading_is_measured_on_a_file_that_fits(tmp_path):
    path = str(tmp_path / "weights.safetensors")
    written = child.write_weights("svt_small", path)
    state = read_checkpoint(path)
    values = sum(state[name].size for name in state)
    assert values == 24_060_776 and written["bytes"] > 4 * values
    measured = child.measure_load("svt_small", path)
    assert measured["bytes"] == written["bytes"]
    assert measured["seconds"] > 0
    # The bytes of the file pass through memory, whatever the backend does.
    assert 0.01 < measured["peak"] < 10


def test_a_failed_process_names_its_reason(backend):
    with pytest.raises(ChildProcessError, match="Received: variant='svt_huge'"):
        run._run(["measure_build", "svt_huge"], backend)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backends": ["caffe"]}, r"`backends` .*Received: .*caffe"),
        ({"backends": []}, "`backends` must hold some of"),
        ({"measures": ["speed"]}, r"`measures` .*'import', 'build', 'load'"),
        ({"repeats": 0}, "`repeats` must be at least 1. Received: repeats=0"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        run_benchmark(**arguments)


def test_installed_backends_hold_the_running_one(backend):
    assert backend in installed_backends()


def test_targets_are_for_the_median():
    row = measurement(target=2.5)
    assert row.value == np.median(row.runs) == 2.0
    assert row.met is True
    assert measurement(target=2.0).met is False
    assert measurement().met is None


def test_table_and_json(tmp_path):
    report = BenchmarkReport(
        rows=(measurement(target=1.5), measurement(backend="torch")),
        machine={"processor": "abacus"},
        versions={"keras-twins": keras_twins.__version__},
        notes=("A note.",),
    )
    table, note, facts = report.table().split("\n\n")
    lines = [line.strip("| ").split(" | ") for line in table.splitlines()]
    numbers = ["2.000", "1.000 to 9.000", "s", "< 1.5", "NO"]
    assert lines[2] == ["load", "jax", *numbers]
    assert {line.count("|") for line in table.splitlines()} == {8}
    assert note == "A note."
    assert "processor abacus" in facts and keras_twins.__version__ in facts
    path = tmp_path / "new" / "bench.json"
    report.write(path)
    content = json.loads(path.read_text())
    assert content["machine"] == {"processor": "abacus"}
    assert content["notes"] == ["A note."]
    assert content["rows"][0] == {
        **{"name": "load", "backend": "jax", "unit": "s", "target": 1.5},
        **{"runs": [1.0, 9.0, 2.0], "value": 2.0, "met": False},
    }
    assert [entry.name for entry in path.parent.iterdir()] == ["bench.json"]
