"""The commands `detect` and `eval-coco`."""

import json
import shutil
import sys

import keras
import numpy as np
import pytest

from keras_twins.cli import main
from keras_twins.cli.detection_inputs import class_names
from keras_twins.cli.detection_inputs import read_names
from keras_twins.cli.detection_inputs import warn_of_threshold
from keras_twins.cli.detection_scores import as_json
from keras_twins.cli.detection_scores import score_tables
from keras_twins.detection import MaskRCNN
from keras_twins.detection import RetinaNet
from tests.compiling import slow_but_on
from tests.compiling import slow_on
from tests.detection.models import CLASSES
from tests.detection.models import build

# The commands are the same on every backend, what they call is tested apart.
pytestmark = slow_but_on("tensorflow")

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("pycocotools")

SMALL = ["--resize", "64", "64"]
NAMES = ["cat", "dog", "cow", "tennis racket"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Saved models that find something everywhere."""
    folder = tmp_path_factory.mktemp("models")
    for cls in (RetinaNet, MaskRCNN):
        model = build(cls, (None, None, 3), score_threshold=0.001)
        model.save(folder / f"{model.head_name}.keras")
    return folder


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """An image of 40x60 pixels."""
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), "uint8")
    Image.fromarray(pixels).save(path)
    return str(path)


def annotation(number, image, category, x, y, width, height):
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": [x, y, width, height],
        "area": width * height,
        "iscrowd": 0,
        "segmentation": [
            [x, y, x + width, y, x + width, y + height, x, y + height]
        ],
    }


def content(categories=tuple(NAMES)) -> dict:
    return {
        "images": [
            {"id": i, "file_name": f"{i}.jpg", "height": 40, "width": 60}
            for i in (3, 7)
        ],
        "categories": [
            {"id": 5 * i + 1, "name": name} for i, name in enumerate(categories)
        ],
        "annotations": [
            annotation(1, 3, 1, 10, 10, 20, 20),
            annotation(2, 3, 6, 30, 5, 25, 30),
            annotation(3, 7, 16, 0, 0, 60, 40),
        ],
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two images in the layout of COCO."""
    root = tmp_path_factory.mktemp("data")
    (root / "images").mkdir()
    rng = np.random.default_rng(0)
    for i in (3, 7):
        pixels = rng.integers(0, 256, (40, 60, 3), "uint8")
        Image.fromarray(pixels).save(root / "images" / f"{i}.jpg")
    (root / "instances.json").write_text(json.dumps(content()))
    return root


def data(folder, annotations="instances.json") -> list[str]:
    path = str(folder / annotations)
    return ["--annotations", path, "--images", str(folder / "images")]


def last_error(capsys) -> str:
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    "head", ["retinanet", pytest.param("mask_rcnn", marks=slow_on("jax"))]
)
def test_detect(head, models, photo, tmp_path, capsys):
    names = tmp_path / "names.txt"
    names.write_text("\n".join(NAMES) + "\n")
    out, path = tmp_path / "new" / "x.png", tmp_path / "new" / "x.json"
    arguments = ["--model", str(models / f"{head}.keras"), *SMALL]
    arguments += ["--out", str(out), "--json", str(path)]
    arguments += ["--score-threshold", "0.001", "--names", str(names)]
    assert main(["detect", photo, *arguments]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    with Image.open(out) as drawn:
        assert last == str(out) and drawn.size[0] % 60 == 0
    results = json.loads(path.read_text())
    assert results["image"] == photo and results["size"] == [40, 60]
    rows = results["detections"]
    assert 0 < len(rows) == len(lines)
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores, reverse=True)
    for row, line in zip(rows, lines, strict=True):
        assert row["name"] == NAMES[row["label"]]
        assert row["name"] in line and f"{row['score']:.1%}" in line
        assert ("mask" in row) == (head == "mask_rcnn")
        if head == "mask_rcnn":
            assert row["mask"]["size"] == [40, 60]
            assert sum(row["mask"]["counts"]) == 40 * 60


