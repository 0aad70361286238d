"""PyTorch: a program of `torch.export`, run without Keras."""

import pathlib
from typing import Any

import keras
import numpy as np

from keras_twins.export.onnx_file import torch_example
from keras_twins.export.plan import Plan
from keras_twins.export.plan import Runner
from keras_twins.export.plan import quiet


def write_torch(model: keras.Model, path: pathlib.Path, plan: Plan) -> None:
    """Writes a `.pt2` file with an open batch.

    Args:
        model: The model to export.
        path: The file.
        plan: Not used: there is one precision, and the batch is free.
    """
    import torch

    batch = torch.export.Dim("batch")
    with quiet(), torch.no_grad():
        program: Any = torch.export.export(
            model.eval(),
            (torch_example(model),),
            dynamic_shapes=[({0: batch},)],
            strict=False,
        )
        # Where each node comes from, by path: nobody else's business.
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)
            node.meta.pop("nn_module_stack", None)
        torch.export.save(program, path)


def load_torch(path: pathlib.Path) -> Runner:
    """Loads a `.pt2` file in PyTorch, on the device it was written on.

    Args:
        path: The file.

    Returns:
        A runner.
    """
    import torch

    with quiet():
        module: Any = torch.export.load(path).module()
    weight = next(iter(module.parameters()), torch.zeros(()))

    def run(batch: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad():
            outputs = module(torch.tensor(batch, device=weight.device))
        flat, _ = torch.utils._pytree.tree_flatten(outputs)
        # NumPy has no bfloat16.
        return [x.float().cpu().numpy() for x in flat]

    return run
