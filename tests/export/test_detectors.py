"""Detectors in other formats: what they give, and how that is proved."""

import dataclasses
import pathlib

import keras
import numpy as np
import pytest

from keras_twins.cli.program import main
from keras_twins.detection import MaskRCNN
from keras_twins.detection import RetinaNet
from keras_twins.export import ExportError
from keras_twins.export import export_model
from keras_twins.export import exportable_formats
from keras_twins.export import load_artifact
from keras_twins.export import proof
from keras_twins.export.detections import choose_outputs
from keras_twins.export.detections import detector_graph
from keras_twins.export.formats import FORMATS
from keras_twins.export.proof import prove
from tests.compiling import slow_on
from tests.detection.models import build
from tests.detection.models import pixels
from tests.tiny import to_numpy

SHAPE = (64, 96, 3)
LEVELS = {RetinaNet: range(3, 8), MaskRCNN: range(2, 7)}
BACKEND = keras.backend.backend()

both = pytest.mark.parametrize("cls", [RetinaNet, MaskRCNN])
tensorflow_only = pytest.mark.skipif(
    BACKEND != "tensorflow", reason="the writer of the suppression"
)


@pytest.fixture(scope="module")
def retinanet() -> RetinaNet:
    return build(RetinaNet)


def objects_of(graph: keras.Model, images: np.ndarray) -> dict[str, np.ndarray]:
    found = graph(images, training=False)
    return {name: to_numpy(x) for name, x in found.items()}


@both
def test_raw_outputs_have_names(cls):
    model = build(cls, image_shape=(None, None, 3))
    graph = detector_graph(model, "raw", SHAPE)
    levels = LEVELS[cls]
    names = {f"{kind}_P{n}" for kind in ("deltas", "logits") for n in levels}
    if cls is MaskRCNN:
        names |= {f"maps_P{n}" for n in range(2, 6)}
    assert list(graph.output) == sorted(names)
    image = pixels(1, *SHAPE)
    raw, found = model.raw_outputs(image), graph(image)
    for place, level in enumerate(levels):
        np.testing.assert_allclose(
            to_numpy(found[f"logits_P{level}"]),
            to_numpy(raw["logits"][place]),
            rtol=1e-5,
            atol=1e-5,
        )


@slow_on("jax")  # half a minute of compiling
def test_objects_of_a_graph_that_was_saved(retinanet, tmp_path):
    """A compiled model's optimizer is no part of it."""
    retinanet.compile(keras.optimizers.Adam())
    graph = detector_graph(retinanet, "detections", SHAPE)
    graph.save(tmp_path / "graph.keras")
    loaded = keras.saving.load_model(tmp_path / "graph.keras")
    image = pixels(1, *SHAPE)
    expected = objects_of(retinanet, image)
    assert expected["valid"].any()
    assert list(graph.output) == sorted(expected)
    found = objects_of(loaded, image)
    for name, spec in graph.output.items():
        assert spec.shape[1:] == expected[name].shape[1:]
        assert spec.dtype == str(expected[name].dtype)
        np.testing.assert_allclose(found[name], expected[name], atol=1e-3)
    layer = loaded.get_layer("predictions")
    assert not layer.detector.compiled


@pytest.mark.parametrize(
    ("cls", "format", "arguments", "message"),
    [
        (RetinaNet, "torch", {}, "PyTorch traces no loop.*outputs='raw'"),
        (RetinaNet, "openvino", {}, "OpenVINO does not read the loop"),
        (MaskRCNN, "onnx", {}, "MaskRCNN.*does not know the switch"),
        (MaskRCNN, "litert", {}, "MaskRCNN.*does not know the switch"),
        (RetinaNet, "litert", {"precision": "float16"}, "float32 only"),
        (RetinaNet, "litert", {"precision": "int8"}, "was not measured"),
        (RetinaNet, "onnx", {"outputs": "boxes"}, "must be one of .*'boxes'"),
    ],
)
def test_what_a_format_cannot_hold(cls, format, arguments, message):
    model = build(cls)
    arguments = {"outputs": None, "precision": "float32", **arguments}
    with pytest.raises(ValueError, match=message):
        choose_outputs(model, chosen=FORMATS[format], **arguments)


def test_other_models_have_no_choice(tmp_path):
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.Flatten()(image))
    with pytest.raises(ValueError, match="`outputs` is for detectors"):
        export_model(model, tmp_path / "m", "saved_model", outputs="raw")


@pytest.fixture
def proved(monkeypatch, retinanet, tmp_path):
    """Proves an artefact that gives Keras's outputs, distorted."""

    def prove_it(distort, outputs="detections", **options):
        graph = detector_graph(retinanet, outputs, SHAPE)
        names, images = sorted(graph.output), pixels(2, *SHAPE)

        def runner(change):
            def run(batch):
                found = change(objects_of(graph, batch))
                return [np.asarray(found[name]) for name in names]

            return run

        def keras_runner(model):
            return runner(lambda x: x)

        def load(path, format):
            return runner(distort)

        monkeypatch.setattr(proof, "load_artifact", load)
        monkeypatch.setattr(proof, "keras_runner", keras_runner)
        monkeypatch.setattr(proof, "_race", lambda *_: {})
        path = tmp_path / "model"
        path.write_bytes(b"four")
        return prove(graph, path, "saved_model", images=images, **options)

    return prove_it


