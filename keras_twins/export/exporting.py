"""`export_model`: write, run, compare, and only then keep."""

import dataclasses
import os
import pathlib
import tempfile
import time

import keras
import numpy as np

from keras_twins.export.formats import Format
from keras_twins.export.formats import find_format
from keras_twins.export.formats import load_artifact
from keras_twins.export.formats import require_packages

_PROBE_BATCH = 2
_PROBE_SIDE = 64


class ExportError(RuntimeError):
    """An artefact that does not compute what the Keras model computes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What an export gave, measured on the artefact itself.

    Args:
        format: Name of the format.
        path: The artefact: a file or a folder.
        bytes: Its size; for a folder, the sum of its files.
        max_abs_difference: Largest difference from Keras on the images.
        max_abs_output: Largest output of Keras on the images.
        top1_agreement: Fraction of the images whose largest output is the
            same one in Keras; `None` unless there is one output of shape
            `(batch, classes)`.
        seconds: Time to write the artefact.
        load_seconds: Time to load it and to run it once.
    """

    format: str
    path: pathlib.Path
    bytes: int
    max_abs_difference: float
    max_abs_output: float
    top1_agreement: float | None
    seconds: float
    load_seconds: float


def export_model(
    model: keras.Model,
    path: str | os.PathLike[str],
    format: str = "saved_model",
    *,
    images: np.ndarray | None = None,
    tolerance: float = 1e-4,
    overwrite: bool = False,
) -> ExportReport:
    """Exports a model, runs the artefact and compares it with Keras.

    The artefact is written under a temporary name in the same folder, loaded
    in the format's own runtime and run. It gets its name only if its outputs
    agree with Keras.

    Args:
        model: Model with one image input.
        path: Where the artefact goes: a folder for `"saved_model"`, a file
            that ends in `.tflite` for `"litert"`.
        format: `"saved_model"` (TensorFlow and JAX backends) or `"litert"`
            (TensorFlow backend).
        images: Images of shape `(batch, height, width, channels)` on which
            the two are compared; by default two of random pixels.
        tolerance: Largest difference from Keras that is accepted, as a
            fraction of Keras's largest output.
        overwrite: Whether an artefact that is already there is replaced.

    Returns:
        An `ExportReport`.

    Raises:
        ValueError: If the format is unknown, or the running backend, the
            path or the model does not fit it.
        ImportError: If a package that the format needs is missing.
        FileExistsError: If `path` exists and `overwrite` is false.
        ExportError: If the artefact differs from Keras; it is removed.

    Example:

    ```python
    model = keras_twins.TwinsSVTSmall(weights=None, input_shape=(224, 224, 3))
    report = keras_twins.export.export_model(model, "twins_saved_model")
    print(report.bytes, report.max_abs_difference)
    ```
    """
    target = pathlib.Path(path)
    chosen = _choose(format)
    _check_target(chosen, format, target, overwrite)
    _check_model(chosen, format, model)
    require_packages(format, chosen.packages)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Whatever happens inside, this folder goes, and the artefact with it.
    with tempfile.TemporaryDirectory(
        dir=target.parent, prefix=f".{target.name}."
    ) as folder:
        draft = pathlib.Path(folder) / target.name
        start = time.perf_counter()
        chosen.write(model, draft)
        seconds = time.perf_counter() - start
        report = _prove(model, draft, format, images, tolerance)
        report = dataclasses.replace(report, path=target, seconds=seconds)
        if target.exists():
            os.replace(target, pathlib.Path(folder) / "replaced")
        os.replace(draft, target)
    return report


def _choose(format: str) -> Format:
    chosen, backend = find_format(format), keras.backend.backend()
    if backend not in chosen.backends:
        first = chosen.backends[0]
        raise ValueError(
            f"Keras exports format {format!r} from the backends "
            f"{list(chosen.backends)}. Received: backend={backend!r}. Save "
            "the model with `model.save('model.keras')` and export it in a "
            f"process that runs with KERAS_BACKEND={first}: `model = "
            "keras.saving.load_model('model.keras')`, then "
            f"`export_model(model, path, {format!r})`."
        )
    return chosen


