"""ONNX: one file, standard operators, run by ONNX Runtime and others."""

import contextlib
import io
import pathlib
from typing import Any

import keras
import numpy as np

from keras_twins.export.onnx_graph import tidy
from keras_twins.export.plan import INPUT_NAME
from keras_twins.export.plan import Plan
from keras_twins.export.plan import Runner
from keras_twins.export.plan import input_spec
from keras_twins.export.plan import output_names
from keras_twins.export.plan import quiet
from keras_twins.export.tensorflow_graph import frozen_function

# The lowest that PyTorch's exporter writes, and the lowest but one with
# LayerNormalization as an operator. ONNX Runtime reads it since 1.14,
# OpenVINO since 2023.0; the operator list of TensorRT 10 covers 9 to 20.
OPSET = 18
"""Version of the ONNX operator set of all files."""


def write_onnx(model: keras.Model, path: pathlib.Path, plan: Plan) -> None:
    """Writes an ONNX file with the weights inside and an open batch.

    Args:
        model: The model to export.
        path: The file.
        plan: Not used: there is one precision, and the batch is free.
    """
    import onnx

    with quiet():
        if keras.backend.backend() == "torch":
            graph = _from_torch(model)
        else:
            graph = _from_tensorflow(model)
    onnx.save(tidy(graph, output_names(model)), path)


def _from_tensorflow(model: keras.Model) -> Any:
    """Returns what tf2onnx gives, without its handling of transposes.

    It would carry those around a convolution through everything that
    follows, and leave layer norms over the second axis, which are slow.
    """
    from keras.src.export.tf2onnx_lib import patch_tf2onnx
    from tf2onnx import optimizer
    from tf2onnx import tfonnx

    # tf2onnx 1.17 needs it for NumPy 2; Keras has no public name for it.
    patch_tf2onnx()
    function = frozen_function(model)
    converted = tfonnx.process_tf_graph(
        function.graph,
        opset=OPSET,
        input_names=[tensor.name for tensor in function.inputs],
        output_names=[tensor.name for tensor in function.outputs],
    )
    kept = {
        name: factory
        for name, factory in optimizer._get_optimizers().items()
        if name != "optimize_transpose"
    }
    # The alternative to raising copies the whole graph at each step.
    lean = optimizer.optimize_graph(
        converted, catch_errors=False, optimizers=kept
    )
    return lean.make_model(model.name)


def _from_torch(model: keras.Model) -> Any:
    """Returns what PyTorch's own exporter gives.

    Keras asks PyTorch for an open batch in a way that is no longer kept up.
    """
    import torch

    example = torch_example(model)
    batch = torch.export.Dim("batch")
    # The exporter reports its progress to whoever looks.
    with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
        program: Any = torch.onnx.export(
            model.eval(),
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT_NAME],
            dynamic_shapes=[({0: batch},)],
            verbose=False,
        )
    return program.model_proto


def torch_example(model: keras.Model) -> Any:
    """Returns a batch with which PyTorch traces a model.

    Args:
        model: The model, of fixed height and width.

    Returns:
        A tensor of zeros of shape `(2, height, width, channels)`; PyTorch
        takes a batch of one for a fixed one.
    """
    spec = input_spec(model, batch_size=2)
    return keras.ops.zeros(spec.shape, dtype=spec.dtype)


def load_onnx(path: pathlib.Path) -> Runner:
    """Loads an ONNX file in ONNX Runtime, on the CPU.

    Args:
        path: The file.

    Returns:
        A runner.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(
        path.read_bytes(), providers=["CPUExecutionProvider"]
    )
    (source,) = session.get_inputs()

    def run(batch: np.ndarray) -> list[np.ndarray]:
        return list(session.run(None, {source.name: batch}))

    return run
