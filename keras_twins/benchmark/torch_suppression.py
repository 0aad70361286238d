"""Greedy suppression in plain PyTorch, or in torchvision where it loads.

Shape suffixes: N candidates.
"""

import importlib
from collections.abc import Callable
from typing import Any

Suppress = Callable[[Any, Any, float, int], Any]
"""Takes boxes, scores, a threshold, and how many boxes are wanted; returns
the positions of what stays, the best first."""


def find_suppression() -> Suppress:
    """Returns torchvision's suppression, or a loop where it does not load."""
    try:
        return torchvision_suppression()
    except ImportError:
        return greedy


def torchvision_suppression() -> Suppress:
    """Returns torchvision's suppression.

    Returns:
        What takes boxes and scores.

    Raises:
        ImportError: If it cannot be called, with the reason.
    """
    nms = torchvision_operator("nms")

    def suppress(boxes: Any, scores: Any, threshold: float, most: int) -> Any:
        return nms(boxes, scores, threshold)[:most]

    return suppress


def torchvision_operator(name: str) -> Callable[..., Any]:
    """Returns an operator of torchvision that has been seen to work.

    Args:
        name: `"nms"` or `"roi_align"`.

    Returns:
        `torchvision.ops.nms` or `torchvision.ops.roi_align`.

    Raises:
        ImportError: If it does not work, with the reason. Built for another
            PyTorch, torchvision may not load; or it loads, and its compiled
            operators do not.
    """
    import torch

    try:
        operators = importlib.import_module("torchvision.ops")
        # Without compiled operators, that of regions is another one in Python.
        operators.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except (ImportError, RuntimeError) as error:
        raise ImportError(f"torchvision.ops.{name} does not work") from error
    return getattr(operators, name)


def greedy(boxes_N4: Any, scores_N: Any, threshold: float, most: int) -> Any:
    """Returns the positions of the boxes that stay, by a simple loop.

    Args:
        boxes_N4: Boxes.
        scores_N: Their scores.
        threshold: Overlap above which the worse box goes.
        most: Largest number of boxes that stay.

    Returns:
        Positions, the best first.
    """
    import torch

    order = torch.argsort(scores_N, descending=True, stable=True)
    kept = []
    while len(order) and len(kept) < most:
        first, order = order[0], order[1:]
        kept.append(first)
        overlaps = pairwise_iou(boxes_N4[first][None], boxes_N4[order])[0]
        order = order[overlaps <= threshold]
    return torch.stack(kept) if kept else order


def apart(boxes_N4: Any, groups_N: Any) -> Any:
    """Returns boxes that lie apart where their groups are not the same.

    Args:
        boxes_N4: Boxes.
        groups_N: Classes or levels that do not suppress each other.

    Returns:
        Moved boxes.
    """
    if not len(boxes_N4):
        return boxes_N4
    return boxes_N4 + (groups_N * (boxes_N4.max() + 1))[:, None]


def pairwise_iou(first: Any, second: Any) -> Any:
    """Returns the intersection over union of each pair of boxes.

    Args:
        first: Boxes of shape `(..., A, 4)`.
        second: Boxes of shape `(..., G, 4)`.

    Returns:
        Tensor of shape `(..., A, G)`.
    """
    import torch

    one, two = first[..., :, None, :], second[..., None, :, :]
    low = torch.maximum(one[..., :2], two[..., :2])
    high = torch.minimum(one[..., 2:], two[..., 2:])
    overlap = (high - low).clamp(min=0).prod(-1)
    areas = [(x[..., 2:] - x[..., :2]).prod(-1) for x in (one, two)]
    return overlap / (areas[0] + areas[1] - overlap).clamp(min=1e-6)
