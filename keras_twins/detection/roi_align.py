"""RoIAlign: what lies in a box, as a small map of fixed size.

The mean of the bilinear samples of each bin, as in mmcv.

Shape suffixes: B batch, H height, W width, C channels, R regions of an image,
N regions of the batch, P bins.

Reference:
    - [Mask R-CNN](https://arxiv.org/abs/1703.06870)
    - [Feature Pyramid Networks](https://arxiv.org/abs/1612.03144)
"""

from collections.abc import Sequence

from keras import ops

from keras_twins.detection.region_pooling import pool_flat
from keras_twins.detection.roi_levels import Regions
from keras_twins.detection.roi_levels import largest_window
from keras_twins.detection.roi_levels import locate
from keras_twins.detection.roi_levels import region_levels
from keras_twins.ops import Tensor
from keras_twins.ops import spatial_size


def pool_regions(
    maps: Sequence[Tensor],
    boxes_BR4: Tensor,
    output_size: int,
    strides: Sequence[int] = (4, 8, 16, 32),
) -> Tensor:
    """Returns what lies in boxes, each read from the map that suits its size.

    Differentiable by the maps, not by the boxes.

    Args:
        maps: Maps of shape `(batch, height, width, channels)`, the finest
            first. Where a graph does not know their size, XLA cannot compile
            it.
        boxes_BR4: Boxes of shape `(batch, regions, 4)` in pixels of the
            image; an empty one gives zeros.
        output_size: Height and width of the result.
        strides: Pixels per cell of each map.

    Returns:
        Tensor of shape `(batch, regions, output_size, output_size,
        channels)`, of the maps' dtype.

    Raises:
        ValueError: If there is not one stride for each map, or
            `output_size` is not positive.

    Reference:
        - [Feature Pyramid Networks](https://arxiv.org/abs/1612.03144)

    Example:

    ```python
    maps = [keras.random.normal((1, 64 // s, 64 // s, 8)) for s in (4, 8)]
    boxes = keras.ops.convert_to_tensor([[[8.0, 8.0, 40.0, 24.0]]])
    pooled = pool_regions(maps, boxes, 7, strides=(4, 8))
    ```
    """
    if len(maps) != len(strides) or not maps:
        raise ValueError(
            "`strides` must have one number for each map. Received: "
            f"{len(maps)} maps, strides={tuple(strides)}"
        )
    boxes = ops.stop_gradient(ops.cast(boxes_BR4, "float32"))
    sizes = [spatial_size(x) for x in maps]
    levels = region_levels(boxes, len(maps))
    scales = [1.0 / stride for stride in strides]
    _check_output_size(output_size)
    regions = locate(boxes, levels, sizes, scales, output_size)
    largest = largest_window(sizes, strides)
    return _pool(maps, boxes, regions, output_size, largest)


def roi_align(
    map_BHWC: Tensor,
    boxes_BR4: Tensor,
    output_size: int,
    spatial_scale: float,
    sampling_ratio: int = 0,
    aligned: bool = True,
) -> Tensor:
    """Returns what lies in boxes of one map.

    Differentiable by the map, not by the boxes.

    Args:
        map_BHWC: Map of shape `(batch, height, width, channels)`.
        boxes_BR4: Boxes of shape `(batch, regions, 4)` in pixels.
        output_size: Height and width of the result.
        spatial_scale: Cells per pixel.
        sampling_ratio: Number of samples of a bin along an axis; 0 for one
            for every cell that has begun.
        aligned: Whether a cell's centre is half a cell from its edge. Else it
            is on it, and boxes are at least one cell long.

    Returns:
        Tensor of shape `(batch, regions, output_size, output_size,
        channels)`, of the map's dtype.

    Raises:
        ValueError: If `output_size` is not positive.

    Reference:
        - [Mask R-CNN](https://arxiv.org/abs/1703.06870)

    Example:

    ```python
    cells = keras.random.normal((1, 16, 16, 8))
    boxes = keras.ops.convert_to_tensor([[[8.0, 8.0, 40.0, 24.0]]])
    pooled = roi_align(cells, boxes, 7, spatial_scale=1 / 4)
    ```
    """
    _check_output_size(output_size)
    boxes = ops.stop_gradient(ops.cast(boxes_BR4, "float32"))
    sizes = [spatial_size(map_BHWC)]
    level = ops.zeros_like(boxes[..., 0], dtype="int32")
    scales = [spatial_scale]
    how = (output_size, sampling_ratio, aligned)
    regions = locate(boxes, level, sizes, scales, *how)
    largest = largest_window(sizes)
    maps = [map_BHWC]
    return _pool(maps, boxes, regions, output_size, largest, sampling_ratio)


def _check_output_size(output_size: int) -> None:
    if output_size < 1:
        raise ValueError(
            f"`output_size` must be positive. Received: {output_size=}"
        )


def _pool(
    maps: Sequence[Tensor],
    boxes_BR4: Tensor,
    regions: Regions,
    bins: int,
    largest: int | None,
    sampling_ratio: int = 0,
) -> Tensor:
    batch, count = ops.shape(boxes_BR4)[:2]
    channels = maps[0].shape[-1]
    flat = [ops.reshape(x, (batch, -1, channels)) for x in maps]
    features = flat[0] if len(flat) == 1 else ops.concatenate(flat, axis=1)
    features = ops.reshape(features, (-1, channels))
    how = (bins, largest, sampling_ratio)
    pooled_NPC = pool_flat(features, regions, *how)
    return ops.reshape(pooled_NPC, (batch, count, bins, bins, channels))
