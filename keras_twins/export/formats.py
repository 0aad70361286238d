"""The formats: who writes them, in which precisions, and what runs them."""

import dataclasses
import os
import pathlib
from collections.abc import Callable
from collections.abc import Mapping

import keras

from keras_twins.export import litert
from keras_twins.export import onnx_file
from keras_twins.export import openvino_folder
from keras_twins.export import saved_model
from keras_twins.export import torch_program
from keras_twins.export.plan import Plan
from keras_twins.export.plan import Runner
from keras_twins.export.plan import require_packages


@dataclasses.dataclass(frozen=True, kw_only=True)
class Format:
    """A format that a model is exported to.

    Args:
        name: Its name for `export_model`.
        suffix: How the name of the artefact must end.
        marker: The file inside that makes a folder such an artefact; `None`
            if the artefact is a file.
        writers: Modules that writing needs, by the backend that writes, the
            first one first where the running backend cannot.
        runtime: Modules that running needs.
        precisions: What the artefact may compute in.
        quantizer: Modules that `"int8"` needs beside those.
        open_size: Backends from which height and width may stay `None`.
        open_batch: Whether an artefact takes batches of any size.
        any_dtype: Whether models may compute in another dtype than float32.
        detections: Heads of detectors whose objects an artefact can give,
            with the suppression of overlapping boxes inside.
        no_detections: Why it cannot give those of others.
        write: Writes an artefact of a model to a path.
        load: Loads an artefact in the format's own runtime.
    """

    name: str
    suffix: str = ""
    marker: str | None = None
    writers: Mapping[str, tuple[str, ...]]
    runtime: tuple[str, ...]
    precisions: tuple[str, ...] = ("float32",)
    quantizer: tuple[str, ...] = ()
    open_size: tuple[str, ...] = ()
    open_batch: bool = True
    any_dtype: bool = False
    detections: tuple[str, ...] = ()
    no_detections: str = ""
    write: Callable[[keras.Model, pathlib.Path, Plan], None]
    load: Callable[[pathlib.Path], Runner]

    def needs(self, backend: str, precision: str) -> tuple[str, ...]:
        """Returns the modules that writing needs.

        Args:
            backend: The backend that writes.
            precision: One of `precisions`.

        Returns:
            Names of modules.
        """
        more = self.quantizer if precision == "int8" else ()
        return (*self.writers[backend], *more)

    def is_artifact(self, path: pathlib.Path) -> bool:
        """Returns whether a path holds what an export could have written.

        Args:
            path: A file or folder that exists.

        Returns:
            Whether it may be replaced.
        """
        if self.marker is None:
            return path.is_file()
        return (path / self.marker).is_file()


_ONNX_WRITERS = {
    "tensorflow": ("tensorflow", "tf2onnx", "onnx"),
    "torch": ("torch", "onnxscript", "onnx"),
}

_HEADS = ("retinanet", "mask_rcnn")

_NO_SWITCH = (
    "its converter does not know the switch between window sizes with which "
    "regions are pooled"
)

