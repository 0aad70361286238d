"""The formats: who can write them, and how their runtimes run them."""

import dataclasses
import importlib
import os
import pathlib
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

Runner = Callable[[np.ndarray], list[np.ndarray]]
"""Takes a batch, returns the model's outputs, flat and in order."""


@dataclasses.dataclass(frozen=True)
class Format:
    """A format that a model is exported to.

    Args:
        keras_name: Its name in `keras.Model.export`.
        suffix: How the name of the artefact must end.
        backends: Backends from which Keras writes it.
        packages: Modules that writing and running it needs.
        dynamic_size: Backends from which height and width may be `None`.
        load: Loads an artefact in the format's own runtime.
    """

    keras_name: str
    suffix: str
    backends: tuple[str, ...]
    packages: tuple[str, ...]
    dynamic_size: tuple[str, ...]
    load: Callable[[pathlib.Path], Runner]

    def write(self, model: keras.Model, path: pathlib.Path) -> None:
        """Writes the artefact.

        Args:
            model: The model to export.
            path: Where the artefact goes.
        """
        model.export(str(path), format=self.keras_name, verbose=False)


def require_packages(name: str, packages: tuple[str, ...]) -> None:
    """Imports what a format needs.

    Args:
        name: Name of the format, for the message.
        packages: Modules to import.

    Raises:
        ImportError: If one is missing; the message names the extra.
    """
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ImportError(
                f"Exporting to {name!r} needs the package "
                f"{package.split('.')[0]!r}. Install it with "
                '`pip install "keras-twins[export]"`.'
            ) from error


def _load_saved_model(path: pathlib.Path) -> Runner:
    import tensorflow as tf

    artifact: Any = tf.saved_model.load(str(path))

    def run(batch: np.ndarray) -> list[np.ndarray]:
        outputs = artifact.serve(tf.constant(batch))
        return [np.asarray(x) for x in keras.tree.flatten(outputs)]

    return run


def _load_litert(path: pathlib.Path) -> Runner:
    from ai_edge_litert.interpreter import Interpreter

    interpreter: Any = Interpreter(model_path=str(path))
    runner = interpreter.get_signature_runner()
    (argument,) = runner.get_input_details()

    def run(batch: np.ndarray) -> list[np.ndarray]:
        # Names end in the number of the output: output_0, output_1, ...
        outputs = runner(**{argument: batch})
        return [outputs[name] for name in sorted(outputs)]

    return run


FORMATS: Mapping[str, Format] = {
    "saved_model": Format(
        keras_name="tf_saved_model",
        suffix="",
        backends=("tensorflow", "jax"),
        packages=("tensorflow",),
        dynamic_size=("tensorflow",),
        load=_load_saved_model,
    ),
    "litert": Format(
        keras_name="litert",
        suffix=".tflite",
        backends=("tensorflow",),
        packages=("tensorflow", "ai_edge_litert.interpreter"),
        dynamic_size=(),
        load=_load_litert,
    ),
}
"""The formats by the name that `export_model` takes."""


def exportable_formats() -> tuple[str, ...]:
    """Returns the names of the formats that the running backend can write."""
    backend = keras.backend.backend()
    return tuple(
        name for name, entry in FORMATS.items() if backend in entry.backends
    )


def load_artifact(path: str | os.PathLike[str], format: str) -> Runner:
    """Loads an exported model in its own runtime, without Keras.

    Args:
        path: The artefact that `export_model` wrote.
        format: Its format.

    Returns:
        A function that takes a batch of shape `(batch, height, width,
        channels)` and returns a list of the model's outputs.

    Raises:
        ValueError: If the format is unknown.
        ImportError: If the runtime is missing.
    """
    chosen = find_format(format)
    require_packages(format, chosen.packages)
    return chosen.load(pathlib.Path(path))


def find_format(format: str) -> Format:
    """Returns a format by its name.

    Args:
        format: A key of `FORMATS`.

    Returns:
        The `Format`.

    Raises:
        ValueError: If the format is unknown.
    """
    if format not in FORMATS:
        raise ValueError(
            f"`format` must be one of {sorted(FORMATS)}. Received: "
            f"format={format!r}"
        )
    return FORMATS[format]
