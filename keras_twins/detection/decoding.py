"""From what heads predict to boxes: mmdetection's steps after the network.

Everything has a static shape, so that it compiles; boxes are in pixels of the
network's input, within the part of it that is image.

Shape suffixes: B batch, A anchors, K classes, N candidates, R regions.
"""

import dataclasses
import math
import numbers
from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_twins.detection.boxes import REGION_CODER
from keras_twins.detection.boxes import take_rows
from keras_twins.detection.candidates import best_candidates
from keras_twins.detection.candidates import has_area
from keras_twins.detection.nms import keep_sorted
from keras_twins.detection.nms import select
from keras_twins.ops import Tensor


@dataclasses.dataclass(frozen=True)
class DetectionSettings:
    """Which boxes are detections.

    Args:
        score_threshold: Score that a detection must be above.
        candidates: Number of pairs of an anchor and a class that each level
            of a pyramid contributes, those of the highest scores.
        iou_threshold: Overlap above which the worse of two boxes of a class
            goes.
        max_detections: Largest number of detections of an image.

    Raises:
        ValueError: If a threshold is not a share, or a number not positive.
    """

    score_threshold: float = 0.05
    candidates: int = 1000
    iou_threshold: float = 0.5
    max_detections: int = 100

    def __post_init__(self):
        _check(self)


@dataclasses.dataclass(frozen=True)
class ProposalSettings:
    """Which anchors become regions.

    Args:
        candidates: Number of anchors that each level of a pyramid
            contributes, those of the highest scores.
        iou_threshold: Overlap above which the worse of two boxes of a level
            goes.
        count: Largest number of regions of an image.

    Raises:
        ValueError: If the threshold is not a share, or a number not positive.
    """

    candidates: int = 1000
    iou_threshold: float = 0.7
    count: int = 1000

    def __post_init__(self):
        _check(self)


def decode_retinanet(
    logits: Sequence[Tensor],
    deltas: Sequence[Tensor],
    anchors: Sequence[Any],
    image_sizes: Tensor,
    settings: DetectionSettings,
) -> dict[str, Tensor]:
    """Returns the detections of a head that scores each anchor and class.

    Args:
        logits: Tensor of shape `(B, A, K)` for each level. The number of
            anchors may be unknown until the model runs.
        deltas: Offsets from the anchors of shape `(B, A, 4)` for each level.
        anchors: Boxes of shape `(A, 4)` for each level.
        image_sizes: Height and width of each image in pixels, of shape `(B,
            2)`.
        settings: Which boxes are detections.

    Returns:
        Dict of `boxes` `(B, D, 4)`, `scores` `(B, D)`, `labels` `(B, D)` and
        `valid` `(B, D)`, where D is `settings.max_detections`, as
        `keras_twins.detection.nms.select` returns them.

    Reference:
        - [Focal Loss](https://arxiv.org/abs/1708.02002)

    Example:

    ```python
    anchors = RETINANET_ANCHORS.grid([(4, 4), (2, 2), (1, 1), (1, 1), (1, 1)])
    logits = [keras.random.normal((1, len(a), 3)) for a in anchors]
    deltas = [keras.random.normal((1, len(a), 4)) for a in anchors]
    settings = DetectionSettings(max_detections=10)
    decode_retinanet(logits, deltas, anchors, [[32, 32]], settings)
    ```
    """
    boxes, ranks, labels = best_candidates(
        logits, deltas, anchors, image_sizes, settings.candidates
    )
    boxes, ranks, labels = (
        ops.concatenate(x, axis=1) for x in (boxes, ranks, labels)
    )
    scores = ops.sigmoid(ranks)
    good = ops.logical_and(scores > settings.score_threshold, has_area(boxes))
    return select(
        boxes,
        ops.where(good, scores, 0.0),
        labels,
        settings.iou_threshold,
        settings.max_detections,
    )


