import dataclasses
import importlib.util
import pathlib

import keras
import numpy as np
import pytest

import keras_twins
from tests.compiling import slow_but_on

# Programs of public functions, each of which is tested on every backend.
pytestmark = slow_but_on("tensorflow")

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"

for package in ("sklearn", "PIL"):
    pytest.importorskip(package)


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shallow(config):
    """Returns the config with one block a stage, which compiles quickly."""
    return dataclasses.replace(config, depths=(1, 1, 1, 1))


def write_pictures(folder, count: int = 10) -> None:
    """Two classes that differ in colour."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for channel, name in enumerate(("blue", "red")):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 80, (40, 48, 3)).astype("uint8")
            pixels[..., 2 - 2 * channel] += 150
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


def test_classify_image(tmp_path, capsys):
    write_pictures(tmp_path, count=1)
    picture = str(tmp_path / "red" / "0.png")
    options = ["--weights", "none", "--size", "64", "--top", "3"]
    named = load("classify_image").main([picture, *options])
    (classes,) = named.values()
    assert len(classes) == 3
    assert classes[0][2] >= classes[1][2] >= classes[2][2] > 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == picture
    assert printed[1].endswith(classes[0][1].replace("_", " "))


def test_classify_image_takes_the_photographs(capsys):
    example = load("classify_image")
    pictures = example.load_pictures([], 64)
    assert {k: v.shape for k, v in pictures.items()} == {
        "china": (64, 64, 3),
        "flower": (64, 64, 3),
    }


@pytest.mark.parametrize("precision", ["mixed_bfloat16"])
def test_finetune_classifier(tmp_path, precision):
    pytest.importorskip("tensorflow")
    write_pictures(tmp_path / "colours")
    example = load("finetune_classifier")
    example.SMALL = shallow(example.SMALL)
    accuracy = example.main(
        ["--data", str(tmp_path / "colours"), "--out", str(tmp_path)]
        + ["--model", "small", "--weights", "none", "--size", "32"]
        + ["--head-epochs", "1", "--epochs", "6", "--batch", "8"]
        + ["--precision", precision]
    )
    assert accuracy == 1
    model = keras.saving.load_model(tmp_path / "finetuned.keras")
    assert model.output_shape == (None, 2)
    assert all(layer.trainable for layer in model.layers)
    block = model.get_layer("stage3_block0")
    assert block.dtype_policy.name == precision


def test_train_segmentation(tmp_path):
    results = load("train_segmentation").main(
        ["--scenes", "4", "--epochs", "1", "--batch-size", "2"]
        + ["--pictures", "1", "--out", str(tmp_path)]
    )
    assert 0 <= results["mean_iou"] <= 1
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["scene0_found.png", "scene0_true.png"]


def test_finetune_classifier_freezes_the_body():
    example = load("finetune_classifier")
    options = example.parse(
        ["--model", "small", "--weights", "none", "--size", "32"]
    )
    body, model = example.build(options, classes=3)
    body.trainable = False
    head = {weight.path for weight in model.trainable_weights}
    assert {path.split("/")[0] for path in head} == {"predictions"}


def test_finetune_classifier_writes_the_digits(tmp_path):
    folder = load("finetune_classifier").write_digits(tmp_path / "digits")
    assert {path.name for path in folder.iterdir()} == set("0123456789")
    assert len(list(folder.rglob("*.png"))) > 1750


def test_custom_twins(capsys):
    example = load("custom_twins")
    example.ABLATIONS = {k: shallow(v) for k, v in example.ABLATIONS.items()}
    rows = example.main(
        ["--epochs", "1", "--images", "64", "--only", "twins-svt", "no PEG"]
    )
    full, without = rows
    # A 3x3 kernel and a bias for each channel of each stage.
    assert full.parameters - without.parameters == 10 * (32 + 64 + 96 + 128)
    assert full.macs > without.macs > 0
    assert 0 <= full.accuracy <= 1
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("only local (LSA)", "attention_pattern", ("L",) * 4),
        ("only global (GSA)", "attention_pattern", ("G",) * 4),
        ("no PEG", "position_encoding", "none"),
        ("average pooling", "reduction", "average_pool"),
    ],
)
def test_ablations_are_what_they_are_called(name, field, value):
    config = load("custom_twins").ABLATIONS[name]
    assert getattr(config, field) == value
    model = keras_twins.classifier(config, input_shape=(32, 32, 3), classes=10)
    assert model.output_shape == (None, 10)


def test_port_weights(tmp_path):
    example = load("port_weights")
    model = keras_twins.TwinsSVTSmall(weights=None)
    first = tmp_path / "first.weights.h5"
    model.save_weights(first)
    other = tmp_path / "other.safetensors"
    assert example.main([str(first), str(other)]) < 1e-6
    again = tmp_path / "again.weights.h5"
    assert example.main([str(other), str(again)]) < 1e-6
    model.load_weights(again)
    loaded = keras_twins.TwinsSVTSmall(weights=first)
    for one, two in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(two)
        )


def test_port_weights_refuses_other_formats(tmp_path):
    with pytest.raises(ValueError, match=r"must end in.*target=.*\.onnx"):
        load("port_weights").main(
            [str(tmp_path / "weights.pth"), str(tmp_path / "x.onnx")]
        )


@pytest.fixture
def tiny_pictures(tmp_path) -> pathlib.Path:
    write_pictures(tmp_path / "pictures", count=3)
    return tmp_path / "pictures"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_serve_saved_model(tmp_path, capsys):
    pytest.importorskip("tensorflow")
    example = load("serve_saved_model")
    keras.utils.set_random_seed(1)
    model = example.load_model(None)
    model.save(tmp_path / "model.keras")
    outputs = example.main(
        ["--model", str(tmp_path / "model.keras"), "--pictures", "3"]
        + ["--out", str(tmp_path)]
    )
    pictures = example.load_pictures(model, 3)
    assert (pictures.dtype, pictures.shape) == ("uint8", (3, 32, 32, 3))
    np.testing.assert_allclose(
        outputs, model.predict(pictures, verbose=0), atol=1e-5
    )
    assert (tmp_path / "1" / "saved_model.pb").is_file()
    printed = capsys.readouterr().out
    assert "dtype: DT_UINT8\n      shape: (-1, 32, 32, 3)" in printed
    assert "verdict      accepted" in printed


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_run_litert(tmp_path, tiny_pictures, capsys):
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("tensorflow")
    example = load("run_litert")
    path = example.export_small_model(str(tmp_path))
    pictures = [str(x) for x in sorted(tiny_pictures.rglob("*.png"))]
    scores = example.main([*pictures, "--file", path])
    assert list(scores) == pictures
    assert {x.shape for x in scores.values()} == {(10,)}
    assert abs(sum(scores[pictures[0]]) - 1) < 1e-5
    assert capsys.readouterr().out.count("class ") == 3 * len(pictures)
    cut = example.LiteRTClassifier(path).cut(
        np.arange(400 * 300).reshape(400, 300)
    )
    assert cut.shape == (96, 96)
    # The middle of the picture, each line of pixels at its own distance.
    assert np.ptp(cut[:, 0] // 300) <= 300 and cut[0, 0] % 300 <= 3


def test_run_litert_wants_bytes(tmp_path):
    pytest.importorskip("ai_edge_litert")
    pytest.importorskip("tensorflow")
    from keras_twins.export import export_model

    image = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    model = keras.Model(image, keras.layers.Dense(2)(pooled))
    export_model(model, tmp_path / "float.tflite", "litert")
    with pytest.raises(ValueError, match="takes float32.*--uint8"):
        load("run_litert").LiteRTClassifier(str(tmp_path / "float.tflite"))


def test_run_onnx_batch(tmp_path, tiny_pictures, capsys):
    for package in ("onnxruntime", "onnx"):
        pytest.importorskip(package)
    example = load("run_onnx_batch")
    path = example.export_small_model(str(tmp_path))
    options = ["--file", path, "--out", str(tmp_path / "classes.csv")]
    whole = example.main([str(tiny_pictures), *options, "--batch", "6"])
    parts = example.main([str(tiny_pictures), *options, "--batch", "4"])
    assert len(whole) == 6 and whole == parts
    lines = (tmp_path / "classes.csv").read_text().splitlines()
    assert lines[0] == "picture,class,score"
    assert [line.split(",")[0] for line in lines[1:]] == [x for x, _ in whole]
    assert "6 pictures" in capsys.readouterr().out


@pytest.mark.parametrize(
    "kind", ["retinanet", pytest.param("mask_rcnn", marks=pytest.mark.slow)]
)
def test_train_detector(kind, tmp_path):
    sizes = ["--scenes", "30", "--epochs", "1", "--size", "64"]
    results = load("train_detector").main(
        [kind, *sizes, "--pictures", "1", "--out", str(tmp_path)]
    )
    assert 0 <= results["box_AP50"] <= 1
    assert ("mask_AP50" in results) == (kind == "mask_rcnn")
    assert (tmp_path / "scene0.png").stat().st_size > 500
