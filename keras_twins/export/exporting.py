"""`export_model`: write, run, compare, and only then keep."""

import dataclasses
import os
import pathlib
import time

import keras
import numpy as np

from keras_twins.export.comparison import choose_limits
from keras_twins.export.detections import choose_outputs
from keras_twins.export.elsewhere import choose_backend
from keras_twins.export.elsewhere import write_elsewhere
from keras_twins.export.formats import Format
from keras_twins.export.formats import find_format
from keras_twins.export.formats import format_of
from keras_twins.export.formats import require
from keras_twins.export.plan import Plan
from keras_twins.export.probe import probe_images
from keras_twins.export.proof import prove
from keras_twins.export.report import ExportError
from keras_twins.export.report import ExportReport
from keras_twins.export.serving import compute_dtypes
from keras_twins.export.serving import serving_model
from keras_twins.export.targets import check_target
from keras_twins.export.targets import put_aside
from keras_twins.export.targets import put_in_place
from keras_twins.export.targets import workshop


def export_model(
    model: keras.Model,
    path: str | os.PathLike[str],
    format: str | None = None,
    *,
    precision: str = "float32",
    outputs: str | None = None,
    input_dtype: str | None = None,
    preprocess: bool = False,
    image_size: tuple[int, int] | None = None,
    batch_size: int | None = None,
    images: np.ndarray | None = None,
    representative_images: np.ndarray | None = None,
    tolerance: float | None = None,
    min_agreement: float | None = None,
    overwrite: bool = False,
) -> ExportReport:
    """Exports a model, runs the artefact and compares it with Keras.

    The artefact is written under a temporary name in the same folder, loaded
    in the format's own runtime and run. It gets its name only if its outputs
    agree with Keras. A format that the running backend cannot write is
    written in a second process, with a backend that can.

    Args:
        model: Model with one image input.
        path: Where the artefact goes: a folder for `"saved_model"` and
            `"openvino"`; a file that ends in `.tflite` for `"litert"`, in
            `.onnx` for `"onnx"`, in `.pt2` for `"torch"`.
        format: `"saved_model"`, `"litert"`, `"onnx"`, `"openvino"` or
            `"torch"`; by default, what the end of `path` stands for, and
            `"saved_model"` if there is none.
        precision: `"float32"`; for `"litert"` and `"openvino"` also
            `"float16"` and `"int8"`, for `"litert"` also `"dynamic_int8"`
            (weights only).
        outputs: Of a detector, `"detections"` (default): boxes, scores,
            labels and masks after suppression; or `"raw"`: the maps of the
            heads by name, such as `"logits_P3"`, in every format.
        input_dtype: `"uint8"`: the artefact takes raw pixels. By default,
            what the model takes.
        preprocess: Whether the artefact normalises pixels of 0 to 255 with
            ImageNet's mean and deviation, for a model built without that.
        image_size: Height and width in pixels, for a model that leaves them
            open. `"litert"` and `"torch"` need them fixed, and so do JAX and
            PyTorch as writers.
        batch_size: Number of images in a batch of `"litert"`, by default 1.
            The other formats take batches of any size.
        images: Images of shape `(batch, height, width, channels)` on which
            the two are compared; by default, crops of two photographs.
        representative_images: Images on which `"int8"` finds the ranges of
            the activations; by default, the same photographs. Some hundred
            from the training set are better.
        tolerance: Largest difference from Keras that is accepted, as a
            fraction of Keras's largest output; by default, that of the
            precision.
        min_agreement: Smallest fraction of the images that must have the
            same class, or of the objects of a detector that must be the same;
            by default, that of the precision.
        overwrite: Whether an artefact that is already there is replaced.

    Returns:
        An `ExportReport`.

    Raises:
        ValueError: If an argument, or the model, does not fit the format.
        ImportError: If a package that the format needs is missing.
        FileExistsError: If `path` exists and `overwrite` is false, or if it
            is something else than such an artefact.
        OSError: If `path` cannot be written.
        ExportError: If the artefact cannot be run, or differs from Keras; it
            is kept under its name with `.rejected` added.

    Example:

    ```python
    from keras_twins.export import export_model

    model = keras_twins.TwinsSVTSmall(weights=None, input_shape=(224, 224, 3))
    report = export_model(model, "twins.onnx")
    print(report)
    ```
    """
    target = pathlib.Path(path)
    chosen = find_format(format_of(target) if format is None else format)
    _check_precision(chosen, precision)
    choose_limits(precision, tolerance, min_agreement)
    check_target(chosen, target, overwrite)
    outputs = choose_outputs(model, outputs, chosen, precision)
    served = serving_model(model, input_dtype, preprocess, image_size, outputs)
    _check_dtypes(chosen, served)
    backend = _writer(chosen, served, precision, outputs)
    images = _as_input(served, images, "images")
    plan = Plan(
        precision=precision,
        batch_size=_checked_batch_size(chosen, batch_size),
        representative=_representative(
            served, precision, representative_images
        ),
    )
    with workshop(target) as folder:
        draft = folder / target.name
        start = time.perf_counter()
        _write(served, draft, chosen, plan, backend)
        seconds = time.perf_counter() - start
        limits = (tolerance, min_agreement)
        try:
            report = prove(
                served, draft, chosen.name, precision, images, *limits
            )
        except ExportError as error:
            raise put_aside(error, chosen, draft, target) from error
        put_in_place(draft, target)
    return dataclasses.replace(report, path=target, seconds=seconds)


