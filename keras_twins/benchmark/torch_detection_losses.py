"""RetinaNet's losses and decoding in plain PyTorch.

Shape suffixes: B batch, A anchors, G boxes, K classes, N candidates.
"""

import math
from collections.abc import Sequence
from typing import Any

from keras_twins.benchmark.torch_suppression import Suppress
from keras_twins.benchmark.torch_suppression import apart
from keras_twins.benchmark.torch_suppression import pairwise_iou

_POSITIVE, _NEGATIVE = 0.5, 0.4
_CANDIDATES, _MOST = 1000, 100
_SCORE, _OVERLAP = 0.05, 0.5
_MOST_GROWTH = math.log(1000 / 16)


def retinanet_loss(
    logits_BAK: Any, deltas_BA4: Any, anchors_A4: Any, truth: Any
) -> Any:
    """Returns the focal loss of the classes plus the L1 loss of the boxes.

    Args:
        logits_BAK: Scores of all anchors.
        deltas_BA4: Offsets from all anchors.
        anchors_A4: The anchors.
        truth: `"boxes"` and `"labels"` of each image, all of them valid.

    Returns:
        A scalar.
    """
    total, count = 0.0, 0
    for logits, deltas, boxes, labels in zip(
        logits_BAK, deltas_BA4, truth["boxes"], truth["labels"], strict=True
    ):
        assigned = assign(anchors_A4, boxes)
        positive = assigned > 0
        owners = assigned[positive] - 1
        wanted = logits.new_zeros(logits.shape)
        wanted[positive, labels[owners].long()] = 1.0
        total = total + _focal(logits, wanted)[assigned >= 0].sum()
        targets = _offsets(anchors_A4[positive], boxes[owners])
        total = total + (deltas[positive] - targets).abs().sum()
        count += max(int(positive.sum()), 1)
    return total / count


def assign(anchors_A4: Any, boxes_G4: Any) -> Any:
    """Returns the number of each anchor's box; 0 for none, -1 for ignored.

    Args:
        anchors_A4: The anchors.
        boxes_G4: The boxes of an image.

    Returns:
        Integers of shape `(anchors,)`.
    """
    overlaps_AG = pairwise_iou(anchors_A4, boxes_G4)
    best_A, owner_A = overlaps_AG.max(1)
    assigned_A = owner_A + 1
    assigned_A[best_A < _POSITIVE] = -1
    assigned_A[best_A < _NEGATIVE] = 0
    best_G = overlaps_AG.max(0).values
    # Each box has the anchors that overlap it most.
    for index, best in enumerate(best_G):
        if best > 0:
            assigned_A[overlaps_AG[:, index] == best] = index + 1
    return assigned_A


def _focal(logits: Any, wanted: Any) -> Any:
    import torch

    chances = logits.sigmoid()
    missed = wanted * (1 - chances) + (1 - wanted) * chances
    weights = (0.25 * wanted + 0.75 * (1 - wanted)) * missed**2
    return weights * torch.nn.functional.binary_cross_entropy_with_logits(
        logits, wanted, reduction="none"
    )


def _offsets(anchors: Any, boxes: Any) -> Any:
    import torch

    sides = anchors[:, 2:] - anchors[:, :2]
    moves = (boxes[:, :2] + boxes[:, 2:] - anchors[:, :2] - anchors[:, 2:]) / 2
    growths = torch.log((boxes[:, 2:] - boxes[:, :2]) / sides)
    return torch.cat([moves / sides, growths], 1)


def decode(
    logits: Sequence[Any],
    deltas: Sequence[Any],
    anchors: Sequence[Any],
    size: int,
    suppress: Suppress,
) -> dict[str, Any]:
    """Returns the detections of one image.

    Args:
        logits: Scores of shape `(anchors, classes)` for each level.
        deltas: Offsets of shape `(anchors, 4)` for each level.
        anchors: Boxes of shape `(anchors, 4)` for each level.
        size: Side of the image in pixels.
        suppress: What suppresses.

    Returns:
        `"boxes"`, `"scores"` and `"labels"`, the best first.
    """
    import torch

    levels = zip(logits, deltas, anchors, strict=True)
    parts = [_candidates(*level, size) for level in levels]
    boxes, scores, labels = map(torch.cat, zip(*parts, strict=True))
    kept = suppress(apart(boxes, labels), scores, _OVERLAP, _MOST)
    return {
        "boxes": boxes[kept],
        "scores": scores[kept],
        "labels": labels[kept],
    }


def _candidates(
    logits_AK: Any, deltas_A4: Any, anchors_A4: Any, size: int
) -> tuple[Any, Any, Any]:
    scores = logits_AK.sigmoid()
    rows, labels = (scores > _SCORE).nonzero(as_tuple=True)
    scores_N, best = scores[rows, labels].sort(descending=True, stable=True)
    best = best[:_CANDIDATES]
    rows, labels = rows[best], labels[best]
    boxes = _boxes(anchors_A4[rows], deltas_A4[rows]).clamp(0, size)
    good = (boxes[:, 2:] > boxes[:, :2]).all(1)
    return boxes[good], scores_N[:_CANDIDATES][good], labels[good]


def _boxes(anchors: Any, deltas: Any) -> Any:
    import torch

    sides = anchors[:, 2:] - anchors[:, :2]
    centers = (anchors[:, :2] + anchors[:, 2:]) / 2 + sides * deltas[:, :2]
    growths = deltas[:, 2:].clamp(-_MOST_GROWTH, _MOST_GROWTH)
    halves = sides * growths.exp() / 2
    return torch.cat([centers - halves, centers + halves], 1)
