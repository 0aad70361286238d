import dataclasses
import json

import keras
import numpy as np
import pytest

import keras_twins
from keras_twins.demo import DemoResult
from keras_twins.demo import Step
from keras_twins.demo import photographs
from keras_twins.demo import run
from keras_twins.demo import run_demo
from keras_twins.demo import training
from keras_twins.export import exportable_formats
from keras_twins.weights.errors import WeightsDownloadError
from tests.compiling import slow_on

for package in ("sklearn", "matplotlib", "PIL"):
    pytest.importorskip(package)

PICTURES = ("predictions.png", "confusion.png", "training.png")
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def offline(monkeypatch):
    def refuse(variant, *, timeout):
        raise WeightsDownloadError(
            "No source:\n  https://hub.example/file: no route\nWays out: ..."
        )

    monkeypatch.setattr(photographs, "fetch_weights", refuse)


# JAX compiles for minutes; the steps have tests of their own.
@slow_on("jax")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_short_run_without_network(tmp_path, offline, capsys, monkeypatch):
    shallow = dataclasses.replace(
        training.DEMO_CONFIG,
        depths=(1, 1, 1, 1),
        attention_pattern=("L", "G", "L", "G"),
    )
    monkeypatch.setattr(training, "DEMO_CONFIG", shallow)
    (images, labels), test = keras_twins.data.load_digits(32)
    few = (images[::6], labels[::6]), test
    monkeypatch.setattr(run, "load_digits", lambda size, seed: few)
    result = run_demo(tmp_path, epochs=1, min_accuracy=0.0)
    status = {step.name: step.status for step in result.steps}
    formats = {
        f"export {name}": "ok" if name in exportable_formats() else "skipped"
        for name in ("saved_model", "litert")
    }
    assert status == {
        "training": "ok",
        "test accuracy": "ok",
        "save, reload": "ok",
        **formats,
        "pictures": "ok",
        "photographs": "skipped",
    }
    assert result.exit_code == 0
    printed = capsys.readouterr().out
    assert "hub.example cannot be reached: no route" in " ".join(
        printed.split()
    )
    assert "Traceback" not in printed
    assert printed.rstrip().endswith("The demo passed.")
    _check_files(tmp_path, result)


def _check_files(folder, result):
    for name in PICTURES:
        assert (folder / name).read_bytes().startswith(PNG)
    report = json.loads((folder / "report.json").read_text())
    assert report["accuracy"] == result.accuracy
    assert report["backend"] == keras.backend.backend()
    model = keras.saving.load_model(folder / "digits.keras")
    assert model.count_params() == result.parameters == report["parameters"]
    _, (images, labels) = keras_twins.data.load_digits()
    right = model.predict(images, verbose=0).argmax(axis=-1) == labels
    assert right.mean() == result.accuracy
    names = {"saved_model": "digits_saved_model", "litert": "digits.tflite"}
    exported = {
        names[format] for format in exportable_formats() if format in names
    }
    found = {path.name for path in folder.iterdir()}
    assert found == {*PICTURES, "report.json", "digits.keras", *exported}


def test_photographs_with_a_file_of_weights(tmp_path):
    model = keras_twins.TwinsSVTSmall(weights=None)
    path = tmp_path / "svt_small.weights.h5"
    model.save_weights(path)
    seen = photographs.classify_photographs(str(path), timeout=1.0)
    assert [photograph.name for photograph in seen] == ["china", "flower"]
    for photograph in seen:
        probabilities = model.predict(photograph.pixels[None], verbose=0)[0]
        scores = [score for _, score in photograph.classes]
        np.testing.assert_allclose(
            scores, np.sort(probabilities)[:-6:-1], rtol=1e-4
        )


def test_a_failed_step_fails_the_demo():
    good = Step(name="a", status="ok", result="fine", seconds=1.5)
    long = " ".join(["word"] * 40)
    bad = Step(name="b", status="failed", result=long, seconds=0.25)
    arguments = {"backend": "jax", "accuracy": 0.9, "parameters": 3}
    assert DemoResult(steps=(good,), **arguments).exit_code == 0
    result = DemoResult(steps=(good, bad), **arguments)
    assert result.exit_code == 1
    assert result.verdict() == f"The demo FAILED. b: {long}"
    lines = result.table().splitlines()
    assert max(map(len, lines)) < 100
    assert lines[-1].split() == ["total", "1.8"]


def test_low_accuracy_is_a_failure():
    from keras_twins.demo.run import judge_accuracy

    assert judge_accuracy(0.96, 100, 0.97)[0] == "failed"
    assert judge_accuracy(0.97, 100, 0.97)[0] == "ok"
