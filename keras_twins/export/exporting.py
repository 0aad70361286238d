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
from keras_twins.export.report import ExportError
from keras_twins.export.report import ExportReport
from keras_twins.export.report import artifact_bytes
from keras_twins.export.report import max_difference
from keras_twins.export.report import top1_agreement

_PROBE_BATCH = 2
_PROBE_SIDE = 64
_REASON_LENGTH = 200


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
        ExportError: If the artefact cannot be run, or differs from Keras; it
            is removed.

    Example:

    ```python
    from keras_twins.export import export_model

    model = keras_twins.TwinsSVTSmall(weights=None, input_shape=(224, 224, 3))
    report = export_model(model, "twins_saved_model")
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
    if target.exists() and not _is_artifact(target):
        raise FileExistsError(
            "`path` is a folder that holds no SavedModel: it is not replaced, "
            f"even with `overwrite=True`. Received: path={str(target)!r}"
        )


def _is_artifact(target: pathlib.Path) -> bool:
    """Whether a path holds what an export could have written."""
    return target.is_file() or (target / "saved_model.pb").is_file()


def _check_model(chosen: Format, format: str, model: keras.Model) -> None:
    if len(model.inputs) != 1:
        raise ValueError(
            "`model` must have one input. Received: a model with "
            f"{len(model.inputs)} inputs"
        )
    shape = tuple(model.inputs[0].shape)
    backend = keras.backend.backend()
    if None in shape[1:] and backend not in chosen.dynamic_size:
        raise ValueError(
            f"Format {format!r} needs a fixed height and width from the "
            f"{backend} backend. Received: a model with input shape {shape}. "
            "Build it with a fixed "
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
    received = _run_artifact(draft, format, batch)
    load_seconds = time.perf_counter() - start
    expected = _run_keras(model, batch)
    difference = max_difference(expected, received)
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
        bytes=artifact_bytes(draft),
        max_abs_difference=difference,
        max_abs_output=largest,
        top1_agreement=top1_agreement(expected, received),
        seconds=0.0,
        load_seconds=load_seconds,
    )


def _run_artifact(
    draft: pathlib.Path, format: str, batch: np.ndarray
) -> list[np.ndarray]:
    try:
        return load_artifact(draft, format)(batch)
    # Each runtime has errors of its own; all mean the same.
    except Exception as error:
        reason = " ".join(str(error).split())[-_REASON_LENGTH:]
        raise ExportError(
            f"The exported {format!r} artefact cannot be run here, and was "
            f"removed. The runtime says: ...{reason}"
        ) from error


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
