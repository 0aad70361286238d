"""Exports two models in every way, and keeps the report cards."""

import dataclasses
import json
import pathlib
import tempfile
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

import keras_twins
from keras_twins.benchmark.machine import describe_machine
from keras_twins.benchmark.machine import describe_versions
from keras_twins.benchmark.machine import join_facts
from keras_twins.data import load_digits
from keras_twins.demo.training import EPOCHS
from keras_twins.demo.training import IMAGE_SIZE
from keras_twins.demo.training import train
from keras_twins.export import ExportError
from keras_twins.export import ExportReport
from keras_twins.export import describe_signature
from keras_twins.export import export_model
from keras_twins.export.comparison import Limits
from keras_twins.export.formats import FORMATS
from keras_twins.export.probe import describe_probe
from keras_twins.export.probe import probe_images
from keras_twins.export.proof import compare
from keras_twins.export.proof import keras_runner
from keras_twins.export.proof import run_all
from keras_twins.weights.files import replace_file
from keras_twins.weights.files import write_keras_weights

KERAS = "keras"
"""The format of the rows of `model.quantize`, which stays in Keras."""

QUANTIZED = ("int8", "int4", "float8")

_NOTE = (
    "Speeds are followed by their ratio to Keras on the same backend in the "
    "same minute. Twins-SVT-S has random values here, so that its classes "
    "mean nothing and are not compared; the digits model is the demo's, "
    "compared on the held-out digits, with ranges of int8 from 200 training "
    "images. Differences are fractions of the largest output."
)
_REPRESENTATIVE = 200
_SIGNATURE_SIZE = 224

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Subject:
    """A model that is exported.

    Args:
        build: Returns the model.
        images: Images to compare on, and those for the ranges of int8;
            `None` for the default ones.
        min_agreement: Instead of the limits of the precisions.
    """

    build: Callable[[], keras.Model]
    images: tuple[np.ndarray, np.ndarray] | None = None
    min_agreement: float | None = None


def subjects(digits: pathlib.Path) -> Mapping[str, Callable[[], Subject]]:
    """Returns the models by name.

    Args:
        digits: The demo's model; it is trained if there is none.

    Returns:
        What makes each of them.
    """
    return {"svt_small": _published, "digits": lambda: _digits(digits)}


def _published() -> Subject:
    # Random values name the same class everywhere, by a hair: whether eight
    # bits change it says nothing.
    return Subject(
        lambda: keras_twins.TwinsSVTSmall(weights=None), min_agreement=0.0
    )


def _digits(path: pathlib.Path) -> Subject:
    training, test = load_digits(IMAGE_SIZE)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        model = train(training, test, EPOCHS, seed=0).model
        with replace_file(path) as temporary:
            draft = temporary.with_suffix(".keras")
            model.save(draft)
            draft.replace(temporary)
    few = training[0][:: len(training[0]) // _REPRESENTATIVE]
    images = test[0].astype("float32"), few.astype("float32")
    return Subject(lambda: keras.saving.load_model(path, compile=False), images)


def measure_exports(
    subject: Subject, formats: list[str] | None = None
) -> Iterator[Row]:
    """Exports a model to each format in each precision.

    Args:
        subject: The model and its images.
        formats: Keys of `FORMATS`, and `"keras"` for the quantized model; by
            default all.

    Yields:
        dict: A report card, also of what is refused or cannot be written.
    """
    images, representative = subject.images or (None, None)
    with tempfile.TemporaryDirectory() as folder:
        for name, entry in FORMATS.items():
            for precision in entry.precisions:
                if formats is not None and name not in formats:
                    continue
                path = (
                    pathlib.Path(folder) / f"{name}_{precision}{entry.suffix}"
                )
                yield _card(
                    lambda **options: export_model(
                        subject.build(), images=images, **options
                    ),
                    path=path,
                    format=name,
                    precision=precision,
                    representative_images=representative,
                    min_agreement=subject.min_agreement,
                )
    if formats is None or KERAS in formats:
        yield from _measure_quantized(subject)


def _card(export: Callable[..., ExportReport], **options: Any) -> Row:
    try:
        return export(**options).to_dict()
    except ExportError as error:
        if error.report is None:
            return _failed(error, options)
        return error.report.to_dict()
    # What cannot be written here is a result too.
    except (ValueError, ImportError, OSError) as error:
        return _failed(error, options)


def _failed(error: Exception, options: Mapping[str, Any]) -> Row:
    return {
        "format": options["format"],
        "precision": options["precision"],
        "backend": keras.backend.backend(),
        "accepted": False,
        "problems": [" ".join(str(error).split())],
    }


def _measure_quantized(subject: Subject) -> Iterator[Row]:
    model = subject.build()
    given = None if subject.images is None else subject.images[0]
    images = probe_images(model) if given is None else given
    with tempfile.TemporaryDirectory() as folder:
        for mode in ("float32", *QUANTIZED):
            path = pathlib.Path(folder) / f"{mode}.weights.h5"
            changed = subject.build()
            changed.set_weights(model.get_weights())
            if mode != "float32":
                changed.quantize(mode)
            write_keras_weights(changed, path)
            run = keras_runner(changed)
            card = ExportReport(
                format=KERAS,
                precision=mode,
                backend=keras.backend.backend(),
                path=path,
                bytes=path.stat().st_size,
                images=len(images),
                image_source=(
                    describe_probe(model) if given is None else "as given"
                ),
                limits=Limits(),
            )
            received = run_all(run, images)
            yield compare(card, model, run, images, received).to_dict()


def _signature() -> str:
    """Returns the signature of a classifier that takes raw pixels.

    It is the same for each variant: a small one is exported.
    """
    config = keras_twins.TwinsConfig(
        embed_dims=(8, 16, 24, 32),
        depths=(1, 1, 1, 1),
        num_heads=(1, 2, 3, 4),
        mlp_ratios=(2, 2, 2, 2),
        attention_pattern=("L", "G", "L", "G"),
    )
    shape = (_SIGNATURE_SIZE, _SIGNATURE_SIZE, 3)
    model = keras_twins.classifier(config, input_shape=shape)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model"
        export_model(model, path, input_dtype="uint8")
        return describe_signature(path)


def describe_run() -> dict[str, str]:
    """Returns what stands below the tables, and the signature."""
    packages = ("tensorflow", "ai_edge_litert", "onnxruntime", "openvino")
    facts = {**describe_machine(), **describe_versions((*packages, "torch"))}
    return {"note": f"{_NOTE} {join_facts(facts)}", "signature": _signature()}


def merge_rows(path: pathlib.Path, rows: list[Row], **facts: Any) -> None:
    """Adds rows to a file; they replace those of the same case.

    Args:
        path: The JSON file; it need not exist.
        rows: Report cards, with the name of the model.
        **facts: What else the file holds.
    """
    content = {"rows": []}
    if path.is_file():
        content = json.loads(path.read_text(encoding="utf-8"))
    merged = {_key(row): row for row in [*content["rows"], *rows]}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path) as temporary:
        content |= {**facts, "rows": list(merged.values())}
        temporary.write_text(json.dumps(content, indent=1) + "\n")


def _key(row: Row) -> tuple[str, ...]:
    return row["model"], row["format"], row["precision"], row["backend"]
