"""What the mask head should say: the masks of objects, cropped to boxes.

Shape suffixes: B batch, G objects of an image, R regions of an image, H
height, W width, N regions of the batch, n regions of a chunk, s bins.
"""

from collections.abc import Sequence

from keras import ops

from keras_twins.detection.axis_weights import Axis
from keras_twins.detection.axis_weights import axis_weights
from keras_twins.detection.axis_weights import region_axis
from keras_twins.ops import Size
from keras_twins.ops import Tensor

_BUDGET = 2**22
"""Pixels of the masks of a chunk."""

_CHUNK = 8
"""Regions of a chunk, at most."""


def crop_masks(
    masks_BGHW: Tensor, boxes_BR4: Tensor, owners_BR: Tensor, size: int = 28
) -> Tensor:
    """Returns the part of masks that lies in boxes.

    Each bin is 1 if at least half of it is mask: the mean of as many samples
    as there are pixels, as mmdetection's.

    Args:
        masks_BGHW: Masks of shape `(batch, objects, height, width)`, of bool
            or of numbers from 0 to 1.
        boxes_BR4: Boxes of shape `(batch, regions, 4)` in pixels.
        owners_BR: int32 object of each box. Boxes of none, below 0 or above
            the last, get the mask of the first or the last.
        size: Height and width of the result.

    Returns:
        float32 tensor of zeros and ones of shape `(batch, regions, size,
        size)`.

    Raises:
        ValueError: If `size` is not positive.

    Reference:
        - [Mask R-CNN](https://arxiv.org/abs/1703.06870)

    Example:

    ```python
    masks = keras.ops.ones((1, 1, 32, 32), dtype="bool")
    boxes = keras.ops.convert_to_tensor([[[4.0, 4.0, 20.0, 12.0]]])
    owners = keras.ops.zeros((1, 1), dtype="int32")
    targets = crop_masks(masks, boxes, owners)
    ```
    """
    if size < 1:
        raise ValueError(f"`size` must be positive. Received: {size=}")
    batch, count = ops.shape(boxes_BR4)[:2]
    objects = ops.shape(masks_BGHW)[1]
    height, width = ops.shape(masks_BGHW)[2:]
    boxes = ops.reshape(ops.cast(boxes_BR4, "float32"), (-1, 4))
    owner = ops.clip(ops.cast(owners_BR, "int32"), 0, objects - 1)
    image_B1 = ops.arange(batch, dtype="int32")[:, None]
    owner_N = ops.reshape(owner + image_B1 * objects, (-1,))
    masks_XHW = ops.reshape(masks_BGHW, (-1, height, width))
    crops = _crop(masks_XHW, ops.stop_gradient(boxes), owner_N, size)
    return ops.reshape(crops, (batch, count, size, size))


def _crop(
    masks_XHW: Tensor, boxes_N4: Tensor, owner_N: Tensor, size: int
) -> Tensor:
    """Returns the crops, `(N, size, size)`, a few at a time."""
    height, width = ops.shape(masks_XHW)[1:]
    chunk = 1
    if isinstance(height, int) and isinstance(width, int):
        chunk = min(max(_BUDGET // (height * width), 1), _CHUNK)
    number = ops.shape(owner_N)[0]
    padding = -number % chunk
    boxes_N4 = ops.pad(boxes_N4, [[0, padding], [0, 0]])
    owner_N = ops.pad(owner_N, [[0, padding]])

    def crop(chunk_: Sequence[Tensor]) -> Tensor:
        boxes_n4, owner_n = chunk_
        masks_nHW = ops.take(masks_XHW, owner_n, axis=0)
        masks_nHW = ops.cast(masks_nHW, "float32")
        y_nsH = _weights(boxes_n4[:, 1], boxes_n4[:, 3], height, size)
        x_nsW = _weights(boxes_n4[:, 0], boxes_n4[:, 2], width, size)
        return (y_nsH @ masks_nHW) @ ops.transpose(x_nsW, (0, 2, 1))

    boxes = ops.reshape(boxes_N4, (-1, chunk, 4))
    means = ops.map(crop, (boxes, ops.reshape(owner_N, (-1, chunk))))
    means_Nss = ops.reshape(means, (-1, size, size))[:number]
    return ops.cast(means_Nss >= 0.5, "float32")


def _weights(low_n: Tensor, high_n: Tensor, side: Size, bins: int) -> Tensor:
    """Returns the shares of all pixels along an axis, `(n, bins, side)`."""
    side_n = ops.zeros_like(low_n, dtype="int32") + side
    axis = region_axis(low_n, high_n, side_n, bins)
    # The whole axis, not the window alone.
    axis = Axis(*axis[:4], ops.zeros_like(side_n), side_n)
    return axis_weights(axis, bins, side)