def decode_proposals(
    logits: Sequence[Tensor],
    deltas: Sequence[Tensor],
    anchors: Sequence[Any],
    image_sizes: Tensor,
    settings: ProposalSettings,
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the regions that a region proposal network finds.

    Args:
        logits: Tensor of shape `(B, A, 1)` for each level. The number of
            anchors may be unknown until the model runs.
        deltas: Offsets from the anchors of shape `(B, A, 4)` for each level.
        anchors: Boxes of shape `(A, 4)` for each level.
        image_sizes: Height and width of each image in pixels, of shape `(B,
            2)`.
        settings: Which anchors become regions.

    Returns:
        Boxes of shape `(B, count, 4)`, scores and booleans of shape `(B,
        count)`. Scores fall; what is not valid comes last and is 0. No
        gradient flows.

    Reference:
        - [Faster R-CNN](https://arxiv.org/abs/1506.01497)
    """
    boxes, ranks, _ = best_candidates(
        logits, deltas, anchors, image_sizes, settings.candidates
    )
    pairs = zip(boxes, ranks, strict=True)
    kept = [_kept(*pair, settings.iou_threshold) for pair in pairs]
    ranks_BN, boxes_BN4 = (ops.concatenate(x, axis=1) for x in (kept, boxes))
    missing = max(settings.count - ranks_BN.shape[1], 0)
    ranks_BN = ops.pad(
        ranks_BN, ((0, 0), (0, missing)), constant_values=-math.inf
    )
    boxes_BN4 = ops.pad(boxes_BN4, ((0, 0), (0, missing), (0, 0)))
    ranks, rows = ops.top_k(ranks_BN, settings.count)
    valid = ranks > -math.inf
    chosen = take_rows(boxes_BN4, rows)
    regions = ops.where(valid[..., None], chosen, 0.0)
    return regions, ops.where(valid, ops.sigmoid(ranks), 0.0), valid


def decode_box_head(
    logits: Tensor,
    deltas: Tensor,
    regions: Tensor,
    region_valid: Tensor,
    image_sizes: Tensor,
    settings: DetectionSettings,
) -> dict[str, Tensor]:
    """Returns the detections of a head that looks at regions.

    Args:
        logits: Tensor of shape `(B, R, K + 1)`, the background last.
        deltas: Offsets from the regions for each class, of shape `(B, R, 4 *
            K)`, in units of `(0.1, 0.1, 0.2, 0.2)`.
        regions: Boxes of shape `(B, R, 4)`.
        region_valid: Booleans of shape `(B, R)`.
        image_sizes: Height and width of each image in pixels, of shape `(B,
            2)`.
        settings: Which boxes are detections; there is no use for
            `candidates`.

    Returns:
        Dict of `boxes` `(B, D, 4)`, `scores` `(B, D)`, `labels` `(B, D)` and
        `valid` `(B, D)`, where D is `settings.max_detections`, as
        `keras_twins.detection.nms.select` returns them.

    Reference:
        - [Fast R-CNN](https://arxiv.org/abs/1504.08083)
    """
    logits, deltas, regions = (
        ops.stop_gradient(ops.cast(x, "float32"))
        for x in (logits, deltas, regions)
    )
    count, classes = logits.shape[1], logits.shape[2] - 1
    chances_BRK = ops.softmax(logits, axis=-1)[..., :-1]
    most = _most_classes(classes, settings.score_threshold)
    scores, labels = ops.top_k(chances_BRK, most)
    deltas = ops.reshape(deltas, (-1, count, classes, 4))
    deltas = ops.take_along_axis(deltas, labels[..., None], axis=2)
    boxes = REGION_CODER.decode(
        regions[:, :, None],
        deltas,
        ops.expand_dims(ops.convert_to_tensor(image_sizes), axis=1),
    )
    good = ops.logical_and(
        scores > settings.score_threshold, region_valid[..., None]
    )
    return select(
        ops.reshape(boxes, (-1, count * most, 4)),
        ops.reshape(ops.where(good, scores, 0.0), (-1, count * most)),
        ops.reshape(labels, (-1, count * most)),
        settings.iou_threshold,
        settings.max_detections,
    )


def _kept(boxes_BN4: Tensor, ranks_BN: Tensor, iou_threshold: float) -> Tensor:
    """Returns the logits of a level, minus infinity for what goes."""
    valid = ops.logical_and(ranks_BN > -math.inf, has_area(boxes_BN4))
    keep = keep_sorted(boxes_BN4, valid, iou_threshold)
    return ops.where(keep, ranks_BN, -math.inf)


def _most_classes(classes: int, score_threshold: float) -> int:
    """Returns how many classes of a region can be above the threshold."""
    # Their sum is 1, up to rounding.
    share = max(score_threshold, 1 / (classes + 1))
    return min(classes, math.floor(1 / share) + 1)


def _check(settings: DetectionSettings | ProposalSettings) -> None:
    """Raises an error if a threshold is no share, or a number no count."""
    for field in dataclasses.fields(settings):
        name, value = field.name, getattr(settings, field.name)
        if isinstance(field.default, float):
            real = isinstance(value, numbers.Real)
            right, wanted = real and 0 <= float(value) <= 1, "from 0 to 1"
        else:
            right = isinstance(value, numbers.Integral) and int(value) >= 1
            wanted = "a positive integer"
        if not right:
            raise ValueError(
                f"`{name}` must be {wanted}. Received: {name}={value!r}"
            )
