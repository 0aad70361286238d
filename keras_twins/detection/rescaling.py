"""Images with padding: what is image, and where boxes lie in the original.

Shape suffixes: B batch, H height, W width, C channels, N any number.
"""

import keras

from keras_twins import ops
from keras_twins.ops import Tensor
from keras_twins.preprocessing import IMAGENET_MEAN


def sizes_of(images_BHWC: Tensor) -> Tensor:
    """Returns the size of every image of a batch without padding.

    Args:
        images_BHWC: Images of shape `(batch, height, width, channels)`.

    Returns:
        Height and width in pixels, of shape `(batch, 2)`, int32.
    """
    height, width = ops.spatial_size(images_BHWC)
    size = keras.ops.stack(
        [keras.ops.cast(value, "int32") for value in (height, width)]
    )
    batch = keras.ops.shape(images_BHWC)[0]
    return keras.ops.broadcast_to(size[None], (batch, 2))


def blank_padding(
    images_BHWC: Tensor, sizes_B2: Tensor, as_pixels: bool
) -> Tensor:
    """Returns images whose padding is what the network sees as zero.

    Args:
        images_BHWC: Images of shape `(batch, height, width, channels)`.
        sizes_B2: Height and width of what is image, in pixels.
        as_pixels: Whether the images are pixels of 0 to 255, not normalised.

    Returns:
        Images of the same shape, float32.
    """
    height, width = ops.spatial_size(images_BHWC)
    sizes_B2 = keras.ops.cast(sizes_B2, "int32")
    rows_BH = keras.ops.arange(height, dtype="int32") < sizes_B2[:, :1]
    columns_BW = keras.ops.arange(width, dtype="int32") < sizes_B2[:, 1:]
    inside = keras.ops.logical_and(
        rows_BH[:, :, None, None], columns_BW[:, None, :, None]
    )
    blank = 0.0
    if as_pixels and images_BHWC.shape[-1] == len(IMAGENET_MEAN):
        blank = keras.ops.convert_to_tensor(
            [255 * mean for mean in IMAGENET_MEAN], dtype="float32"
        )
    images = keras.ops.cast(images_BHWC, "float32")
    return keras.ops.where(inside, images, blank)


def to_original(
    predictions: dict[str, Tensor],
    sizes_B2: Tensor,
    original_sizes_B2: Tensor | None,
) -> dict[str, Tensor]:
    """Returns predictions in the pixels of the images before resizing.

    Args:
        predictions: With `"boxes"` of shape `(batch, detections, 4)`.
        sizes_B2: Height and width of the resized images.
        original_sizes_B2: Height and width before; `None` if they were not
            resized.

    Returns:
        The predictions, with other boxes.
    """
    if original_sizes_B2 is None:
        return predictions
    original_B2 = keras.ops.cast(original_sizes_B2, "float32")
    scale_B2 = original_B2 / keras.ops.cast(sizes_B2, "float32")
    scale_B4 = keras.ops.take(scale_B2, [1, 0, 1, 0], axis=1)
    return {**predictions, "boxes": predictions["boxes"] * scale_B4[:, None]}
