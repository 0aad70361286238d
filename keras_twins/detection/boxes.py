"""Boxes as corners: their overlap, clipping, and offsets from anchors.

Shape suffixes: A and G numbers of boxes, N any number of boxes.
"""

import dataclasses
import math

from keras import ops

from keras_twins.ops import Tensor

_LEAST_UNION = 1e-6
_LEAST_SIDE = 1e-6
_MOST_GROWTH = math.log(1000 / 16)


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """Returns the intersection over union of each pair of boxes.

    In float32, operation by operation as in mmdetection, and to the last bit
    the same on every backend, compiled or not: thresholds and ties would
    show a difference.

    Args:
        first: Boxes of shape `(..., A, 4)`: x1, y1, x2, y2 in pixels.
        second: Boxes of shape `(..., G, 4)`. The leading axes broadcast.

    Returns:
        Tensor of shape `(..., A, G)`, from 0 to 1; 0 where a box has no area.

    Example:

    ```python
    from keras_twins.detection.boxes import pairwise_iou

    pairwise_iou([[0.0, 0.0, 4.0, 4.0]], [[2.0, 0.0, 4.0, 4.0]])  # [[0.5]]
    ```
    """
    left, top, right, bottom = _corners(first, axis=-1)
    left_G, top_G, right_G, bottom_G = _corners(second, axis=-2)
    overlap_AG = _area(
        ops.minimum(right, right_G) - ops.maximum(left, left_G),
        ops.minimum(bottom, bottom_G) - ops.maximum(top, top_G),
    )
    areas_AG = _area(right - left, bottom - top) + _area(
        right_G - left_G, bottom_G - top_G
    )
    return overlap_AG / ops.maximum(areas_AG - overlap_AG, _LEAST_UNION)


def clip_boxes(boxes: Tensor, sizes: Tensor) -> Tensor:
    """Returns boxes whose corners are within the image.

    Args:
        boxes: Boxes of shape `(..., N, 4)`.
        sizes: Height and width of each image in pixels, of shape `(..., 2)`.

    Returns:
        Float32 tensor of the shape of `boxes`.

    Example:

    ```python
    from keras_twins.detection.boxes import clip_boxes

    boxes = numpy.array([[[-5.0, 3.0, 70.0, 99.0]]])
    clip_boxes(boxes, [[32, 64]])  # [[[0, 3, 64, 32]]]
    ```
    """
    sizes = ops.expand_dims(_float32(sizes), axis=-2)
    height, width = sizes[..., :1], sizes[..., 1:]
    most = ops.concatenate([width, height, width, height], axis=-1)
    return ops.minimum(ops.maximum(_float32(boxes), 0.0), most)


@dataclasses.dataclass(frozen=True)
class BoxCoder:
    """Boxes as offsets from anchors: what a head learns to predict.

    Offsets of the centre are in widths and heights of the anchor, those of
    the size are logarithms of ratios; both are divided by `stds`.

    Args:
        stds: What the offsets of x, y, width and height are divided by.

    Raises:
        ValueError: If `stds` are not four positive, finite numbers.

    Reference:
        - [Rich feature hierarchies](https://arxiv.org/abs/1311.2524)

    Example:

    ```python
    from keras_twins.detection.boxes import BoxCoder

    anchors = numpy.array([[0.0, 0.0, 8.0, 8.0]])
    boxes = numpy.array([[4.0, 0.0, 12.0, 16.0]])
    deltas = BoxCoder().encode(anchors, boxes)  # [[0.5, 0.5, 0.0, 0.693]]
    BoxCoder().decode(anchors, deltas)
    ```
    """

    stds: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)

    def __post_init__(self):
        right = len(self.stds) == 4
        if not right or not all(0 < std < math.inf for std in self.stds):
            raise ValueError(
                "`stds` must be four positive numbers, for x, y, width and "
                f"height, such as (0.1, 0.1, 0.2, 0.2). Received: "
                f"stds={self.stds!r}"
            )

    def encode(self, anchors: Tensor, boxes: Tensor) -> Tensor:
        """Returns the offsets that lead from anchors to boxes.

        Sides below a millionth of a pixel, those of padding among them, count
        as that long: the offsets are finite, and those of proper boxes exact.

        Args:
            anchors: Boxes of shape `(..., N, 4)`.
            boxes: Boxes of shape `(..., N, 4)`. The shapes broadcast.

        Returns:
            Tensor of shape `(..., N, 4)`: x, y, width and height.
        """
        anchor_centers, anchor_sides = _centers_and_sides(anchors)
        centers, sides = _centers_and_sides(boxes)
        anchor_sides = ops.maximum(anchor_sides, _LEAST_SIDE)
        sides = ops.maximum(sides, _LEAST_SIDE)
        moves = (centers - anchor_centers) / anchor_sides
        growths = ops.log(sides / anchor_sides)
        return ops.concatenate([moves, growths], axis=-1) / _float32(self.stds)

    def decode(
        self, anchors: Tensor, deltas: Tensor, sizes: Tensor | None = None
    ) -> Tensor:
        """Returns the boxes that offsets from anchors stand for.

        Widths and heights change by a factor of 62.5 at most, up or down.

        Args:
            anchors: Boxes of shape `(..., N, 4)`.
            deltas: Offsets of shape `(..., N, 4)`. The shapes broadcast.
            sizes: Height and width of each image in pixels, of shape `(...,
                2)`, to clip the boxes to; `None`: they may lie outside.

        Returns:
            Boxes of shape `(..., N, 4)`.
        """
        anchor_centers, anchor_sides = _centers_and_sides(anchors)
        deltas = _float32(deltas) * _float32(self.stds)
        growths = ops.clip(deltas[..., 2:], -_MOST_GROWTH, _MOST_GROWTH)
        centers = anchor_centers + anchor_sides * deltas[..., :2]
        halves = 0.5 * (anchor_sides * ops.exp(growths))
        boxes = ops.concatenate([centers - halves, centers + halves], axis=-1)
        return boxes if sizes is None else clip_boxes(boxes, sizes)


ANCHOR_CODER = BoxCoder()
"""From anchors to objects, or to proposals."""

REGION_CODER = BoxCoder((0.1, 0.1, 0.2, 0.2))
"""From proposals to objects, which are near."""


def take_rows(values: Tensor, rows_BN: Tensor) -> Tensor:
    """Returns rows of every element of a batch.

    Args:
        values: Tensor of shape `(batch, rows, width)`.
        rows_BN: Indices of shape `(batch, count)`.

    Returns:
        Tensor of shape `(batch, count, width)`.
    """
    return ops.take_along_axis(values, rows_BN[..., None], axis=1)


def _float32(x: Tensor) -> Tensor:
    return ops.cast(ops.convert_to_tensor(x), "float32")


def _corners(boxes: Tensor, axis: int) -> list[Tensor]:
    """Returns x1, y1, x2 and y2, each with a new axis."""
    boxes = _float32(boxes)
    return [ops.expand_dims(boxes[..., i], axis) for i in range(4)]


def _area(width: Tensor, height: Tensor) -> Tensor:
    """Returns a product that no compiler fuses with a later addition.

    A fused multiplication and addition rounds once, not twice. The maximum
    of the product stands between the two.
    """
    sides = ops.maximum(width, 0.0), ops.maximum(height, 0.0)
    return ops.maximum(sides[0] * sides[1], 0.0)


def _centers_and_sides(boxes: Tensor) -> tuple[Tensor, Tensor]:
    boxes = _float32(boxes)
    first, second = boxes[..., :2], boxes[..., 2:]
    return 0.5 * (first + second), second - first