@slow_on("jax")  # compiles the model anew
@pytest.mark.parametrize(
    ("own", "message"),
    [(0.001, "no object above 100.0%; the best is at "), (1.0, "found none")],
)
def test_nothing_is_found(own, message, photo, tmp_path, capsys):
    model = build(RetinaNet, (None, None, 3), score_threshold=own)
    model.save(tmp_path / "model.keras")
    arguments = ["--model", str(tmp_path / "model.keras"), *SMALL]
    arguments += ["--out", str(tmp_path / "x.png"), "--score-threshold", "1"]
    assert main(["detect", photo, *arguments]) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert message in first and last == str(tmp_path / "x.png")


def test_a_threshold_below_that_of_the_model():
    model = build(RetinaNet, score_threshold=0.1)
    warn_of_threshold(model, 0.1)
    with pytest.warns(match="threshold 0.02 shows no more than 0.1 does"):
        warn_of_threshold(model, 0.02)


@pytest.mark.parametrize(
    "head", ["retinanet", pytest.param("mask_rcnn", marks=slow_on("jax"))]
)
def test_evaluate(head, models, folder, tmp_path, capsys):
    path = tmp_path / "new" / "scores.json"
    arguments = [*data(folder), "--model", str(models / f"{head}.keras")]
    arguments += [*SMALL, "--batch-size", "2", "--by-class"]
    assert main(["eval-coco", *arguments, "--json", str(path)]) == 0
    captured = capsys.readouterr()
    scores = json.loads(path.read_text())
    kinds = ["box", "mask"] if head == "mask_rcnn" else ["box"]
    assert scores["images"] == 2 and "images  2\n" in captured.out
    for kind in kinds:
        assert 0 <= scores[f"{kind}_AP"] <= 1
        # There is no cow.
        by_class = scores[f"{kind}_class_AP"]
        assert [by_class[x] is None for x in NAMES] == [0, 0, 1, 0]
        assert f"{scores[f'{kind}_AP50']:.2%}" in captured.out
    assert ("mask_AP" in scores) == (head == "mask_rcnn")
    # The progress bar is not where the results are.
    assert "1/1" in captured.err and "1/1" not in captured.out


@slow_on("jax")  # compiles the model anew
def test_masks_that_are_not_compared(folder, models, tmp_path, capsys):
    rows = content()
    for row in rows["annotations"]:
        del row["segmentation"]
    (folder / "boxes.json").write_text(json.dumps(rows))
    arguments = data(folder, "boxes.json")
    arguments += ["--model", str(models / "retinanet.keras"), *SMALL]
    assert main(["eval-coco", *arguments, "--boxes-only"]) == 0
    assert "mask" not in capsys.readouterr().out


def test_tables():
    nothing = float("nan")
    numbers = dict.fromkeys(("AP", "AP50", "AP75", "APs", "APm"), 0.5)
    scores = {f"box_{name}": value for name, value in numbers.items()}
    scores |= {"box_APl": nothing, "box_class_AP": {"a b": 1.0, "c": nothing}}
    table, by_class = score_tables(scores, by_class=True).split("\n\n")
    header, row = table.splitlines()
    assert header.split() == ["AP", "AP50", "AP75", "APs", "APm", "APl"]
    assert row.split() == ["box", *["50.00%"] * 5, "-"]
    assert [line.split() for line in by_class.splitlines()] == [
        ["class", "box", "AP"],
        ["a", "b", "100.00%"],
        ["c", "-"],
    ]
    assert as_json(scores)["box_APl"] is None
    assert as_json(scores)["box_class_AP"] == {"a b": 1.0, "c": None}


@pytest.mark.filterwarnings("default:The weights are random")
def test_random_weights_are_said_to_be_random(photo, monkeypatch, capsys):
    def refuse(*arguments, **keywords):
        raise ValueError(f"asked for {arguments} {keywords}")

    monkeypatch.setattr(MaskRCNN, "from_twins", refuse)
    arguments = ["--weights", "none", "--classes", "2", "--head", "mask_rcnn"]
    assert main(["detect", photo, "--model", "svt_base", *arguments]) == 1
    errors = capsys.readouterr().err
    assert "weights are random" in errors
    assert "asked for ('svt_base', None, 2) {'dialect': None}" in errors