_ENTRIES = (
    Format(
        name="saved_model",
        marker=saved_model.MARKER,
        detections=_HEADS,
        writers={"tensorflow": ("tensorflow",), "jax": ("jax", "tensorflow")},
        runtime=("tensorflow",),
        open_size=("tensorflow",),
        any_dtype=True,
        write=saved_model.write_saved_model,
        load=saved_model.load_saved_model,
    ),
    Format(
        name="litert",
        suffix=".tflite",
        detections=_HEADS[:1],
        no_detections=_NO_SWITCH,
        writers={"tensorflow": ("tensorflow",)},
        runtime=("ai_edge_litert.interpreter",),
        precisions=("float32", "float16", "dynamic_int8", "int8"),
        open_batch=False,
        write=litert.write_litert,
        load=litert.load_litert,
    ),
    Format(
        name="onnx",
        suffix=".onnx",
        detections=_HEADS[:1],
        no_detections=_NO_SWITCH,
        writers=_ONNX_WRITERS,
        runtime=("onnxruntime",),
        open_size=("tensorflow",),
        write=onnx_file.write_onnx,
        load=onnx_file.load_onnx,
    ),
    Format(
        name="openvino",
        marker=openvino_folder.MARKER,
        no_detections="OpenVINO does not read the loop of the suppression",
        writers={
            backend: (*packages, "openvino")
            for backend, packages in _ONNX_WRITERS.items()
        },
        runtime=("openvino",),
        precisions=("float32", "float16", "int8"),
        quantizer=("nncf",),
        open_size=("tensorflow",),
        write=openvino_folder.write_openvino,
        load=openvino_folder.load_openvino,
    ),
    Format(
        name="torch",
        suffix=".pt2",
        no_detections="PyTorch traces no loop that ends when there is no box "
        "left to take",
        writers={"torch": ("torch",)},
        runtime=("torch",),
        any_dtype=True,
        write=torch_program.write_torch,
        load=torch_program.load_torch,
    ),
)

FORMATS: Mapping[str, Format] = {entry.name: entry for entry in _ENTRIES}
"""The formats by the name that `export_model` takes."""

SUFFIXES: Mapping[str, str] = {
    entry.suffix: entry.name for entry in _ENTRIES if entry.suffix
}
"""The formats whose artefacts are files, by how their names end."""

EXTRAS: Mapping[str, str] = {"torch": "torch", "jax": "jax"}
"""The extra that installs a module, where it is not `export`."""


def exportable_formats() -> tuple[str, ...]:
    """Returns the names of the formats that the running backend can write.

    `export_model` writes the others in a second process, with a backend that
    can.

    Returns:
        Keys of `FORMATS`.
    """
    backend = keras.backend.backend()
    return tuple(
        name for name, entry in FORMATS.items() if backend in entry.writers
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
        FileNotFoundError: If there is no artefact of the format.
        ImportError: If the runtime is missing.
    """
    chosen = find_format(format)
    path = pathlib.Path(path)
    if not path.exists() or not chosen.is_artifact(path):
        raise FileNotFoundError(
            f"`path` must be {_describe(chosen)}. Received: path={str(path)!r}"
        )
    require(chosen, chosen.runtime)
    return chosen.load(path)


def require(format: Format, packages: tuple[str, ...]) -> None:
    """Imports what a format needs.

    Args:
        format: The format.
        packages: Modules to import.

    Raises:
        ImportError: If one is missing; the message names the extra.
    """
    for package in packages:
        extra = EXTRAS.get(package, "export")
        require_packages(format.name, [package], extra)


def _describe(format: Format) -> str:
    if format.marker is None:
        return f"a file in format {format.name!r}"
    return f"a folder that holds {format.marker!r}"


def format_of(path: pathlib.Path) -> str:
    """Returns the format that the name of an artefact stands for.

    Args:
        path: Where the artefact goes.

    Returns:
        A key of `FORMATS`; `"saved_model"` if the name has no end.

    Raises:
        ValueError: If the end is that of no format.
    """
    if not path.suffix:
        return "saved_model"
    if path.suffix not in SUFFIXES:
        raise ValueError(
            "`format` is needed where `path` ends in none of "
            f"{sorted(SUFFIXES)}. Received: path={str(path)!r}"
        )
    return SUFFIXES[path.suffix]


def find_format(format: str) -> Format:
    """Returns a format by its name.

    Args:
        format: A key of `FORMATS`.

    Returns:
        The `Format`.

    Raises:
        ValueError: If the format is unknown.
    """
    # Of a tuple, for what cannot be hashed is no format either.
    if format not in tuple(FORMATS):
        raise ValueError(
            f"`format` must be one of {list(FORMATS)}. Received: "
            f"format={format!r}"
        )
    return FORMATS[format]
