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
            _without_parameters(model),
            (torch_example(model),),
            dynamic_shapes=[{0: batch}],
            strict=False,
        )
        # Where each node comes from, by path: nobody else's business.
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)
            node.meta.pop("nn_module_stack", None)
        torch.export.save(program, path)


def _without_parameters(model: keras.Model) -> Any:
    """Returns the forward pass as a module that owns nothing.

    The program has the weights as constants, because Keras hands them to the
    operations itself. As a module's parameters they would be saved again.
    """
    import torch

    class Forward(torch.nn.Module):
        def forward(self, images):
            return model(images, training=False)

    return Forward().eval()


def load_torch(path: pathlib.Path) -> Runner:
    """Loads a `.pt2` file in PyTorch, on the device it was written on.

    Args:
        path: The file.

    Returns:
        A runner.
    """
    import torch
    from torch.utils import _pytree

    with quiet():
        program: Any = torch.export.load(path)
        module = program.module()
    weights = [x for x in program.constants.values() if torch.is_tensor(x)]
    device = weights[0].device if weights else "cpu"

    def run(batch: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad():
            outputs = module(torch.tensor(batch, device=device))
        flat, _ = _pytree.tree_flatten(outputs)
        # NumPy has no bfloat16.
        return [x.float().cpu().numpy() for x in flat]

    return run
