"""What a writer is told, and how an artefact is run."""

import contextlib
import dataclasses
import importlib
import logging
import warnings
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

import keras
import numpy as np

Runner = Callable[[np.ndarray], list[np.ndarray]]
"""Takes a batch of any size, returns the model's outputs, flat, in order.

Outputs with names are in the order of these; see `output_names`.
"""

INPUT_NAME = "images"
"""Name of an artefact's input in every format that names inputs."""

OUTPUT_NAME = "output_{}"
"""Names of outputs, by their number, where a model does not name them."""

_LOGGERS = ("absl", "jax", "nncf", "onnxscript", "tensorflow", "tf2onnx")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """How an artefact is written.

    Args:
        precision: `"float32"`, `"float16"`, `"dynamic_int8"` or `"int8"`.
        batch_size: Number of images in a batch, where the format fixes it.
        representative: Images of shape `(n, height, width, channels)` and
            the dtype of the input, on which `"int8"` finds the ranges.
    """

    precision: str = "float32"
    batch_size: int = 1
    representative: np.ndarray | None = None


def input_spec(
    model: keras.Model, batch_size: int | None = None
) -> keras.InputSpec:
    """Returns the input that an artefact takes.

    Args:
        model: The model to export, with one input.
        batch_size: Number of images, `None` if any.

    Returns:
        Shape, dtype and name.
    """
    source = model.inputs[0]
    return keras.InputSpec(
        shape=(batch_size, *source.shape[1:]),
        dtype=keras.backend.standardize_dtype(source.dtype),
        name=INPUT_NAME,
    )


def output_names(model: keras.Model) -> list[str] | None:
    """Returns the names of a model's outputs.

    Args:
        model: The model to export.

    Returns:
        Names in alphabetical order, as outputs are flattened everywhere;
        `None` if the outputs are not a dictionary of tensors.
    """
    if isinstance(model, keras.Sequential):
        return None
    output = model.output
    if not isinstance(output, Mapping) or len(output) != len(model.outputs):
        return None
    return sorted(output)


def in_fixed_batches(run: Runner, size: int) -> Runner:
    """Returns a runner of any batch, of one that takes a fixed batch.

    Args:
        run: Takes `size` images.
        size: Number of images that it takes.

    Returns:
        A runner that cuts its batch, and fills up what is left over by
        repeating the last image.
    """

    def run_any(batch: np.ndarray) -> list[np.ndarray]:
        parts = []
        for start in range(0, len(batch), size):
            part = batch[start : start + size]
            missing = size - len(part)
            filled = np.concatenate([part, part[-1:].repeat(missing, axis=0)])
            parts.append([x[: len(part)] for x in run(filled)])
        return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]

    return run_any


def require_packages(name: str, packages: Sequence[str], extra: str) -> None:
    """Imports what a format needs.

    Args:
        name: Name of the format, for the message.
        packages: Modules to import.
        extra: The extra of this package that installs them.

    Raises:
        ImportError: If one is missing; the message names the extra.
    """
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ImportError(
                f"Format {name!r} needs the package "
                f"{package.split('.')[0]!r}. Install it with "
                f'`pip install "keras-twins[{extra}]"`.'
            ) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps converters from talking about themselves; errors pass.

    Yields:
        None: Nothing.
    """
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
