"""What `export_model` does with any format, tried on one made for it."""

import pathlib
import subprocess

import keras
import numpy as np
import pytest

from keras_twins.export import ExportError
from keras_twins.export import elsewhere
from keras_twins.export import export_model
from keras_twins.export import exportable_formats
from keras_twins.export import load_artifact
from keras_twins.export.formats import FORMATS
from keras_twins.export.formats import Format
from keras_twins.export.formats import format_of
from keras_twins.export.plan import Plan

CLASSES = 4


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """The mean of each channel, and their sum."""
    image = keras.Input((8, 6, 3))
    x = keras.layers.GlobalAveragePooling2D(data_format="channels_last")(image)
    model = keras.Model(image, keras.layers.Dense(CLASSES)(x))
    kernel = np.hstack([np.eye(3), np.ones((3, 1))]) / 255
    model.layers[-1].set_weights([kernel, np.arange(4) / 100])
    return model


@pytest.fixture
def images() -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.integers(0, 256, (3, 8, 6, 3)).astype("float32")


class Plain:
    """A format of two arrays, in a file or a folder, and how it goes wrong."""

    def __init__(self, marker):
        self.marker = marker
        self.plans: list[Plan] = []
        self.error: BaseException | None = None
        self.distort = lambda x: x

    def write(self, model, path, plan):
        self.plans.append(plan)
        if self.marker:
            path.mkdir()
            path = path / self.marker
        with open(path, "wb") as file:
            np.savez(file, *model.layers[-1].get_weights())
        if self.error is not None:
            raise self.error

    def load(self, path):
        with np.load(path / self.marker if self.marker else path) as arrays:
            kernel, bias = arrays["arr_0"], arrays["arr_1"]

        def run(batch):
            return [self.distort(batch.mean((1, 2)) @ kernel + bias)]

        return run

    def entry(self, name, **changes) -> Format:
        return Format(
            **{
                "name": name,
                "suffix": "" if self.marker else ".npz",
                "marker": self.marker,
                "writers": {keras.backend.backend(): ()},
                "runtime": (),
                "precisions": ("float32", "int8"),
                "open_batch": False,
                "write": self.write,
                "load": self.load,
                **changes,
            }
        )


@pytest.fixture
def plain(monkeypatch) -> Plain:
    plain = Plain(marker=None)
    monkeypatch.setitem(FORMATS, "plain", plain.entry("plain"))
    return plain


@pytest.fixture
def folder(monkeypatch) -> Plain:
    folder = Plain(marker="arrays.npz")
    monkeypatch.setitem(FORMATS, "folder", folder.entry("folder"))
    return folder


