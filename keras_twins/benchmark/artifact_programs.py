"""Exported files as programs, in their own runtimes on the CPU.

The runtimes get as many threads as there are cores, as the frameworks do by
themselves, and are told the batch size, which lets them plan ahead.
"""

from typing import Any

import numpy as np

from keras_twins.benchmark.inputs import random_images
from keras_twins.benchmark.machine import count_cores
from keras_twins.benchmark.task import Program
from keras_twins.benchmark.task import Step
from keras_twins.benchmark.task import Task


def build_litert(task: Task) -> Program:
    """Loads a LiteRT file.

    Args:
        task: What it is to compute; its files have one batch size each.

    Returns:
        A `Program`.
    """
    from ai_edge_litert.interpreter import Interpreter

    def prepare(batch: int) -> Step:
        interpreter: Any = Interpreter(
            model_path=task.artifacts[str(batch)], num_threads=count_cores()
        )
        interpreter.allocate_tensors()
        (entry,) = interpreter.get_input_details()
        images = random_images(task, batch)

        def step() -> None:
            # Each time: its memory is used again for what follows.
            interpreter.set_tensor(entry["index"], images)
            interpreter.invoke()

        return step

    return Program(prepare=prepare, wait=_wait)


def build_onnxruntime(task: Task, channels_first: bool = False) -> Program:
    """Loads an ONNX file in ONNX Runtime.

    Args:
        task: What it is to compute; its file takes any batch.
        channels_first: Whether it takes `(batch, channels, height, width)`.

    Returns:
        A `Program`.
    """
    import onnxruntime

    def prepare(batch: int) -> Step:
        path = task.artifacts[str(batch)]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = count_cores()
        probe = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"]
        )
        axis = probe.get_inputs()[0].shape[0]
        if isinstance(axis, str):
            options.add_free_dimension_override_by_name(axis, batch)
        session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        feed = {
            session.get_inputs()[0].name: _images(task, batch, channels_first)
        }
        return lambda: session.run(None, feed)

    return Program(prepare=prepare, wait=_wait)


def build_openvino(task: Task, channels_first: bool = False) -> Program:
    """Loads an ONNX or OpenVINO file in OpenVINO.

    Args:
        task: What it is to compute; its file takes any batch. bfloat16 is a
            hint to the runtime, the file is the same.
        channels_first: Whether it takes `(batch, channels, height, width)`.

    Returns:
        A `Program`.
    """
    import openvino

    # Without it, some CPUs compute in bfloat16 unasked.
    precision = {"float32": "f32", "bfloat16": "bf16"}[task.dtype]
    core = openvino.Core()

    def prepare(batch: int) -> Step:
        images = _images(task, batch, channels_first)
        model = core.read_model(task.artifacts[str(batch)])
        model.reshape(list(images.shape))
        compiled = core.compile_model(
            model,
            "CPU",
            {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": count_cores(),
                "INFERENCE_PRECISION_HINT": precision,
            },
        )
        request = compiled.create_infer_request()
        return lambda: request.infer([images], share_inputs=True)

    return Program(prepare=prepare, wait=_wait)


def _images(task: Task, batch: int, channels_first: bool) -> np.ndarray:
    images = random_images(task, batch)
    if channels_first:
        images = images.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(images)


def _wait(_: Any) -> None:
    """The runtimes return when they are done."""
