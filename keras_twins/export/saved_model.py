"""SavedModel: a folder that TensorFlow runs, without Keras."""

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_twins import ops
from keras_twins.export.plan import Plan
from keras_twins.export.plan import Runner
from keras_twins.export.plan import input_spec
from keras_twins.export.plan import quiet
from keras_twins.export.tensorflow_graph import serving_function

MARKER = "saved_model.pb"
"""The file that makes a folder a SavedModel."""


def write_saved_model(
    model: keras.Model, path: pathlib.Path, plan: Plan
) -> None:
    """Writes a SavedModel with the signatures `serve`, `serving_default`.

    Args:
        model: The model to export.
        path: The folder.
        plan: Not used: there is one precision, and the batch is free.
    """
    with quiet():
        if keras.backend.backend() == "tensorflow":
            _write_from_tensorflow(model, path)
        else:
            _write_from_jax(model, path)


def _write_from_tensorflow(model: keras.Model, path: pathlib.Path) -> None:
    """Writes each weight once; Keras' own writer does so twice here."""
    import tensorflow as tf

    holder: Any = tf.Module()
    holder.weights = [weight.value for weight in model.weights]
    holder.serve = serving_function(model)
    serve = holder.serve.get_concrete_function()
    signatures = {"serve": serve, "serving_default": serve}
    tf.saved_model.save(holder, str(path), signatures=signatures)


def _write_from_jax(model: keras.Model, path: pathlib.Path) -> None:
    # The fast GELU becomes a composite that TensorFlow cannot read.
    with ops.fast_paths(False), _without_source_paths():
        model.export(
            str(path),
            format="tf_saved_model",
            input_signature=[input_spec(model)],
            verbose=False,
        )


@contextlib.contextmanager
def _without_source_paths() -> Iterator[None]:
    """Keeps the paths of source files out of what JAX lowers."""
    import jax

    name = "jax_hlo_source_file_canonicalization_regex"
    before = getattr(jax.config, name)
    jax.config.update(name, ".*")
    try:
        yield
    finally:
        jax.config.update(name, before)


def load_saved_model(path: pathlib.Path) -> Runner:
    """Loads a SavedModel in TensorFlow.

    Args:
        path: The folder.

    Returns:
        A runner.
    """
    import tensorflow as tf

    artifact: Any = tf.saved_model.load(str(path))

    def run(batch: np.ndarray) -> list[np.ndarray]:
        outputs = artifact.serve(tf.constant(batch))
        return [np.asarray(x) for x in tf.nest.flatten(outputs)]

    return run