def names(path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def test_report_and_artefact(model, images, tmp_path, plain):
    path = tmp_path / "new" / "er" / "model.npz"
    report = export_model(model, path, "plain", images=images)
    assert (report.format, report.precision) == ("plain", "float32")
    assert report.path == path
    assert report.bytes == path.stat().st_size
    assert report.max_abs_difference < 1e-6
    assert report.images == 3
    assert report.seconds > 0
    assert names(path.parent) == ["model.npz"]
    assert plain.plans == [Plan()]
    (outputs,) = load_artifact(path, "plain")(images)
    np.testing.assert_allclose(
        outputs, model.predict(images, verbose=0), atol=1e-6
    )


def test_what_the_writer_is_told(model, images, tmp_path, plain):
    path = tmp_path / "model.npz"
    options = {"precision": "int8", "images": images}
    export_model(
        model,
        path,
        "plain",
        batch_size=2,
        representative_images=images[:2].astype("float64"),
        **options,
    )
    export_model(model, path, "plain", overwrite=True, **options)
    told, default = plain.plans
    assert (told.precision, told.batch_size) == ("int8", 2)
    assert told.representative.dtype == "float32"
    np.testing.assert_array_equal(told.representative, images[:2])
    # Photographs of the model's size.
    assert default.representative.shape[1:] == (8, 6, 3)
    assert default.representative.max() > 100


def test_images_are_rounded_to_bytes(model, images, tmp_path, plain):
    plain.distort = lambda x: x + 1e-6
    report = export_model(
        model,
        tmp_path / "model.npz",
        "plain",
        input_dtype="uint8",
        precision="int8",
        images=images,
        representative_images=images[:1] // 2 + 0.6,
    )
    assert report.max_abs_difference < 1e-5
    (plan,) = plain.plans
    assert plan.representative.dtype == "uint8"
    np.testing.assert_array_equal(
        plan.representative, (images[:1] // 2 + 1).astype("uint8")
    )


@pytest.mark.parametrize("kind", ["plain", "folder"])
def test_existing_artefact_needs_overwrite(
    model, images, tmp_path, plain, folder, kind
):
    path = tmp_path / ("model.npz" if kind == "plain" else "model")
    export_model(model, path, kind, images=images)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        export_model(model, path, kind, images=images)
    changed = keras.models.clone_model(model)
    export_model(changed, path, kind, images=images, overwrite=True)
    (outputs,) = load_artifact(path, kind)(images)
    np.testing.assert_allclose(
        outputs, changed.predict(images, verbose=0), rtol=1e-4, atol=1e-4
    )
    assert names(tmp_path) == [path.name]


def test_other_things_are_never_replaced(model, tmp_path, plain, folder):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match="no artefact of format 'folder'"):
        export_model(model, tmp_path / "mine", "folder", overwrite=True)
    assert (tmp_path / "mine" / "thesis.txt").exists()
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(FileExistsError, match="no artefact of format 'plain'"):
        export_model(model, tmp_path / "folder.npz", "plain", overwrite=True)


@pytest.mark.parametrize("kind", ["plain", "folder"])
def test_refused_artefact_is_put_aside(
    model, images, tmp_path, plain, folder, kind
):
    path = tmp_path / ("model.npz" if kind == "plain" else "model")
    kept = tmp_path / f"{path.name}.rejected"
    export_model(model, path, kind, images=images)
    maker = plain if kind == "plain" else folder
    for wrong in (0.5, np.nan):
        maker.distort = lambda x, wrong=wrong: x + wrong
        with pytest.raises(ExportError, match="kept as") as caught:
            export_model(model, path, kind, images=images, overwrite=True)
        assert str(kept) in str(caught.value)
        assert caught.value.report.path == kept
        assert not caught.value.report.accepted
    # The one that was there before is still there.
    assert names(tmp_path) == [path.name, kept.name]
    maker.distort = lambda x: x
    for artefact in (path, kept):
        assert load_artifact(artefact, kind)(images)[0].shape == (3, CLASSES)


def test_artefact_that_does_not_run_is_put_aside(
    model, images, tmp_path, plain
):
    def distort(outputs):
        raise RuntimeError("unknown operation")

    plain.distort = distort
    with pytest.raises(ExportError, match="cannot be run.*unknown operation"):
        export_model(model, tmp_path / "model.npz", "plain", images=images)
    assert names(tmp_path) == ["model.npz.rejected"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_interrupted_export_leaves_nothing(model, tmp_path, plain, error):
    plain.error = error()
    with pytest.raises(error):
        export_model(model, tmp_path / "new" / "model.npz", "plain")
    assert not names(tmp_path)
    (tmp_path / "model.npz").touch()
    with pytest.raises(error):
        export_model(model, tmp_path / "model.npz", "plain", overwrite=True)
    assert names(tmp_path) == ["model.npz"]
    assert (tmp_path / "model.npz").stat().st_size == 0


def test_unwritable_path_is_found_first(model, tmp_path, plain):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="`path` cannot be written") as caught:
        export_model(model, tmp_path / "file" / "model.npz", "plain")
    assert "model.npz" in str(caught.value)
    assert not plain.plans


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"format": "pb"}, r"`format` must be .*litert.*'pb'"),
        ({"precision": "float16"}, r"'int8'\]. Received: precision='float16'"),
        ({"tolerance": -1}, "`tolerance` must be"),
        ({"min_agreement": 98}, "`min_agreement` must be"),
        ({"batch_size": 0}, "`batch_size` must be a positive"),
        (
            {"format": "folder", "path": "model", "batch_size": 2},
            "any size: leave `batch_size`",
        ),
        ({"format": "folder"}, "must be a folder"),
        ({"format": "saved_model", "path": "m.onnx"}, "ends in '.onnx'"),
        ({"format": None, "path": "m.tflit"}, "`format` is needed.*'.tflite'"),
        ({"path": "model"}, r"must end in '\.npz'"),
        ({"images": np.zeros((2, 8, 8, 3))}, r"`images` .*\(2, 8, 8, 3\)"),
        ({"images": np.zeros((8, 6, 3))}, r"`images` must hold"),
        ({"images": np.zeros((0, 8, 6, 3))}, r"`images` must hold"),
        (
            {"precision": "int8", "representative_images": np.zeros((2, 9))},
            r"`representative_images` .*\(2, 9\)",
        ),
        ({"input_dtype": "int4"}, "`input_dtype` must be"),
        (
            {"input_dtype": "uint8", "images": np.full((1, 8, 6, 3), -1.0)},
            "values from 0 to 255.*not normalised",
        ),
        ({"path": "new/.."}, "must name what is made"),
        ({"path": ".npz"}, "must name what is made"),
        ({"image_size": 8}, "a height and a width"),
        ({"tolerance": "0"}, "`tolerance` must be a finite number"),
    ],
)
def test_wrong_arguments_are_found_first(
    model, tmp_path, plain, folder, monkeypatch, arguments, message
):
    entry = folder.entry("folder", open_batch=True)
    monkeypatch.setitem(FORMATS, "folder", entry)
    arguments = {"format": "plain", "path": "model.npz", **arguments}
    arguments["path"] = tmp_path / arguments["path"]
    with pytest.raises(ValueError, match=message):
        export_model(model, **arguments)
    assert not plain.plans and not folder.plans
    assert not names(tmp_path)


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("m.onnx", "onnx"),
        ("m.tflite", "litert"),
        ("m.pt2", "torch"),
        ("folder", "saved_model"),
    ],
)
def test_the_end_of_the_path_says_the_format(name, format):
    assert format_of(pathlib.Path(name)) == format


