import dataclasses
import json
import pathlib
import signal
import tomllib
import warnings

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

import keras_twins
from keras_twins import benchmark
from keras_twins import demo
from keras_twins import export
from keras_twins.cli import main
from keras_twins.cli import models
from keras_twins.config import VARIANTS
from keras_twins.export.comparison import Limits
from keras_twins.weights import pretrained
from keras_twins.weights import read_checkpoint
from keras_twins.weights.errors import WeightsDownloadError
from tests.compiling import slow_but_on
from tests.tiny import SHALLOW

# The commands are the same on every backend, what they call is tested apart.
pytestmark = slow_but_on("tensorflow")


def error_of(capsys) -> str:
    """Returns the one line of an error; nothing else was printed."""
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("keras-twins: ")
    assert output.err.count("\n") == 1
    return output.err


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> pathlib.Path:
    """A file of random weights of the smallest variant."""
    path = tmp_path_factory.mktemp("weights") / "svt_small.weights.h5"
    keras_twins.TwinsSVTSmall(weights=None).save_weights(path)
    return path


@pytest.fixture
def image(tmp_path) -> str:
    pil = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 255, (50, 70, 3), "uint8")
    path = tmp_path / "image.png"
    pil.fromarray(pixels).save(path)
    return str(path)


def test_the_console_script_is_main():
    root = pathlib.Path(__file__).parents[1]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"keras-twins": "keras_twins.cli:main"}


def test_sigterm_is_an_exception(monkeypatch):
    cleaned = []

    def end(_):
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            cleaned.append(True)

    monkeypatch.setattr(models, "print_list", end)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as info:
        main(["list"])
    assert info.value.code == 128 + signal.SIGTERM
    assert cleaned and signal.getsignal(signal.SIGTERM) is before


