"""Writing with a backend that is not the running one."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import keras
import numpy as np

from keras_twins.export import child
from keras_twins.export.formats import Format
from keras_twins.export.plan import Plan

_ROOT = pathlib.Path(child.__file__).parents[2]
_LAST_LINES = 4

# PyTorch traces no loop whose end depends on what it computes; on JAX, the
# pooling of regions takes no open batch.
_LOOPS = "tensorflow"
"""The backend that writes detectors of every kind with the suppression."""


def choose_backend(
    format: Format,
    precision: str,
    fixed_size: bool,
    suppression: bool = False,
) -> str:
    """Returns the backend that writes: the running one, if it can.

    Args:
        format: The format.
        precision: One of the format's precisions.
        fixed_size: Whether the model's height and width are fixed.
        suppression: Whether the artefact suppresses overlapping boxes.

    Returns:
        Name of a backend.

    Raises:
        ValueError: If the format needs a fixed height and width.
        ImportError: If no backend that can write the format is installed.
    """
    able = [
        backend
        for backend in format.writers
        if fixed_size or backend in format.open_size
    ]
    if suppression:
        able = [backend for backend in able if backend == _LOOPS]
    running = keras.backend.backend()
    if not able:
        raise ValueError(
            f"Format {format.name!r} needs a fixed height and width; pass "
            "`image_size`, such as (224, 224). Received: a model of open size"
        )
    if running in able:
        return running
    for backend in able:
        if all(map(_is_installed, format.needs(backend, precision))):
            return backend
    missing = [
        package.split(".")[0]
        for package in format.needs(able[0], precision)
        if not _is_installed(package)
    ]
    size = "" if fixed_size else " from a model of open height and width"
    raise ImportError(
        f"Format {format.name!r} is written{size} by the backends {able}, in "
        f"a second process where another one runs. Received: backend="
        f"{running!r}, and not installed: {missing}. Install them with "
        f'`pip install "keras-twins[{able[0]},export]"`'
        + ("." if fixed_size else ", or pass `image_size`, such as (224, 224).")
    )


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ImportError:
        return False


def write_elsewhere(
    model: keras.Model,
    path: pathlib.Path,
    format: Format,
    plan: Plan,
    backend: str,
) -> None:
    """Writes an artefact in a second process.

    Args:
        model: The model to export.
        path: Where the artefact goes.
        format: Its format.
        plan: How it is written.
        backend: The backend that the second process runs with.

    Raises:
        ValueError: If the second process cannot load the model.
        ChildProcessError: If it fails.
    """
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        folder = pathlib.Path(name)
        _save(model, folder, format, backend)
        task = {
            "format": format.name,
            "path": str(path.resolve()),
            "precision": plan.precision,
            "batch_size": plan.batch_size,
        }
        (folder / "task.json").write_text(json.dumps(task))
        if plan.representative is not None:
            np.save(folder / "images.npy", plan.representative)
        done = _run(folder, backend)
    if done.returncode == child.UNREADABLE:
        raise _by_hand(format, backend, _last_words(done))
    if done.returncode:
        raise ChildProcessError(
            f"The process that writes format {format.name!r} with the "
            f"{backend} backend ended with exit code {done.returncode}: "
            f"{_last_words(done)}"
        )


def _save(
    model: keras.Model, folder: pathlib.Path, format: Format, backend: str
) -> None:
    try:
        model.save(folder / "model.keras")
    # Layers raise many kinds of errors when they cannot be saved.
    except Exception as error:
        raise _by_hand(format, backend, str(error)) from error


def _run(
    folder: pathlib.Path, backend: str
) -> "subprocess.CompletedProcess[str]":
    search = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join(filter(None, search)),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    return subprocess.run(
        # -P: the folder of the script is no place to import from.
        [sys.executable, "-P", child.__file__, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
    )


def _last_words(done: "subprocess.CompletedProcess[str]") -> str:
    lines = done.stderr.strip().splitlines() or ["no message"]
    return "\n".join(lines[-_LAST_LINES:])


def _by_hand(format: Format, backend: str, reason: str) -> ValueError:
    return ValueError(
        f"Format {format.name!r} is written by the {backend} backend, in a "
        "second process that loads the model; the model cannot be saved or "
        f"loaded there: {reason}\nIf it has layers of your own, do it by "
        "hand: `model.save('model.keras')`; then, in a process that runs with "
        f"KERAS_BACKEND={backend} and has imported the modules that define "
        "them: `model = keras.saving.load_model('model.keras', "
        "custom_objects={...})` and `export_model(model, path, "
        f"{format.name!r})`."
    )
