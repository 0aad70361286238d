"""The commands `segment` and `eval-seg`."""

import json

import keras
import numpy as np
import pytest

from keras_twins.cli import main
from keras_twins.segmentation import SemanticFPN
from tests.segmentation.test_models import build

Image = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("model") / "model.keras"
    build(SemanticFPN).save(path)
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two pairs in the layout of ADE20K."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for kind in ("images", "annotations"):
        (root / kind / "validation").mkdir(parents=True)
    for i in range(2):
        pixels = rng.integers(0, 256, (40, 48, 3), "uint8")
        labels = rng.integers(0, 5, (40, 48)).astype("uint8")
        name = f"ADE_val_0000000{i}"
        images = root / "images" / "validation"
        Image.fromarray(pixels).save(images / f"{name}.jpg")
        masks = root / "annotations" / "validation"
        Image.fromarray(labels).save(masks / f"{name}.png")
    return root


SMALL = ["--resize", "64", "64"]


def test_segment(model, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "grey.png"
    Image.fromarray(np.full((40, 60), 99, "uint8")).save(picture)
    out = tmp_path / "new" / "overlay.png"
    arguments = [str(picture), "--model", model, "--out", str(out), *SMALL]
    assert main(["segment", *arguments]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert last == str(out) and Image.open(out).size[0] > 100
    shares = [float(line.split("%")[0]) for line in lines]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.3)
    assert lines[0].split("%")[1].strip().startswith("class ")


def test_evaluate(model, folder, tmp_path, capsys):
    path = tmp_path / "scores.json"
    arguments = ["--data", str(folder), "--model", model, *SMALL]
    assert main(["eval-seg", *arguments, "--json", str(path)]) == 0
    printed = capsys.readouterr().out
    scores = json.loads(path.read_text())
    assert scores["images"] == 2 and len(scores["class_iou"]) == 4
    assert f"mean IoU        {scores['mean_iou']:.2%}" in printed
    both = [*arguments, "--multi-scale", "--mode", "slide", "--window", "64"]
    assert main(["eval-seg", *both, "--stride", "32"]) == 0
    assert printed != capsys.readouterr().out


def test_labels_out_of_range(folder, tmp_path, capsys):
    """The model has four classes; the annotations go to five, with zero."""
    path = tmp_path / "model.keras"
    build(SemanticFPN).save(path)
    arguments = ["--data", str(folder), "--model", str(path), *SMALL]
    assert main(["eval-seg", *arguments, "--keep-zero-label"]) == 1
    assert "ADE_val_0000000" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["segment", "none.png"], "none.png"),
        (["segment", "{image}", "--weights", "none.pth"], "which is no file"),
        (["eval-seg", "--data", "nowhere", "--model", "{model}"], "nowhere"),
    ],
)
def test_bad_input(arguments, message, model, folder, capsys):
    image = folder / "images" / "validation" / "ADE_val_00000000.jpg"
    known = {"{model}": model, "{image}": str(image)}
    assert main([known.get(x, x) for x in arguments]) == 1
    errors = capsys.readouterr().err
    assert message in errors.splitlines()[-1]
    assert keras.backend.backend()
