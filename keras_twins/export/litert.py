"""LiteRT (TensorFlow Lite): for phones and small devices."""

import pathlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_twins.export.plan import OUTPUT_NAME
from keras_twins.export.plan import Plan
from keras_twins.export.plan import Runner
from keras_twins.export.plan import in_fixed_batches
from keras_twins.export.plan import quiet
from keras_twins.export.tensorflow_graph import named_function


def write_litert(model: keras.Model, path: pathlib.Path, plan: Plan) -> None:
    """Writes a `.tflite` file of built-in operators only.

    Batch, height and width are fixed: with an open batch each reshape
    computes its shape as it runs, and the graph falls apart into dozens of
    pieces for the delegates (XNNPACK, GPU, NPU) instead of one.

    Args:
        model: The model to export.
        path: The file.
        plan: Precision, batch size and representative images.
    """
    import tensorflow as tf

    with quiet():
        frozen = named_function(model, plan.batch_size)
        # The holder gives the file its signature.
        holder: Any = tf.Module()
        holder.serve = frozen
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [frozen], holder
        )
        _set_precision(converter, plan)
        path.write_bytes(converter.convert())


def _set_precision(converter: Any, plan: Plan) -> None:
    import tensorflow as tf

    builtins = tf.lite.OpsSet.TFLITE_BUILTINS
    # Not SELECT_TF_OPS: what no phone runs must fail here.
    converter.target_spec.supported_ops = [builtins]
    if plan.precision == "float32":
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if plan.precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    elif plan.precision == "int8":
        converter.representative_dataset = lambda: _batches(plan)
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
            builtins,
        ]


def _batches(plan: Plan) -> Iterator[list[np.ndarray]]:
    """Yields the representative images as the converter wants them."""
    images = plan.representative
    if images is None:
        raise ValueError("Precision 'int8' needs representative images.")
    for start in range(len(images)):
        chosen = np.arange(start, start + plan.batch_size) % len(images)
        yield [images[chosen]]


def load_litert(path: pathlib.Path) -> Runner:
    """Loads a `.tflite` file in ai-edge-litert.

    Args:
        path: The file.

    Returns:
        A runner of any batch; it runs the file's own batch size.
    """
    from ai_edge_litert.interpreter import Interpreter

    # A path that is replaced while it is mapped into memory would crash.
    interpreter: Any = Interpreter(model_content=path.read_bytes())
    runner = interpreter.get_signature_runner()
    ((argument, details),) = runner.get_input_details().items()

    def run(batch: np.ndarray) -> list[np.ndarray]:
        outputs = runner(**{argument: batch})
        return [outputs[name] for name in sorted(outputs, key=_rank)]

    return in_fixed_batches(run, int(details["shape"][0]))


def _rank(name: str) -> tuple[int, str]:
    """Returns the place of an output: 3 of `output_3`; else by its name."""
    start, _, end = name.rpartition("_")
    if start == OUTPUT_NAME.split("_")[0] and end.isdecimal():
        return int(end), name
    return 0, name