# The saved model of these is not there: what is wrong is found before.
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--classes", "7", "--head", "retinanet"], "--head, --classes: only"),
        (["--model", "svt_small"], "--weights is needed for a variant"),
        (["--model", "x.weights.h5"], "svt_small, and pass --weights x.weig"),
        (
            ["--model", "svt_small", "--weights", "imagenet"],
            "imagenet fills the backbone alone",
        ),
        (["--score-threshold", "2"], "from 0 to 1. Received: 2"),
        (["--out", "{photo}"], "photo.png is read by this command"),
        (["--json", "{photo}"], "photo.png is read by this command"),
        (["--json", "x.png", "--out", "x.png"], "x.png is the name of two"),
    ],
)
def test_wrong_usage_of_detect(options, message, photo, capsys):
    options = [photo if x == "{photo}" else x for x in options]
    with pytest.raises(SystemExit) as info:
        main(["detect", photo, "--model", "none.keras", *options])
    assert info.value.code == 2 and message in last_error(capsys)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--out", "x.bmp8"], "x.bmp8"),
        (["--out", "{folder}"], "Received: the folder"),
        (["--names", "none.txt"], "none.txt"),
        ([], "There is no file none.keras"),
    ],
)
def test_what_fails_before_the_model(options, message, photo, tmp_path, capsys):
    options = [str(tmp_path) if x == "{folder}" else x for x in options]
    assert main(["detect", photo, "--model", "none.keras", *options]) == 1
    assert message in last_error(capsys)


def test_without_pillow(photo, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "PIL.ImageDraw", None)
    assert main(["detect", photo, "--model", "none.keras"]) == 1
    assert "keras-twins[plot]" in last_error(capsys)


def test_the_json_is_not_what_is_read(folder, capsys):
    command = ["eval-coco", *data(folder), "--model", "none.keras"]
    with pytest.raises(SystemExit) as info:
        main([*command, "--json", str(folder / "instances.json")])
    assert info.value.code == 2 and "is read" in last_error(capsys)


def test_other_classes_than_those_of_the_model(folder, models, capsys):
    (folder / "two.json").write_text(json.dumps(content(NAMES[:4] + ["ox"])))
    arguments = [*data(folder, "two.json"), *SMALL]
    arguments += ["--model", str(models / "retinanet.keras")]
    assert main(["eval-coco", *arguments]) == 1
    assert "tells 4 classes apart; there must be as many" in last_error(capsys)


def test_models_that_do_not_detect(folder, tmp_path, capsys):
    image = keras.Input((None, None, 3))
    path = tmp_path / "other.keras"
    keras.Model(image, keras.layers.Conv2D(4, 1)(image)).save(path)
    arguments = [*data(folder), "--model", str(path), *SMALL]
    assert main(["eval-coco", *arguments]) == 1
    assert "must hold a RetinaNet or a MaskRCNN" in last_error(capsys)


def test_a_broken_image_is_named_in_one_line(folder, models, tmp_path, capsys):
    root = tmp_path / "data"
    shutil.copytree(folder, root)
    image = root / "images" / "7.jpg"
    image.write_bytes(b"junk")
    arguments = [*data(root), "--model", str(models / "retinanet.keras")]
    assert main(["eval-coco", *arguments, *SMALL]) == 1
    error = last_error(capsys)
    assert str(image) in error and "Traceback" not in error


@pytest.mark.parametrize(
    ("text", "message"),
    [(b"", "0 lines"), (b"a\n\nb\n", "3 lines, 1 of"), (b"\xff", "UTF-8")],
)
def test_files_without_names(text, message, tmp_path):
    path = tmp_path / "names.txt"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=message):
        read_names(path)


def test_names_by_number_of_classes():
    model = keras.Sequential([keras.layers.Dense(1)])
    model.num_classes = CLASSES
    assert class_names(model, None)[3] == "class 3"
    model.num_classes = 80
    assert class_names(model, None)[79] == "toothbrush"
    with pytest.raises(ValueError, match="80 classes.*Received: 4"):
        class_names(model, NAMES)