def _check_target(
    chosen: Format, format: str, target: pathlib.Path, overwrite: bool
) -> None:
    if not target.name.endswith(chosen.suffix):
        raise ValueError(
            f"`path` must end in {chosen.suffix!r} for format {format!r}. "
            f"Received: path={str(target)!r}"
        )
    if target.exists() and not overwrite:
        raise FileExistsError(
            "`path` exists already; pass `overwrite=True` to replace it. "
            f"Received: path={str(target)!r}"
        )


def _check_model(chosen: Format, format: str, model: keras.Model) -> None:
    if len(model.inputs) != 1:
        raise ValueError(
            "`model` must have one input. Received: a model with "
            f"{len(model.inputs)} inputs"
        )
    shape = tuple(model.inputs[0].shape)
    if chosen.static_size and None in shape[1:]:
        raise ValueError(
            f"Format {format!r} needs a fixed height and width. Received: a "
            f"model with input shape {shape}. Build it with a fixed "
            "`input_shape`, such as (224, 224, 3), and hand the weights over "
            "with `set_weights`."
        )


def _prove(
    model: keras.Model,
    draft: pathlib.Path,
    format: str,
    images: np.ndarray | None,
    tolerance: float,
) -> ExportReport:
    """Runs the artefact next to the model; raises if they disagree."""
    batch = _batch_for(model, images)
    start = time.perf_counter()
    received = load_artifact(draft, format)(batch)
    load_seconds = time.perf_counter() - start
    expected = _run_keras(model, batch)
    difference = _max_difference(expected, received)
    largest = max(float(np.abs(x).max()) for x in expected)
    # Written so that NaN is refused too.
    if not difference <= tolerance * largest:
        raise ExportError(
            f"The exported {format!r} artefact differs from Keras by "
            f"{difference:.3g}; the limit is {tolerance:.3g} of the largest "
            f"output, {largest:.3g}. It was removed. If the model computes "
            "in reduced precision, pass a larger `tolerance`."
        )
    return ExportReport(
        format=format,
        path=draft,
        bytes=_size(draft),
        max_abs_difference=difference,
        max_abs_output=largest,
        top1_agreement=_agreement(expected, received),
        seconds=0.0,
        load_seconds=load_seconds,
    )


def _batch_for(model: keras.Model, images: np.ndarray | None) -> np.ndarray:
    """Returns the images, or pixels from 0 to 255, the same every time."""
    source = model.inputs[0]
    dtype = keras.backend.standardize_dtype(source.dtype)
    if images is not None:
        return np.asarray(images).astype(dtype)
    sides = [_PROBE_SIDE if side is None else side for side in source.shape[1:]]
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (_PROBE_BATCH, *sides)).astype(dtype)


def _run_keras(model: keras.Model, batch: np.ndarray) -> list[np.ndarray]:
    outputs = model.predict(batch, verbose=0)
    return [np.asarray(x, "float32") for x in keras.tree.flatten(outputs)]


def _agreement(
    expected: list[np.ndarray], received: list[np.ndarray]
) -> float | None:
    if len(expected) != 1 or expected[0].ndim != 2:
        return None
    same = expected[0].argmax(axis=-1) == received[0].argmax(axis=-1)
    return float(same.mean())


def _max_difference(
    expected: list[np.ndarray], received: list[np.ndarray]
) -> float:
    shapes = [x.shape for x in expected], [x.shape for x in received]
    if shapes[0] != shapes[1]:
        raise ExportError(
            f"The artefact's outputs have shapes {shapes[1]}; Keras's have "
            f"{shapes[0]}. It was removed."
        )
    pairs = zip(expected, received, strict=True)
    # NumPy's maximum keeps NaN, the built-in one may lose it.
    return float(np.max([np.abs(a - b).max() for a, b in pairs]))


def _size(path: pathlib.Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
