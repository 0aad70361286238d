"""Resizing, as Pillow does it.

In TensorFlow. Images are `(height, width, 3)`, `float32` with whole values in
`[0, 255]`. Pillow smooths what it shrinks, resizes the width, then the height,
and rounds to eight bits after each of the two. (From version 13 on, it begins
with the height where that is less work: of tall images, some levels are off
by one.)
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping
from typing import TypeVar

from keras_twins.ops import Tensor
from keras_twins.preprocessing import EvaluationCrop

Choice = TypeVar("Choice")

_SCALE_BITS = 22
"""Bits behind the point of Pillow's weights."""

_LOW_BITS = 8
"""Last bits of a weight, summed apart: each sum is exact in float32."""

_BLOCK = 16
"""New pixels that share one window of old ones."""


@dataclasses.dataclass(frozen=True)
class Kernel:
    """How much a pixel counts, by its distance.

    Args:
        weight: From distances in new pixels to weights.
        reach: Distance beyond which the weight is zero.
    """

    weight: Callable[[Tensor], Tensor]
    reach: int


def resize(
    image: Tensor,
    height: Tensor | int,
    width: Tensor | int,
    interpolation: str = "bicubic",
) -> Tensor:
    """Resizes an image with antialiasing, as Pillow's `Image.resize`.

    Args:
        image: Image with whole values in `[0, 255]`.
        height: New height in pixels.
        width: New width in pixels.
        interpolation: `"bicubic"` or `"bilinear"`.

    Returns:
        Image of shape `(height, width, 3)`, `float32`, whole values in
        `[0, 255]`.

    Raises:
        ValueError: If `interpolation` is unknown.

    Example:

    ```python
    import tensorflow as tf

    from keras_twins.data.classification.resampling import resize

    thumbnail = resize(tf.zeros((400, 500, 3)), 80, 100)
    ```
    """
    import tensorflow as tf

    kernel = choose(interpolation, _KERNELS)
    columns = _resize_rows(tf.transpose(image, [1, 0, 2]), width, kernel)
    resized = _resize_rows(tf.transpose(columns, [1, 0, 2]), height, kernel)
    known = [
        size if isinstance(size, int) else None for size in (height, width)
    ]
    return tf.ensure_shape(resized, [*known, 3])


def evaluation_crop(image: Tensor, crop: EvaluationCrop) -> Tensor:
    """Cuts an image to size as published evaluations do.

    Args:
        image: Image with whole values in `[0, 255]`.
        crop: Short side that the image is resized to, and side of the square
            at its centre.

    Returns:
        Pixels of shape `(crop.crop, crop.crop, 3)`, `float32`: those of
        `keras_twins.preprocessing.load_image`.

    Raises:
        ValueError: If the square is larger than the resized image.
    """
    import tensorflow as tf

    if crop.crop > crop.resize:
        raise ValueError(
            "`crop` must cut out of what it resized: `crop.crop` at most "
            f"`crop.resize`. Received: crop={crop}"
        )
    size = tf.shape(image)[:2]
    # Python's division is that of float64.
    long = tf.cast(crop.resize * tf.reduce_max(size), tf.float64)
    long = tf.cast(long / tf.cast(tf.reduce_min(size), tf.float64), tf.int32)
    upright = size[0] >= size[1]
    new = tf.where(upright, [long, crop.resize], [crop.resize, long])
    resized = resize(image, new[0], new[1])
    # Halves round to even, as in the references.
    corner = tf.cast(tf.round((new - crop.crop) / 2), tf.int32)
    return tf.slice(
        resized, [corner[0], corner[1], 0], [crop.crop, crop.crop, 3]
    )


def choose(interpolation: str, known: Mapping[str, Choice]) -> Choice:
    """Returns what the name of an interpolation stands for.

    Args:
        interpolation: Name.
        known: What there is, by name.

    Returns:
        What has the name.

    Raises:
        ValueError: If nothing has it.
    """
    if interpolation not in known:
        raise ValueError(
            f"`interpolation` must be one of {sorted(known)}. Received: "
            f"interpolation={interpolation!r}"
        )
    return known[interpolation]


def _resize_rows(image: Tensor, new: Tensor | int, kernel: Kernel) -> Tensor:
    """Returns the image with `new` rows, in eight bits."""
    import tensorflow as tf

    shape = tf.shape(image)
    windows, weights = _windows(shape[0], new, kernel)
    rows = tf.gather(tf.reshape(image, [shape[0], -1]), windows)
    # Whole numbers of 30 bits, as two sums that float32 holds exactly.
    high = tf.round(weights / 2**_LOW_BITS)
    low = weights - high * 2**_LOW_BITS
    both = tf.cast(tf.concat([high, low], axis=1), image.dtype)
    high, low = tf.split(tf.cast(both @ rows, tf.int32), 2, axis=1)
    total = high * 2**_LOW_BITS + low + 2 ** (_SCALE_BITS - 1)
    levels = tf.bitwise.right_shift(total, _SCALE_BITS)
    levels = tf.cast(tf.clip_by_value(levels, 0, 255), image.dtype)
    return tf.reshape(levels, [-1, shape[1], 3])[:new]


def _windows(
    old: Tensor, new: Tensor | int, kernel: Kernel
) -> tuple[Tensor, Tensor]:
    """Returns which old pixels make the new ones, a block at a time.

    Args:
        old: How many pixels there are.
        new: How many there will be.
        kernel: How much an old pixel counts.

    Returns:
        tuple: Positions of old pixels, `(blocks, window)`; and their weights
        for each new pixel of the block, `(blocks, _BLOCK, window)`, whole
        numbers. The last block may go beyond the last new pixel.
    """
    import tensorflow as tf

    blocks = -(-new // _BLOCK)
    scale = tf.cast(old / new, tf.float64)
    stretch = tf.maximum(scale, 1)
    places = tf.reshape(tf.range(blocks * _BLOCK), [-1, _BLOCK])
    center = (tf.cast(places, tf.float64) + 0.5) * scale
    reach = kernel.reach * stretch
    first = tf.cast(tf.maximum(center - reach + 0.5, 0), tf.int32)
    last = tf.minimum(tf.cast(center + reach + 0.5, tf.int32), old)
    length = tf.reduce_max(last[:, -1] - first[:, 0])
    windows = first[:, :1] + tf.range(length)
    old_places = windows[:, None]
    counts = (old_places >= first[..., None]) & (old_places < last[..., None])
    distance = tf.cast(old_places, tf.float64) - center[..., None] + 0.5
    weights = tf.where(counts, kernel.weight(tf.abs(distance / stretch)), 0)
    total = tf.reduce_sum(weights, axis=-1, keepdims=True)
    weights = tf.math.divide_no_nan(weights, total) * 2**_SCALE_BITS
    whole = tf.sign(weights) * tf.floor(tf.abs(weights) + 0.5)
    return tf.minimum(windows, old - 1), whole


def _cubic(distance: Tensor) -> Tensor:
    import tensorflow as tf

    x = distance
    near = (1.5 * x - 2.5) * x * x + 1
    far = -0.5 * (((x - 5) * x + 8) * x - 4)
    return tf.where(x < 1, near, tf.where(x < 2, far, 0))


def _linear(distance: Tensor) -> Tensor:
    import tensorflow as tf

    return tf.maximum(1 - distance, 0)


_KERNELS = {"bicubic": Kernel(_cubic, 2), "bilinear": Kernel(_linear, 1)}