@slow_on("jax")  # half a minute of compiling
def test_the_card_of_objects(proved):
    card = proved(lambda x: {**x, "scores": x["scores"] + np.float32(1e-5)})
    assert card.accepted and card.objects.agreement == 1
    assert card.objects.expected == card.objects.matched > 0
    assert "same objects" in card.table()
    assert card.to_dict()["objects"]["matched"] == card.objects.matched


def without_first(found):
    return {**found, "valid": found["valid"] & (np.arange(10) > 0)}


@slow_on("jax")
@pytest.mark.parametrize(
    ("distort", "message"),
    [
        (without_first, r"finds \d+ objects, Keras 20.*limit is 99.0%"),
        (lambda x: {**x, "boxes": x["boxes"] + 9}, "0 are the same"),
        (lambda x: {**x, "scores": x["scores"] * np.nan}, "not finite"),
    ],
)
def test_other_objects_are_refused(proved, distort, message):
    with pytest.raises(ExportError, match=message):
        proved(distort)


def test_some_objects_may_differ_if_that_is_asked_for(proved):
    assert proved(without_first, min_agreement=0.9).objects.received == 18


def test_nothing_found_proves_nothing(proved, retinanet, monkeypatch):
    settings = dataclasses.replace(retinanet.settings, score_threshold=1.0)
    monkeypatch.setattr(retinanet, "settings", settings)
    with pytest.raises(ExportError, match="nothing was compared.*`images`"):
        proved(lambda x: x)


def test_every_raw_output_counts(proved):
    def distort(found):
        # The smallest of them: nothing beside the largest.
        return {**found, "deltas_P7": found["deltas_P7"] * np.float32(1.0005)}

    with pytest.raises(ExportError, match="output 'deltas_P7' differs"):
        proved(distort, outputs="raw")
    card = proved(lambda x: x, outputs="raw")
    assert [x.name for x in card.outputs][0] == "deltas_P3"
    assert "logits_P7" in card.table()


def path_for(folder: pathlib.Path, name: str) -> pathlib.Path:
    return folder / f"model{FORMATS[name].suffix}"


def export(model, tmp_path, name, **options):
    path = path_for(tmp_path, name)
    images = pixels(2, *SHAPE)
    report = export_model(model, path, name, images=images, **options)
    return path, report, images


@tensorflow_only
@pytest.mark.parametrize(
    "cls", [RetinaNet, pytest.param(MaskRCNN, marks=pytest.mark.slow)]
)
def test_saved_model_with_suppression(cls, tmp_path):
    import tensorflow as tf

    model = build(cls)
    path, report, images = export(model, tmp_path, "saved_model")
    assert report.objects is not None and report.objects.agreement == 1
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    found = serve(images=tf.constant(images))
    expected = objects_of(model, images)
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-3)


@tensorflow_only
def test_onnx_and_litert_keep_the_names(retinanet, tmp_path):
    import onnx
    from ai_edge_litert.interpreter import Interpreter

    names = sorted(detector_graph(retinanet, "raw", SHAPE).output)
    path, report, _ = export(retinanet, tmp_path, "onnx", outputs="raw")
    assert [x.name for x in onnx.load(path).graph.output] == names
    assert [x.name for x in report.outputs] == names
    path, _, _ = export(
        retinanet, tmp_path, "litert", outputs="raw", precision="float16"
    )
    runner = Interpreter(model_path=str(path)).get_signature_runner()
    assert sorted(runner.get_output_details()) == names


@tensorflow_only
@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_suppression_in_other_formats(retinanet, tmp_path, name):
    path, report, images = export(retinanet, tmp_path, name)
    assert report.objects is not None and report.objects.agreement == 1
    outputs = load_artifact(path, name)(images)
    expected = objects_of(retinanet, images)
    for key, values in zip(sorted(expected), outputs, strict=True):
        assert values.dtype == expected[key].dtype
        np.testing.assert_allclose(values, expected[key], atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["openvino", "torch"])
@both
def test_raw_outputs_in_other_formats(cls, tmp_path, name):
    if name not in exportable_formats():
        pytest.skip("written by another backend")
    _, report, _ = export(build(cls), tmp_path, name, outputs="raw")
    assert all(x.max_abs_difference < 1e-4 for x in report.outputs)


def test_the_command_hands_on_the_outputs(retinanet, tmp_path, capsys):
    file, target = tmp_path / "mine.keras", tmp_path / "out.pt2"
    retinanet.save(file)
    assert main(["export", str(file), str(target)]) == 1
    assert "PyTorch traces no loop" in capsys.readouterr().err
    target = target.with_suffix(".tflite")
    command = ["export", str(file), str(target), "--outputs", "raw"]
    assert main([*command, "--precision", "int8"]) == 1
    assert "was not measured" in capsys.readouterr().err
    assert not target.exists()