def test_low_precision_is_for_some_formats(
    images, tmp_path, plain, monkeypatch
):
    image = keras.Input((8, 6, 3))
    x = keras.layers.Flatten()(image)
    low = keras.Model(image, keras.layers.Dense(2, dtype="mixed_bfloat16")(x))
    with pytest.raises(
        ValueError, match=r"float32.*\['bfloat16'\].*set_weights"
    ):
        export_model(low, tmp_path / "model.npz", "plain", images=images)
    entry = plain.entry("plain", any_dtype=True)
    monkeypatch.setitem(FORMATS, "plain", entry)
    plain.error = InterruptedError()
    with pytest.raises(InterruptedError):
        export_model(low, tmp_path / "model.npz", "plain", images=images)


def test_a_link_to_nothing_stays(model, images, tmp_path, plain):
    path = tmp_path / "model.npz"
    path.symlink_to(tmp_path / "elsewhere")
    for overwrite in (False, True):
        with pytest.raises(FileExistsError):
            export_model(
                model, path, "plain", images=images, overwrite=overwrite
            )
    assert path.is_symlink() and names(tmp_path) == ["model.npz"]


def test_any_name_can_be_replaced(model, images, tmp_path, folder):
    path = tmp_path / "replaced"
    for _ in range(2):
        export_model(model, path, "folder", images=images, overwrite=True)
    assert names(tmp_path) == ["replaced"]


def test_sequential_models(images, tmp_path, plain):
    layers = [
        keras.Input((8, 6, 3)),
        keras.layers.GlobalAveragePooling2D(data_format="channels_last"),
        keras.layers.Dense(CLASSES),
    ]
    model = keras.Sequential(layers)
    report = export_model(model, tmp_path / "m.npz", "plain", images=images)
    assert report.accepted


def test_missing_package_names_the_extra(model, tmp_path, plain, monkeypatch):
    path = tmp_path / "model.npz"
    for changes, extra in (
        ({"runtime": ("no_such.runtime",)}, "export"),
        ({"writers": {keras.backend.backend(): ("no_such",)}}, "export"),
        ({"quantizer": ("no_such",)}, "export"),
    ):
        entry = plain.entry("plain", **changes)
        monkeypatch.setitem(FORMATS, "plain", entry)
        with pytest.raises(
            ImportError, match=rf"'no_such'.*keras-twins\[{extra}\]"
        ):
            export_model(model, path, "plain", precision="int8")
    assert not names(tmp_path)


def test_no_backend_that_writes_it(model, tmp_path, plain, monkeypatch):
    entry = plain.entry("plain", writers={"abacus": ("no_such_package",)})
    monkeypatch.setitem(FORMATS, "plain", entry)
    assert "plain" not in exportable_formats()
    with pytest.raises(
        ImportError, match=r"no_such_package.*keras-twins\[abacus,export\]"
    ):
        export_model(model, tmp_path / "model.npz", "plain")


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        (3, ValueError, r"(?s)by hand: .*KERAS_BACKEND=abacus.*custom_objects"),
        (1, ChildProcessError, "abacus backend ended with exit code 1: last"),
    ],
)
def test_failure_of_the_second_process(
    model, tmp_path, plain, monkeypatch, code, kind, message
):
    def run(folder, backend):
        return subprocess.CompletedProcess([], code, "", "last\nwords")

    monkeypatch.setattr(elsewhere, "_run", run)
    entry = plain.entry("plain", writers={"abacus": ()})
    monkeypatch.setitem(FORMATS, "plain", entry)
    with pytest.raises(kind, match=message) as caught:
        export_model(model, tmp_path / "model.npz", "plain")
    assert "words" in str(caught.value)
    assert not names(tmp_path)


def test_load_artifact_of_nothing(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "missing"):
        with pytest.raises(FileNotFoundError, match=r"holds 'arrays\.npz'"):
            load_artifact(path, "folder")
