"""OpenVINO: a folder with `model.xml` and `model.bin`."""

import contextlib
import io
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_twins.export.onnx_file import write_onnx
from keras_twins.export.plan import Plan
from keras_twins.export.plan import Runner
from keras_twins.export.plan import quiet

MARKER = "model.xml"
"""The file that makes a folder an OpenVINO model."""


def write_openvino(model: keras.Model, path: pathlib.Path, plan: Plan) -> None:
    """Writes OpenVINO's two files into a folder, with an open batch.

    They are made from the ONNX file, so that both have the same lean graph.

    Args:
        model: The model to export.
        path: The folder.
        plan: Precision and representative images.
    """
    import openvino

    path.mkdir()
    draft = path / "model.onnx"
    write_onnx(model, draft, plan)
    # `openvino.convert_model` would report to its maker that it was called.
    converted = openvino.Core().read_model(draft)
    if plan.precision == "int8":
        converted = _quantize(converted, plan)
    openvino.save_model(
        converted, path / MARKER, compress_to_fp16=plan.precision == "float16"
    )
    draft.unlink()


def _quantize(model: Any, plan: Plan) -> Any:
    """Returns the model in int8: weights by channel, activations by tensor."""
    images = plan.representative
    if images is None:
        raise ValueError("Precision 'int8' needs representative images.")
    with quiet(), contextlib.redirect_stdout(io.StringIO()):
        with _without_telemetry():
            import nncf
        return nncf.quantize(
            model,
            nncf.Dataset([image[np.newaxis] for image in images]),
            subset_size=len(images),
            # With what NNCF does to models that it is told are transformers,
            # OpenVINO 2026.4 cannot compile windows of an open batch.
        )


@contextlib.contextmanager
def _without_telemetry() -> Iterator[None]:
    """Keeps NNCF from reporting its use, which it does not do in tests."""
    before = dict(os.environ)
    os.environ.update(CI="true", NNCF_CI="1")
    try:
        yield
    finally:
        for name in ("CI", "NNCF_CI"):
            del os.environ[name]
            if name in before:
                os.environ[name] = before[name]


def load_openvino(path: pathlib.Path) -> Runner:
    """Loads a folder in OpenVINO, on the CPU.

    Args:
        path: The folder.

    Returns:
        A runner. It computes in float32 where the file does not say int8.
    """
    import openvino

    # The processor's own choice would be bfloat16 where it has that.
    compiled: Any = openvino.Core().compile_model(
        path / MARKER, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )

    def run(batch: np.ndarray) -> list[np.ndarray]:
        outputs = compiled(batch)
        return [np.array(outputs[port]) for port in compiled.outputs]

    return run
