import sys

import keras
import numpy as np
import pytest

import keras_twins
from keras_twins.export import ExportError
from keras_twins.export import export_model
from keras_twins.export import exportable_formats
from keras_twins.export import exporting
from keras_twins.export import load_artifact
from tests.tiny import SVT
from tests.tiny import randomise

NAMES = {"saved_model": "model", "litert": "model.tflite"}

pytest.importorskip("tensorflow")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def model() -> keras.Model:
    model = keras_twins.classifier(SVT, input_shape=(40, 32, 3), classes=5)
    randomise(model)
    return model


@pytest.fixture
def images() -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.integers(0, 256, (3, 40, 32, 3)).astype("float32")


def require_format(name: str) -> None:
    if name not in exportable_formats():
        pytest.skip(f"{keras.backend.backend()} does not write {name}")


@pytest.mark.parametrize("format", NAMES)
def test_artifact_agrees_with_keras(model, images, tmp_path, format):
    require_format(format)
    if format == "litert":
        pytest.importorskip("ai_edge_litert")
    path = tmp_path / "new" / NAMES[format]
    report = export_model(model, path, format, images=images)
    assert report.format == format
    assert report.path == path
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert report.bytes > 4 * model.count_params()
    assert report.max_abs_difference < 1e-5
    assert report.top1_agreement == 1
    assert report.seconds > 0
    (outputs,) = load_artifact(path, format)(images[:2])
    np.testing.assert_allclose(
        outputs, model.predict(images[:2], verbose=0), atol=1e-5
    )


def test_saved_model_of_any_size(tmp_path):
    require_format("saved_model")
    model = keras_twins.TwinsBackbone(SVT)
    if keras.backend.backend() == "jax":
        with pytest.raises(ValueError, match="fixed height and width"):
            export_model(model, tmp_path / "model")
        return
    report = export_model(model, tmp_path / "model")
    assert report.top1_agreement is None
    assert report.max_abs_difference <= 1e-4 * report.max_abs_output
    run = load_artifact(tmp_path / "model", "saved_model")
    images = np.ones((1, 64, 96, 3), "float32")
    assert run(images)[0].shape == (1, 2, 3, 32)


@pytest.mark.parametrize("format", NAMES)
def test_other_backends_say_what_to_do(model, tmp_path, format):
    if format in exportable_formats():
        pytest.skip("this backend writes the format")
    with pytest.raises(ValueError, match="KERAS_BACKEND=tensorflow"):
        export_model(model, tmp_path / NAMES[format], format)
    assert not list(tmp_path.iterdir())


def test_unknown_format(model, tmp_path):
    with pytest.raises(ValueError, match=r"`format` must be .*litert.*'pb'"):
        export_model(model, tmp_path / "model", "pb")


@pytest.mark.parametrize("wrong", ["values", "nan", "shape"])
def test_artifact_that_differs_is_removed(model, tmp_path, monkeypatch, wrong):
    require_format("saved_model")

    def load(path, format):
        run = load_artifact(path, format)

        def distort(batch):
            (outputs,) = run(batch)
            if wrong == "values":
                return [outputs + 1e-3]
            if wrong == "nan":
                return [np.where(outputs == outputs.max(), np.nan, outputs)]
            return [outputs[:, :-1]]

        return distort

    monkeypatch.setattr(exporting, "load_artifact", load)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").touch()
    with pytest.raises(ExportError, match="differs|shapes"):
        export_model(model, tmp_path / "model", overwrite=True)
    # What was there before is still there, and nothing else.
    assert [x.name for x in tmp_path.iterdir()] == ["model"]
    (old,) = (tmp_path / "model").iterdir()
    assert old.name == "saved_model.pb" and old.stat().st_size == 0


def test_artifact_that_does_not_run_is_removed(model, tmp_path, monkeypatch):
    require_format("saved_model")

    def load(path, format):
        raise RuntimeError("unknown operation")

    monkeypatch.setattr(exporting, "load_artifact", load)
    with pytest.raises(ExportError, match="cannot be run.*unknown operation"):
        export_model(model, tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_other_folders_are_never_replaced(model, tmp_path):
    require_format("saved_model")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="holds no SavedModel"):
        export_model(model, tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_existing_artifact_needs_overwrite(model, tmp_path):
    require_format("saved_model")
    path = tmp_path / "model"
    path.mkdir()
    (path / "saved_model.pb").touch()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        export_model(model, path)
    export_model(model, path, overwrite=True)
    assert (path / "saved_model.pb").stat().st_size > 0
    assert [x.name for x in tmp_path.iterdir()] == ["model"]


def test_litert_needs_its_suffix_and_a_fixed_size(model, tmp_path):
    require_format("litert")
    with pytest.raises(ValueError, match=r"must end in '\.tflite'"):
        export_model(model, tmp_path / "model", "litert")
    dynamic = keras_twins.TwinsBackbone(SVT)
    with pytest.raises(ValueError, match="fixed height and width"):
        export_model(dynamic, tmp_path / "model.tflite", "litert")


def test_one_input_only(tmp_path):
    require_format("saved_model")
    inputs = [keras.Input((4,)), keras.Input((4,))]
    model = keras.Model(inputs, keras.ops.add(*inputs))
    with pytest.raises(ValueError, match="2 inputs"):
        export_model(model, tmp_path / "model")


def test_missing_package_names_the_extra(model, tmp_path, monkeypatch):
    require_format("litert")
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(
        ImportError, match=r"ai_edge_litert.*keras-twins\[export\]"
    ):
        export_model(model, tmp_path / "model.tflite", "litert")