def _writer(
    chosen: Format, model: keras.Model, precision: str, outputs: str | None
) -> str:
    """Returns the backend that writes, once all it needs here is there."""
    fixed_size = None not in tuple(model.inputs[0].shape[1:])
    backend = choose_backend(
        chosen, precision, fixed_size, outputs == "detections"
    )
    require(chosen, chosen.runtime)
    if backend == keras.backend.backend():
        require(chosen, chosen.needs(backend, precision))
    return backend


def _write(
    model: keras.Model,
    draft: pathlib.Path,
    chosen: Format,
    plan: Plan,
    backend: str,
) -> None:
    """Writes here, or in a second process that runs with the backend."""
    if backend == keras.backend.backend():
        chosen.write(model, draft, plan)
    else:
        write_elsewhere(model, draft, chosen, plan, backend)


def _check_precision(chosen: Format, precision: str) -> None:
    if precision not in chosen.precisions:
        raise ValueError(
            f"`precision` of format {chosen.name!r} must be one of "
            f"{list(chosen.precisions)}. Received: precision={precision!r}"
        )


def _check_dtypes(chosen: Format, model: keras.Model) -> None:
    low = sorted(compute_dtypes(model) & {"bfloat16", "float16"})
    if low and not chosen.any_dtype:
        raise ValueError(
            f"Format {chosen.name!r} is written from models that compute in "
            f"float32. Received: a model with layers that compute in {low}. "
            "Build it with `dtype='float32'`, hand the weights over with "
            "`set_weights`, and choose the artefact's `precision`."
        )


def _checked_batch_size(chosen: Format, batch_size: int | None) -> int:
    if batch_size is None:
        return 1
    if chosen.open_batch:
        raise ValueError(
            f"Format {chosen.name!r} takes batches of any size: leave "
            f"`batch_size` out. Received: {batch_size=}"
        )
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(
            "`batch_size` must be a positive number of images. Received: "
            f"{batch_size=}"
        )
    return batch_size


def _as_input(
    model: keras.Model, images: np.ndarray | None, name: str
) -> np.ndarray | None:
    """Returns images in the dtype that the model takes."""
    if images is None:
        return None
    source = model.inputs[0]
    batch, shape = np.asarray(images), tuple(source.shape)
    pairs = zip(shape[1:], batch.shape[1:], strict=False)
    fits = all(side in (None, given) for side, given in pairs)
    if batch.ndim != len(shape) or not len(batch) or not fits:
        raise ValueError(
            f"`{name}` must hold at least one image, of the shape of the "
            f"model's input, {shape}. Received: images of shape {batch.shape}"
        )
    dtype = keras.backend.standardize_dtype(source.dtype)
    if not np.issubdtype(np.dtype(dtype), np.integer):
        return batch.astype(dtype)
    # Resized pixels have fractions; bytes are the nearest ones.
    batch, range_ = np.rint(batch), np.iinfo(dtype)
    if not (range_.min <= batch.min() and batch.max() <= range_.max):
        raise ValueError(
            f"`{name}` must hold values from {range_.min} to {range_.max}, "
            f"for a model that takes {dtype}. Received: values from "
            f"{batch.min()} to {batch.max()}. Pass pixels as they are read, "
            "not normalised ones."
        )
    return batch.astype(dtype)


def _representative(
    model: keras.Model, precision: str, images: np.ndarray | None
) -> np.ndarray | None:
    if precision != "int8":
        return None
    given = _as_input(model, images, "representative_images")
    return probe_images(model) if given is None else given
