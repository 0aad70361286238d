"""The commands `segment` and `eval-seg`."""

import json
import shutil
import sys
import zipfile

import keras
import numpy as np
import pytest

from keras_twins.cli import main
from keras_twins.cli.segmentation_inputs import class_names_and_colors
from keras_twins.segmentation import SemanticFPN
from tests.compiling import slow_but_on
from tests.segmentation.test_models import build

# The commands are the same on every backend, what they call is tested apart.
pytestmark = slow_but_on("tensorflow")

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


def save_convolution(path, classes, activation=None, best=0):
    """Writes a model that sees one class everywhere."""
    image = keras.Input((None, None, 3))
    layer = keras.layers.Conv2D(classes, 1, activation=activation)
    model = keras.Model(image, layer(image))
    kernel, bias = (np.zeros_like(x) for x in model.get_weights())
    bias[best] = 9
    model.set_weights([kernel, bias])
    model.save(path)
    return str(path)


@pytest.fixture
def photo(tmp_path):
    """A black image of 40x60 pixels."""
    path = tmp_path / "photo.png"
    Image.fromarray(np.zeros((40, 60, 3), "uint8")).save(path)
    return str(path)


def last_error(capsys) -> str:
    return capsys.readouterr().err.splitlines()[-1]


def test_segment(model, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "grey.png"
    Image.fromarray(np.full((40, 60), 99, "uint8")).save(picture)
    out = tmp_path / "new" / "overlay.png"
    arguments = [str(picture), "--model", model, "--out", str(out), *SMALL]
    assert main(["segment", *arguments]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    with Image.open(out) as drawn:
        assert last == str(out) and drawn.size[0] > 100
    shares = [float(line.split("%")[0]) for line in lines]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.3)
    assert lines[0].split("%")[1].strip().startswith("class ")


def test_evaluate(model, folder, tmp_path, capsys):
    path = tmp_path / "new" / "folder" / "scores.json"
    arguments = ["--data", str(folder), "--model", model, *SMALL]
    assert main(["eval-seg", *arguments, "--json", str(path)]) == 0
    printed = capsys.readouterr().out
    scores = json.loads(path.read_text())
    assert scores["images"] == 2 and len(scores["class_iou"]) == 4
    assert f"mean IoU        {scores['mean_iou']:.2%}" in printed


def test_scales_and_windows(folder, tmp_path):
    image = keras.Input((None, None, 3))
    model = keras.Model(image, keras.layers.Conv2D(4, 7, padding="same")(image))
    # Without a mean: no class is above the others everywhere.
    kernel = np.random.default_rng(0).standard_normal((7, 7, 3, 4))
    kernel -= kernel.mean(axis=(0, 1, 2))
    model.set_weights([kernel, np.zeros(4)])
    path, scores = tmp_path / "model.keras", tmp_path / "scores.json"
    model.save(path)
    arguments = ["--data", str(folder), "--model", str(path)]
    arguments += ["--resize", "80", "80", "--json", str(scores)]
    slide = ["--mode", "slide", "--window", "32", "--stride", "24"]
    found = set()
    for options in ([], slide, ["--multi-scale"], [*slide, "--multi-scale"]):
        assert main(["eval-seg", *arguments, *options]) == 0
        found.add(tuple(json.loads(scores.read_text())["class_iou"]))
    assert len(found) == 4


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


def test_a_saved_model_of_probabilities(photo, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    model = save_convolution(tmp_path / "soft.keras", 4, "softmax", best=2)
    arguments = ["--model", model, "--out", str(tmp_path / "x.png"), *SMALL]
    assert main(["segment", photo, *arguments]) == 0
    assert capsys.readouterr().out.startswith("100.0%  class 2\n")


def test_class_255_is_drawn(photo, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    model = save_convolution(tmp_path / "many.keras", 300, best=255)
    out = tmp_path / "x.png"
    arguments = ["--model", model, "--out", str(out), "--alpha", "1", *SMALL]
    assert main(["segment", photo, *arguments]) == 0
    assert capsys.readouterr().out.startswith("100.0%  class 255\n")
    color = class_names_and_colors(300)[1][255]
    with Image.open(out) as picture:
        drawn = np.asarray(picture.convert("RGB"))
    assert (drawn == color).all(axis=-1).mean() > 0.3


# The saved model of these is not there: what is wrong is found before.
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--classes", "7", "--dialect", "mmsegmentation"],
            "--classes, --dialect: only",
        ),
        (["--head", "upernet"], "--head: only for a variant"),
        (
            ["--model", "svt_small", "--weights", "imagenet"],
            "imagenet fills the backbone alone",
        ),
        (["--alpha", "2"], "from 0 to 1. Received: 2"),
        (["--alpha", "nan"], "from 0 to 1. Received: nan"),
        (["--out", "{photo}"], "photo.png is read by this command"),
        (["--out", "{link}"], "link.png is read by this command"),
    ],
)
def test_wrong_usage_of_segment(options, message, photo, tmp_path, capsys):
    link = tmp_path / "link.png"
    link.symlink_to(photo)
    before = link.read_bytes()
    known = {"{photo}": f"{tmp_path}/../{tmp_path.name}/photo.png"}
    known["{link}"] = str(link)
    options = [known.get(x, x) for x in options]
    with pytest.raises(SystemExit) as info:
        main(["segment", photo, "--model", "none.keras", *options])
    assert info.value.code == 2 and message in last_error(capsys)
    assert link.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "x.bmp8"], "x.bmp8"),
        (["--out", "{folder}"], "Received: the folder"),
        (["--mode", "slide", "--window", "32", "--stride", "64"], "stride=64"),
        (["--out", "{photo}/x.png"], "no folder in which"),
    ],
)
def test_what_fails_before_the_model(options, message, photo, tmp_path, capsys):
    known = {"{folder}": str(tmp_path), "{photo}/x.png": f"{photo}/x.png"}
    options = [known.get(x, x) for x in options]
    command = ["segment", photo, "--model", "none.keras"]
    assert main([*command, "--out", "x.png", *options]) == 1
    assert message in last_error(capsys)


