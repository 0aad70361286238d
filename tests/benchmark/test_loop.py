import json

import keras
import numpy as np
import pytest

from keras_twins.benchmark import loop
from keras_twins.benchmark.loop import measurements
from keras_twins.benchmark.loop import run_loop
from keras_twins.benchmark.process import Worker
from keras_twins.benchmark.worker import find_function
from tests.compiling import slow_but_on
from tests.tiny import MINIMAL

FIT = "tests.benchmark.test_loop:plain_fit"


def plain_fit(
    model,
    batches,
    *,
    epochs,
    steps_per_epoch,
    folder,
    images_per_step,
    validate,
):
    """A loop that only trains."""
    assert images_per_step == 2
    dataset = batches(0).take(steps_per_epoch)
    for _ in range(epochs):
        model.fit(dataset, shuffle=False, verbose=0)
        assert validate(model) == {"val_top1": 0.0}


class HereInstead:
    """A worker that is no process."""

    def __init__(self, environment):
        assert environment == {"KERAS_BACKEND": keras.backend.backend()}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def ask(self, command, function, options):
        assert command == "call"
        # What goes through a pipe.
        value = find_function(function)(**json.loads(json.dumps(options)))
        return {"value": json.loads(json.dumps(value))}


def test_steps_are_told_from_the_end_of_an_epoch():
    """10 and 30 steps of 10 % more, and 4 s; then the machine gets slower."""
    short = {"bare": [1.0, 1.0, 3.0], "loop": [15.0, 30.0]}
    long = {"bare": [1.0, 1.0, 1.0], "loop": [37.0, 37.0]}
    seconds = {"short": short, "long": long}
    bare, step, overhead, end = measurements("jax", 10, seconds, target=15)
    assert (bare.unit, len(bare.runs), bare.value) == ("ms", 6, 1000)
    np.testing.assert_allclose(step.runs, 1100)
    np.testing.assert_allclose(overhead.runs, 10)
    np.testing.assert_allclose(end.runs, 4)
    assert overhead.met and overhead.unit == "%" and overhead.backend == "jax"


@slow_but_on("torch")
@pytest.mark.parametrize(
    "worker", [HereInstead, pytest.param(Worker, marks=pytest.mark.slow)]
)
def test_run(worker, monkeypatch):
    monkeypatch.setattr(loop, "Worker", worker)
    monkeypatch.setattr(loop, "_CONFIG", MINIMAL)
    # It takes long to find the versions.
    monkeypatch.setattr(loop, "describe_versions", lambda names: {})
    lines = []
    backend = keras.backend.backend()
    report = run_loop(
        [backend], 1, 1, size=32, batch=2, fit=FIT, progress=lines.append
    )
    counts = [len(row.runs) for row in report.rows]
    assert counts == [4, 1, 1, 1]
    # An epoch that does not count, then one that does.
    assert all(seconds > 0 for seconds in report.rows[0].runs)
    assert lines == [f"{backend}: overhead {report.rows[2].value:.2f} %"]
    assert "end of an epoch" in report.table()


@pytest.mark.parametrize("arguments", [(None, 0, 5), (None, 1, 0)])
def test_wrong_arguments(arguments):
    with pytest.raises(ValueError, match="must be at least 1"):
        run_loop(*arguments)
