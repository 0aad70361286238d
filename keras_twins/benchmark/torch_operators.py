"""Operators of detectors in torchvision and in plain PyTorch: the peers.

Shape suffixes: B batch, N candidates, R regions.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_twins.benchmark.devices import find_device
from keras_twins.benchmark.operator_inputs import BINS
from keras_twins.benchmark.operator_inputs import CLASS_OVERLAP
from keras_twins.benchmark.operator_inputs import LEVEL_OVERLAP
from keras_twins.benchmark.operator_inputs import MOST_DETECTIONS
from keras_twins.benchmark.operator_inputs import STRIDES
from keras_twins.benchmark.operator_inputs import map_shapes
from keras_twins.benchmark.operator_inputs import operator_inputs
from keras_twins.benchmark.task import Program
from keras_twins.benchmark.task import Step
from keras_twins.benchmark.task import Task
from keras_twins.benchmark.torch_suppression import Suppress
from keras_twins.benchmark.torch_suppression import apart
from keras_twins.benchmark.torch_suppression import greedy
from keras_twins.benchmark.torch_suppression import torchvision_operator
from keras_twins.benchmark.torch_suppression import torchvision_suppression

_FINEST = 56


def build_torch(
    task: Task, operator: str, library: str, count: int | None = None
) -> Program:
    """Builds an operator of torchvision, or a loop in plain PyTorch.

    Args:
        task: Size of the images, and whether there is a gradient.
        operator: `"select"`, `"keep_sorted"` or `"pool_regions"`.
        library: `"torchvision"`; or `"torch"`, which pools no regions.
        count: Number of candidates or regions; `None` for the usual one.

    Returns:
        A `Program`.

    Raises:
        ImportError: If torchvision's operator does not work, with the reason.
    """
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def placed(values: np.ndarray) -> Any:
        return torch.from_numpy(values).to(device)

    inputs = operator_inputs(operator, task.size, count)
    if operator == "pool_regions":
        shapes = [(x[0], x[3], *x[1:3]) for x in map_shapes(task.size)]
        maps = [torch.randn(shape, device=device) for shape in shapes]
        step = _pooling(maps, placed(inputs), task.training)
    else:
        found = greedy if library == "torch" else torchvision_suppression()
        values = {key: placed(value) for key, value in inputs.items()}
        functions = {"select": select, "keep_sorted": keep_sorted}
        step = _without_gradient(lambda: functions[operator](found, **values))
    used = find_device("torch")
    return Program(
        prepare=lambda batch: step,
        wait=used.wait,
        device=used.name,
        memory=used.memory,
    )


def select(suppress: Suppress, boxes: Any, scores: Any, labels: Any) -> Any:
    """Returns the positions of the best boxes of one image, by class.

    Args:
        suppress: What suppresses.
        boxes: Tensor of shape `(1, N, 4)`.
        scores: Tensor of shape `(1, N)`.
        labels: Tensor of shape `(1, N)`.

    Returns:
        Positions, the best first.
    """
    moved = apart(boxes[0], labels[0])
    return suppress(moved, scores[0], CLASS_OVERLAP, MOST_DETECTIONS)


def keep_sorted(suppress: Suppress, boxes: Any, valid: Any) -> Any:
    """Returns the positions of the boxes that stay, level by level.

    Args:
        suppress: What suppresses.
        boxes: Tensor of shape `(levels, N, 4)`, the best first.
        valid: Tensor of shape `(levels, N)`; all are.

    Returns:
        Positions for each level.
    """
    import torch

    count = boxes.shape[1]
    scores = torch.arange(count, 0, -1.0, device=boxes.device)
    return [suppress(x, scores, LEVEL_OVERLAP, count) for x in boxes]


def _without_gradient(function: Callable[[], Any]) -> Step:
    import torch

    def step() -> Any:
        with torch.inference_mode():
            return function()

    return step


def _pooling(maps: list[Any], boxes_BR4: Any, training: bool) -> Step:
    import torch

    align = torchvision_operator("roi_align")
    boxes = boxes_BR4[0]
    sides = (boxes[:, 2:] - boxes[:, :2]).prod(-1).sqrt()
    level = torch.log2(sides / _FINEST + 1e-6).floor()
    level = level.clamp(0, len(maps) - 1).long()

    def forward() -> Any:
        pooled = boxes.new_zeros(len(boxes), maps[0].shape[1], BINS, BINS)
        for i, cells in enumerate(maps):
            rows = (level == i).nonzero()[:, 0]
            found = align(
                cells,
                [boxes[rows]],
                BINS,
                spatial_scale=1 / STRIDES[i],
                sampling_ratio=0,
                aligned=True,
            )
            pooled = pooled.index_put((rows,), found)
        return pooled

    if not training:
        return _without_gradient(forward)
    optimizer = torch.optim.SGD([x.requires_grad_() for x in maps], 1e-3)

    def step() -> Any:
        optimizer.zero_grad()
        loss = forward().square().mean()
        loss.backward()
        optimizer.step()
        return loss

    return step