def test_list(capsys):
    assert main(["list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["variant"] for row in rows] == list(VARIANTS)
    names = [row["constructor"] for row in rows]
    assert names == keras_twins.list_models()
    base = next(row for row in rows if row["variant"] == "svt_base")
    assert base["parameters"] == 56_070_952
    assert base["gmacs"] == pytest.approx(8.5626, abs=1e-4)
    assert base["top1"] == 83.122
    assert main(["list"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0][:3] == ["variant", "constructor", "parameters"]
    expected = ["svt_base", "TwinsSVTBase", "56,070,952", "8.56", "83.12"]
    assert expected in lines[1:7]


@pytest.mark.parametrize("name", ["svt_small", "TwinsSVTSmall"])
def test_summary(name, capsys):
    assert main(["summary", name, "--size", "64"]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = {line[:14].strip(): line[14:].strip() for line in lines}
    count = keras_twins.count_flops(
        keras_twins.TwinsSVTSmall(weights=None, input_shape=(64, 64, 3))
    )
    assert found["image"] == "64 x 64 x 3"
    assert found["parameters"] == "24,060,776"
    assert found["MACs"] == f"{count.total_macs:,}"
    assert found["attention"] == f"{count.macs_attention:,}"
    assert found["FLOPs"] == f"{count.flops:,}"


def test_summary_by_layer(capsys):
    assert main(["summary", "svt_small", "--by-layer"]) == 0
    layers, total = capsys.readouterr().out.split("\n\n")
    rows = [line.rsplit(maxsplit=2) for line in layers.splitlines()[1:]]
    (head,) = (row for row in rows if row[0].startswith("predictions"))
    assert head[1:] == ["513,000", "512,000"]
    parameters = sum(int(row[1].replace(",", "")) for row in rows)
    assert parameters == 24_060_776
    assert f"{sum(int(row[2].replace(',', '')) for row in rows):,}" in total
    assert f"layers         {len(rows)}\n" in total


def test_classify(image, weights, capsys):
    command = ["classify", image, image, "--weights", str(weights)]
    command += ["--size", "32", "--crop", "official", "--top", "3"]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [entry["image"] for entry in found] == [image, image]
    model = keras_twins.TwinsSVTSmall(weights=weights, input_shape=(32, 32, 3))
    pixels = keras_twins.preprocessing.load_image(image, 32, "official")
    (named,) = keras_twins.decode_predictions(
        model.predict(pixels[None], verbose=0), top=3
    )
    for got, (wnid, name, score) in zip(
        found[0]["classes"], named, strict=True
    ):
        assert (got["wnid"], got["name"]) == (wnid, name)
        assert got["probability"] == pytest.approx(float(score), rel=1e-4)
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == lines[4] == image
    assert lines[1].endswith(named[0][1].replace("_", " "))


def test_classify_without_network(image, monkeypatch, capsys):
    def refuse(variant):
        warnings.warn("First source:\n  no route", stacklevel=1)
        raise WeightsDownloadError("No source:\n  no route\nWays out: ...")

    monkeypatch.setattr(pretrained, "fetch_weights", refuse)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(["classify", image, "--size", "32"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines() == [
        "keras-twins: UserWarning: First source: no route",
        "keras-twins: No source: no route Ways out: ...",
    ]


def test_convert_there_and_back(weights, tmp_path, capsys):
    other = tmp_path / "new" / "svt_small.safetensors"
    again = tmp_path / "again.weights.h5"
    for source, target in ((weights, other), (other, again)):
        command = ["convert", str(source), str(target), "--model"]
        assert main([*command, "TwinsSVTSmall"]) == 0
        printed = capsys.readouterr().out
        assert printed.startswith(f"{target}: {target.stat().st_size:,} bytes")
        assert "24,060,776 parameters" in printed
        assert [*target.parent.glob(f"{target.name}?*")] == []
    first, last = (
        keras_twins.TwinsSVTSmall(weights=path) for path in (weights, again)
    )
    for one, two in zip(first.weights, last.weights, strict=True):
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(two)
        )


def test_convert_without_top(weights, tmp_path):
    path = tmp_path / "body.safetensors"
    command = ["convert", str(weights), str(path), "--model", "svt_small"]
    assert main([*command, "--no-top"]) == 0
    names = set(read_checkpoint(path))
    assert "norm.weight" in names
    assert not any(name.startswith("head.") for name in names)


def test_convert_names_the_way_out(weights, tmp_path, capsys):
    source = tmp_path / "other.safetensors"
    save_file({"stages.0.0.norm.weight": np.ones(3, "float32")}, source)
    target = tmp_path / "out.weights.h5"
    options = [str(target), "--model", "svt_small"]
    assert main(["convert", str(source), *options]) == 1
    assert "`python -m weights_port` converts" in error_of(capsys)
    assert main(["convert", str(tmp_path / "missing.pth"), *options]) == 1
    assert "missing.pth" in error_of(capsys)
    assert not target.exists()
    options[0] = str(tmp_path / "out.onnx")
    assert main(["convert", str(weights), *options]) == 1
    assert "must end in .weights.h5 or .safetensors" in error_of(capsys)


@pytest.fixture
def exported(monkeypatch) -> list:
    """Exports nothing; notes what it is asked for, and refuses `int8`."""
    calls = []

    def export_model(model, path, format, **options):
        calls.append((model, path, format, options))
        print("what a converter says")
        card = export.ExportReport(
            format=format,
            precision=options["precision"],
            backend="",
            path=path.with_name(f"{path.name}.rejected"),
            bytes=1,
            images=1,
            image_source="",
            limits=Limits(),
            problems=("It is wrong.",),
        )
        if options["precision"] == "int8":
            raise export.ExportError(f"Kept as\n{card.path}.", card)
        return dataclasses.replace(card, path=path, problems=())

    monkeypatch.setattr(export, "export_model", export_model)
    return calls


def test_export_of_a_variant(weights, image, tmp_path, exported, capsys):
    path = tmp_path / "out.tflite"
    command = ["export", "svt_small", str(path), "--weights", str(weights)]
    options = ["--size", "32", "--images", image, image, "--uint8"]
    card = tmp_path / "card.json"
    assert main([*command, *options, "--json", str(card)]) == 0
    ((model, target, format, options),) = exported
    assert (target, format) == (path, "litert")
    assert model.input_shape == (None, 32, 32, 3)
    same = keras_twins.TwinsSVTSmall(weights=weights, input_shape=(32, 32, 3))
    np.testing.assert_array_equal(*(x.get_weights()[0] for x in (model, same)))
    pixels = keras_twins.preprocessing.load_image(image, 32)
    np.testing.assert_array_equal(options.pop("images"), [pixels, pixels])
    assert options == {
        "precision": "float32",
        "input_dtype": "uint8",
        "preprocess": False,
        "image_size": (32, 32),
        "representative_images": None,
        "tolerance": None,
        "min_agreement": None,
        "overwrite": False,
    }
    output = capsys.readouterr()
    assert output.out.startswith("format       litert, float32\n")
    assert "what a converter says" in output.err
    assert json.loads(card.read_text())["format"] == "litert"


def test_a_refused_export_exits_with_1(tmp_path, exported, capsys):
    command = ["export", "svt_small", str(tmp_path / "new.onnx")]
    command += ["--format", "saved_model", "--precision", "int8"]
    command += ["--weights", "none", "--size", "32", "--no-top"]
    command += ["--json", str(tmp_path / "card.json")]
    assert main(command) == 1
    assert exported[0][0].output_shape == (None, 1, 1, 512)
    output = capsys.readouterr()
    assert "verdict      refused: It is wrong." in output.out
    rejected = tmp_path / "new.onnx.rejected"
    assert output.err.endswith(f"keras-twins: Kept as {rejected}.\n")
    assert json.loads((tmp_path / "card.json").read_text())["problems"]


def test_export_of_a_saved_model(tmp_path, capsys):
    if "saved_model" not in export.exportable_formats():
        pytest.skip("this backend writes no SavedModel")
    pytest.importorskip("sklearn")
    model = keras_twins.classifier(
        SHALLOW, input_shape=(32, 32, 3), classes=5, name="mine"
    )
    model.save(tmp_path / "mine.keras")
    command = ["export", str(tmp_path / "mine.keras"), str(tmp_path / "out")]
    assert main([*command, "--format", "saved_model"]) == 0
    assert (tmp_path / "out" / "saved_model.pb").is_file()
    assert "\nverdict      accepted" in capsys.readouterr().out
    assert main([*command, "--format", "saved_model"]) == 1
    assert "overwrite" in capsys.readouterr().err
    command[1] = "missing.keras"
    assert main([*command, "--format", "saved_model"]) == 1
    assert "no file missing.keras" in error_of(capsys)


def test_demo(tmp_path, monkeypatch):
    folders = []

    def run_demo(out):
        folders.append(out)
        step = demo.Step(name="x", status="failed", result="", seconds=0.0)
        return demo.DemoResult(
            backend="", accuracy=0.0, parameters=0, steps=(step,)
        )

    monkeypatch.setattr(demo, "run_demo", run_demo)
    assert main(["demo", "--out", str(tmp_path)]) == 1
    assert main(["demo"]) == 1
    assert folders == [tmp_path, pathlib.Path("results/demo")]


def test_bench_import(tmp_path, monkeypatch, capsys):
    def run_benchmark(backends, repeats):
        row = benchmark.Measurement(
            name="import", backend=backends[0], unit="s", runs=(2.0,) * repeats
        )
        return benchmark.BenchmarkReport(rows=(row,), machine={}, versions={})

    monkeypatch.setattr(benchmark, "run_benchmark", run_benchmark)
    command = ["bench", "import", "--repeats", "3", "--backends", "jax"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    assert "| import | jax | 2.000 |" in capsys.readouterr().out
    parts = json.loads((tmp_path / "bench.json").read_text())["parts"]
    assert parts["import"]["rows"][0]["runs"] == [2.0, 2.0, 2.0]


@pytest.fixture
def measured(monkeypatch) -> list:
    """Measures nothing; notes what it is asked for."""
    calls = []

    def note(systems, variants, what, rounds, **options):
        names = [system.name for system in systems]
        calls.append((names, variants, what, rounds, options))
        return benchmark.SpeedReport(
            rows=(), failures=(), references=(), machine={}, versions={}
        )

    monkeypatch.setattr(benchmark, "run_speed", note)
    monkeypatch.setattr(
        benchmark,
        "run_scale",
        lambda *values, **options: benchmark.ScaleReport(
            note(*values, **options)
        ),
    )
    return calls


def test_bench_speed_and_scale(tmp_path, measured, capsys):
    command = ["bench", "speed", "scale", "--short", "--out", str(tmp_path)]
    command += ["--systems", "jax", "timm", "--variants", "svt_base"]
    command += ["--batch", "2", "--sizes", "64", "--dtypes", "bfloat16"]
    assert main([*command, "--training", "--preload", "early"]) == 0
    speed, scale = measured
    names = ["jax", "timm-eager", "timm-compile"]
    case = benchmark.Case(size=64, batch=2, dtype="bfloat16")
    short = benchmark.SHORT
    assert speed[:4] == (names, ["svt_base"], (case,), short.rounds)
    assert scale[:4] == (names, ["svt_base"], [64], short.scale_rounds)
    assert speed[4]["preload"] == scale[4]["preload"] == ["early"]
    parts = json.loads((tmp_path / "bench.json").read_text())["parts"]
    assert list(parts) == ["speed", "scale"]


def test_bench_in_its_long_form(tmp_path, measured, capsys):
    assert main(["bench", "speed", "scale", "--out", str(tmp_path)]) == 0
    speed, scale = measured
    assert speed[0] == [system.name for system in benchmark.SYSTEMS]
    assert speed[1:4] == (
        ("svt_small", "pcpvt_small"),
        benchmark.LONG.cases(),
        benchmark.LONG.rounds,
    )
    assert max(scale[2]) == 2048 and scale[1] == ("svt_small",)


@pytest.mark.parametrize(
    "command",
    [
        ["summary", "svt_small", "--size", "8"],
        ["classify", "missing.png"],
        ["bench", "import", "--backends", "caffe"],
        ["bench", "paint"],
        ["bench", "speed", "--systems", "caffe"],
        ["bench", "scale", "--variants", "svt_huge"],
    ],
)
def test_errors_are_one_line(command, capsys):
    assert main(command) == 1
    # What was asked for stands in the message.
    assert command[-1] in error_of(capsys)


def test_an_image_that_is_none(weights, capsys):
    pytest.importorskip("PIL")
    assert main(["classify", str(weights)]) == 1
    assert "an image that can be decoded" in error_of(capsys)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ([], "COMMAND"),
        (["paint"], "paint"),
        (["summary"], "variant"),
        (["summary", "svt_huge"], "name of a constructor"),
        (["summary", "svt_base", "--size", "0"], "at least 1"),
        (["classify"], "IMAGE"),
        (["classify", "x.png", "--crop", "none"], "--crop"),
        (["convert", "a.pth", "b.weights.h5"], "--model"),
        (["bench", "--repeats", "some"], "at least 1"),
        (["export", "svt_small"], "PATH"),
        (["export", "svt_huge", "x.tflite"], "name of a constructor"),
        (["export", "svt_small", "x.tflite", "--precision", "int3"], "int3"),
        (["export", "svt_small", "folder"], "--format is needed"),
        (
            ["export", "a.keras", "b.tflite", "--classes", "64"],
            "--classes: only",
        ),
    ],
)
def test_wrong_usage_exits_with_2(command, message, capsys):
    with pytest.raises(SystemExit) as info:
        main(command)
    assert info.value.code == 2
    assert message in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as info:
        main(["--version"])
    assert info.value.code == 0
    assert capsys.readouterr().out.strip() == keras_twins.__version__
