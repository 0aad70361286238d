"""The commands `train`, `recipes` and `eval`."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import keras_twins
from keras_twins.cli import main
from keras_twins.cli.training import STRATEGIES
from keras_twins.data import load_digits
from keras_twins.data import write_image_folder
from keras_twins.imagenet import class_names
from keras_twins.training.strategies import choice
from tests.compiling import slow_but_on
from tests.tiny import MINIMAL

# The commands are the same on every backend, what they call is tested apart.
pytestmark = slow_but_on("tensorflow")

for package in ("tensorflow", "matplotlib", "sklearn"):
    pytest.importorskip(package)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("digits")
    training, held_out = load_digits(32)
    for split, (images, labels) in (("train", training), ("val", held_out)):
        chosen = np.flatnonzero(labels < 2)[:9]
        write_image_folder(
            root, split, images[chosen], labels[chosen], ("0", "1")
        )
    return root


def train(data, out, *arguments):
    return main(
        ["train", "--recipe", "digits/svt_tiny", "--data", str(data)]
        + ["--out", str(out), "--strategy", "none", *arguments]
    )


def test_trains_and_evaluates(data, tmp_path, capsys):
    out = tmp_path / "out"
    assert not train(data, out, "--set", "epochs=1", "batch_size=4")
    assert capsys.readouterr().out.splitlines()[-1] == str(out)
    scores = json.loads((out / "scores.json").read_text())
    command = ["eval", "--data", str(data), "--size", "32"]
    command += ["--model", str(out / "model.keras"), "--strategy", "none"]
    assert not main([*command, "--batch-size", "4", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert f"top1    {scores['top1']:.2%}" in printed
    again = json.loads((tmp_path / "scores.json").read_text())
    assert again["confusion"] == scores["confusion"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--set", "epoch=1"], "no field `epoch`. Did you mean epochs"),
        (["--set", "epochs=none"], "`epochs` must be"),
        (["--train-split", "trian"], "trian"),
        (["--recipe", "coco/retinanet_1x"], "name one, by `--model svt_small`"),
    ],
)
def test_errors_are_one_line(data, tmp_path, capsys, arguments, error):
    assert train(data, tmp_path, *arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert line.startswith("keras-twins: ") and error in line


def test_strategies_are_those_of_the_library():
    assert tuple(choice.STRATEGIES) == STRATEGIES


def test_recipes(capsys):
    assert not main(["recipes", "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert not main(["recipes"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [x["name"] for x in rows]


def subset(root, labels):
    """Writes a picture for each of some classes of ImageNet."""
    wnids = [class_names()[label].wnid for label in labels]
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (len(labels), 32, 32, 3), "uint8")
    write_image_folder(root, None, images, np.arange(len(labels)), wnids)
    return images


def test_some_classes_of_imagenet(tmp_path, capsys):
    """Others do not compete, unless they are told to."""
    labels = [6, 13, 955]
    subset(tmp_path / "data", labels)
    model = keras_twins.classifier(MINIMAL, input_shape=(32, 32, 3))
    kernel, bias = model.layers[-1].get_weights()
    bias[13], bias[0] = 50, 99
    model.layers[-1].set_weights([0 * kernel, bias])
    model.save(tmp_path / "model.keras")
    command = ["eval", "--data", str(tmp_path / "data"), "--split", "none"]
    command += ["--model", str(tmp_path / "model.keras"), "--size", "32"]
    assert not main([*command, "--strategy", "none"])
    assert "top1    33.33%" in capsys.readouterr().out
    assert not main([*command, "--strategy", "none", "--all-classes"])
    assert "top1    0.00%" in capsys.readouterr().out


def test_another_backend_is_another_process():
    command = [sys.executable, "-m", "keras_twins", "train"]
    command += ["--recipe", "x", "--data", "x", "--backend", "torch"]
    done = subprocess.run(
        [*command, "--strategy", "mirrored"],
        env={**os.environ, "KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    line = done.stderr.splitlines()[-1]
    assert "There is no such recipe" in line
