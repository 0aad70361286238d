"""The trained model, saved and exported, must still say the same."""

import pathlib

import keras
import numpy as np

from keras_twins.demo.result import Status
from keras_twins.export import export_model
from keras_twins.export import exportable_formats
from keras_twins.weights.files import replace_file

_SAME = 1e-6
"""Largest difference in a probability after saving and loading."""

ARTIFACTS = {"saved_model": "digits_saved_model", "litert": "digits.tflite"}

Outcome = tuple[Status, str]


def check_reload(
    model: keras.Model, images: np.ndarray, path: pathlib.Path
) -> Outcome:
    """Saves the model, loads it again and compares predictions.

    Args:
        model: The model.
        images: Images to predict.
        path: The `.keras` file.

    Returns:
        Status and what was measured.
    """
    with replace_file(path) as temporary:
        # Keras knows the format by the end of the name.
        draft = temporary.with_suffix(".keras")
        model.save(draft)
        draft.replace(temporary)
    loaded = keras.saving.load_model(path)
    before = model.predict(images, verbose=0)
    after = loaded.predict(images, verbose=0)
    difference = float(np.abs(before - after).max())
    text = f"{_size(path.stat().st_size)}, max difference {difference:.1e}"
    return ("ok" if difference <= _SAME else "failed"), text


def check_export(
    model: keras.Model, images: np.ndarray, format: str, folder: pathlib.Path
) -> Outcome:
    """Exports the model, runs the artefact and compares predictions.

    Args:
        model: The model.
        images: Images to predict.
        format: `"saved_model"` or `"litert"`.
        folder: Where the artefact goes.

    Returns:
        Status and what was measured, or why the format was skipped.
    """
    if format not in exportable_formats():
        backend = keras.backend.backend()
        return "skipped", (
            f"not written by the {backend} backend; run with "
            "KERAS_BACKEND=tensorflow"
        )
    path = folder / ARTIFACTS[format]
    report = export_model(model, path, format, images=images, overwrite=True)
    return "ok", (
        f"{_size(report.bytes)}, max difference "
        f"{report.max_abs_difference:.1e}, same digit for "
        f"{report.top1_agreement:.1%}"
    )


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
