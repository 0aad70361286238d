"""Random erasing: noise in the place of a rectangle.

In TensorFlow, with the rules of timm in its mode `pixel`. Images are
`(height, width, 3)`, `float32`.
"""

import dataclasses
import math

from keras_twins.ops import Tensor
from keras_twins.preprocessing import IMAGENET_MEAN
from keras_twins.preprocessing import IMAGENET_STD

_AREAS = (0.02, 1 / 3)
"""Smallest and largest area of the rectangle, of the picture's."""

_RATIOS = (0.3, 1 / 0.3)
"""Smallest and largest height of the rectangle over its width."""

_TRIES = 10


@dataclasses.dataclass(frozen=True)
class Erasing:
    """What is erased of one picture.

    Args:
        erases: Whether anything is.
        part: Top, left, height and width of it in pixels.
    """

    erases: Tensor
    part: Tensor


def erase(image: Tensor, seed: Tensor, rate: float) -> Tensor:
    """Replaces a random rectangle by noise, or not.

    Args:
        image: Image in `[0, 255]`.
        seed: Two numbers; the result follows from them alone.
        rate: Share of pictures in which a rectangle is replaced.

    Returns:
        The image. Its noise has the mean and the deviation of ImageNet's
        pixels, and leaves `[0, 255]`: normalised, it is normal.
    """
    import tensorflow as tf

    of_place, of_noise = tf.unstack(tf.random.split(seed, 2))
    drawn = draw_erasing(tf.shape(image)[:2], of_place, rate)
    return apply_erasing(image, drawn, of_noise)


def draw_erasing(image_size: Tensor, seed: Tensor, rate: float) -> Erasing:
    """Draws the rectangle.

    Its area and the logarithm of its ratio are uniform. Ten rectangles are
    drawn, and the first is taken that is smaller than the picture in both
    directions; where none is, nothing is erased.

    Args:
        image_size: Height and width of the picture.
        seed: Two numbers; the result follows from them alone.
        rate: Share of pictures in which a rectangle is erased.

    Returns:
        What was drawn, whether it is wanted or not.
    """
    import tensorflow as tf

    seeds = tf.unstack(tf.random.split(seed, 5))
    image_size = tf.cast(image_size, tf.int32)
    chance = tf.random.stateless_uniform([], seeds[0])
    sizes = _draw_sizes(image_size, seeds[1:3])
    fits = tf.reduce_all(sizes < image_size, axis=1)
    size = sizes[tf.argmax(tf.cast(fits, tf.int32))]
    room = tf.maximum(image_size - size, 0)
    corner = [
        tf.random.stateless_uniform([], own, 0, room[axis] + 1, tf.int32)
        for axis, own in enumerate(seeds[3:])
    ]
    return Erasing(
        erases=(chance < rate) & tf.reduce_any(fits),
        part=tf.concat([tf.stack(corner), size], axis=0),
    )


def apply_erasing(image: Tensor, drawn: Erasing, seed: Tensor) -> Tensor:
    """Erases what was drawn.

    Args:
        image: Image in `[0, 255]`.
        drawn: What is erased.
        seed: Two numbers; the noise follows from them alone.

    Returns:
        The image.
    """
    import tensorflow as tf

    top, left, height, width = tf.unstack(drawn.part)
    below = tf.shape(image)[0] - top - height
    right = tf.shape(image)[1] - left - width
    margins = [[top, below], [left, right], [0, 0]]

    def erased() -> Tensor:
        noise = tf.random.stateless_normal([height, width, 3], seed)
        noise = 255 * (noise * tf.constant(IMAGENET_STD) + IMAGENET_MEAN)
        inside = tf.ones([height, width, 1], tf.bool)
        return tf.where(tf.pad(inside, margins), tf.pad(noise, margins), image)

    return tf.cond(drawn.erases, erased, lambda: image)


def _draw_sizes(image_size: Tensor, seeds: list[Tensor]) -> Tensor:
    """Returns heights and widths, `(tries, 2)`, `int32`."""
    import tensorflow as tf

    share = tf.random.stateless_uniform(
        [_TRIES], seeds[0], *_AREAS, dtype=tf.float64
    )
    low, high = (math.log(ratio) for ratio in _RATIOS)
    ratio = tf.exp(
        tf.random.stateless_uniform(
            [_TRIES], seeds[1], low, high, dtype=tf.float64
        )
    )
    area = share * tf.cast(tf.reduce_prod(image_size), tf.float64)
    sizes = tf.sqrt(tf.stack([area * ratio, area / ratio], axis=1))
    return tf.cast(tf.round(sizes), tf.int32)