def test_without_matplotlib(photo, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["segment", photo, "--model", "none.keras"]) == 1
    assert "keras-twins[plot]" in last_error(capsys)


def test_the_json_is_not_the_model(folder, model, tmp_path, capsys):
    path = shutil.copy(model, tmp_path)
    command = ["eval-seg", "--data", str(folder), "--model", path]
    with pytest.raises(SystemExit) as info:
        main([*command, "--json", path])
    assert info.value.code == 2 and "is read" in last_error(capsys)
    command[-1] = "none.keras"
    assert main([*command, "--json", str(tmp_path)]) == 1
    assert "Received: the folder" in last_error(capsys)


def test_scores_are_printed_before_they_are_written(
    folder, tmp_path, monkeypatch, capsys
):
    def refuse(_):
        raise OSError("no space left")

    model = save_convolution(tmp_path / "model.keras", 4)
    monkeypatch.setattr("keras_twins.weights.files.replace_file", refuse)
    command = ["eval-seg", "--data", str(folder), "--model", model, *SMALL]
    assert main([*command, "--json", str(tmp_path / "x.json")]) == 1
    output = capsys.readouterr()
    assert "mean IoU" in output.out and "no space left" in output.err


@pytest.mark.parametrize("kind", ["half", "inner", "missing"])
def test_broken_models_are_named(kind, photo, model, tmp_path, capsys):
    path = tmp_path / f"{kind}.keras"
    with open(model, "rb") as file:
        content = file.read()
    if kind == "half":
        path.write_bytes(content[: len(content) // 2])
    if kind == "inner":
        with zipfile.ZipFile(model) as old, zipfile.ZipFile(path, "w") as new:
            for name in old.namelist():
                part = old.read(name)
                cut = len(part) // 2 if name.endswith("h5") else len(part)
                new.writestr(name, part[:cut])
    message = {
        "half": "half.keras is not a whole .keras file",
        "inner": "inner.keras cannot be loaded as a Keras model",
        "missing": "There is no file",
    }[kind]
    assert main(["segment", photo, "--model", str(path), *SMALL]) == 1
    assert message in last_error(capsys)


def test_models_of_other_outputs(folder, tmp_path, capsys):
    image = keras.Input((None, None, 3))
    path = tmp_path / "dict.keras"
    x = keras.layers.Conv2D(4, 1)(image)
    keras.Model(image, {"scores": x}).save(path)
    arguments = ["--data", str(folder), "--model", str(path), *SMALL]
    assert main(["eval-seg", *arguments]) == 1
    assert "must return one map of scores" in last_error(capsys)


def test_a_broken_image_is_named_in_one_line(folder, tmp_path, capsys):
    root = tmp_path / "data"
    shutil.copytree(folder, root)
    image = root / "images" / "validation" / "ADE_val_00000001.jpg"
    image.write_bytes(b"junk")
    model = save_convolution(tmp_path / "model.keras", 4)
    arguments = ["--data", str(root), "--model", model, *SMALL]
    assert main(["eval-seg", *arguments]) == 1
    error = last_error(capsys)
    assert error.startswith(f"keras-twins: Cannot read {image} as an image")
    assert "Traceback" not in error and "node" not in error
