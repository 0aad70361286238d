"""Rotations, shears and shifts, as Pillow does them.

In TensorFlow. Images are `(height, width, 3)`, `float32` with whole values in
`[0, 255]`, and keep their size. Values are cut to eight bits, not rounded.
"""

import math
from collections.abc import Sequence

from keras_twins.data.classification.interpolation import CURVES
from keras_twins.data.classification.interpolation import sample
from keras_twins.data.classification.resampling import choose
from keras_twins.ops import Tensor


def transform(
    image: Tensor,
    matrix: Sequence[Tensor | float],
    fill: Sequence[float],
    interpolation: str = "bicubic",
) -> Tensor:
    """Moves pixels along an affine map, as `Image.transform`.

    Args:
        image: Image with whole values in `[0, 255]`.
        matrix: `(a, b, c, d, e, f)`: what was at `(a x + b y + c,
            d x + e y + f)` comes to `(x, y)`, in pixels from the upper left
            corner.
        fill: Red, green and blue of what was outside.
        interpolation: `"bicubic"` or `"bilinear"`.

    Returns:
        The image, with whole values in `[0, 255]`.

    Raises:
        ValueError: If `interpolation` is unknown.
    """
    import tensorflow as tf

    curve = choose(interpolation, CURVES)
    a, b, c, d, e, f = (_double(number) for number in matrix)
    height, width = tf.unstack(tf.shape(image)[:2])
    x, y = _centers(width)[None], _centers(height)[:, None]
    # Flat in between: graphs would change the order of the sums.
    places = (
        tf.reshape(a * x + b * y, [-1]) + c,
        tf.reshape(d * x + e * y, [-1]) + f,
    )
    return _finish(*sample(image, *places, curve), image, fill)


def rotate(
    image: Tensor,
    degrees: Tensor | float,
    fill: Sequence[float],
    interpolation: str = "bicubic",
) -> Tensor:
    """Turns an image around its centre, as `Image.rotate`.

    Args:
        image: Image with whole values in `[0, 255]`.
        degrees: Angle, counter-clockwise.
        fill: Red, green and blue of what was outside.
        interpolation: `"bicubic"` or `"bilinear"`.

    Returns:
        The image, with whole values in `[0, 255]`.

    Raises:
        ValueError: If `interpolation` is unknown.
    """
    import tensorflow as tf

    angle = -(_double(degrees) % 360) * (math.pi / 180)
    cos, sin = _rounded(tf.cos(angle)), _rounded(tf.sin(angle))
    height, width = tf.unstack(tf.cast(tf.shape(image)[:2], tf.float64))
    x, y = width / 2, height / 2
    across, down = cos * -x + sin * -y + x, -sin * -x + cos * -y + y
    matrix = (cos, sin, across, -sin, cos, down)
    return transform(image, matrix, fill, interpolation)


def shear_x(
    image: Tensor,
    factor: Tensor | float,
    fill: Sequence[float],
    interpolation: str = "bicubic",
) -> Tensor:
    """Moves each row to the left, by its distance from the top.

    Args:
        image: Image with whole values in `[0, 255]`.
        factor: Pixels to the left for each pixel down.
        fill: Red, green and blue of what was outside.
        interpolation: `"bicubic"` or `"bilinear"`.

    Returns:
        The image, with whole values in `[0, 255]`.

    Raises:
        ValueError: If `interpolation` is unknown.
    """
    import tensorflow as tf

    rows = _centers(tf.shape(image)[0])
    return _slide(image, _double(factor) * rows, fill, interpolation)


def shear_y(
    image: Tensor,
    factor: Tensor | float,
    fill: Sequence[float],
    interpolation: str = "bicubic",
) -> Tensor:
    """Moves each column up, by its distance from the left.

    Args:
        image: Image with whole values in `[0, 255]`.
        factor: Pixels up for each pixel to the right.
        fill: Red, green and blue of what was outside.
        interpolation: `"bicubic"` or `"bilinear"`.

    Returns:
        The image, with whole values in `[0, 255]`.

    Raises:
        ValueError: If `interpolation` is unknown.
    """
    return _turned(shear_x(_turned(image), factor, fill, interpolation))


def translate_x(
    image: Tensor,
    pixels: Tensor | float,
    fill: Sequence[float],
    interpolation: str = "bicubic",
) -> Tensor:
    """Moves an image to the left.

    Args:
        image: Image with whole values in `[0, 255]`.
        pixels: How far.
        fill: Red, green and blue of what was outside.
        interpolation: `"bicubic"` or `"bilinear"`.

    Returns:
        The image, with whole values in `[0, 255]`.

    Raises:
        ValueError: If `interpolation` is unknown.
    """
    import tensorflow as tf

    rows = tf.fill([tf.shape(image)[0]], _double(pixels))
    return _slide(image, rows, fill, interpolation)


def translate_y(
    image: Tensor,
    pixels: Tensor | float,
    fill: Sequence[float],
    interpolation: str = "bicubic",
) -> Tensor:
    """Moves an image up.

    Args:
        image: Image with whole values in `[0, 255]`.
        pixels: How far.
        fill: Red, green and blue of what was outside.
        interpolation: `"bicubic"` or `"bilinear"`.

    Returns:
        The image, with whole values in `[0, 255]`.

    Raises:
        ValueError: If `interpolation` is unknown.
    """
    return _turned(translate_x(_turned(image), pixels, fill, interpolation))


def _slide(
    image: Tensor,
    shifts: Tensor,
    fill: Sequence[float],
    interpolation: str,
) -> Tensor:
    """Moves each row to the left by its own number of pixels."""
    import tensorflow as tf

    curve = choose(interpolation, CURVES)
    places = _centers(tf.shape(image)[1])[None] + shifts[:, None]
    places = tf.reshape(places, [-1])
    return _finish(*sample(image, places, None, curve), image, fill)


def _finish(
    values: Tensor, inside: Tensor, image: Tensor, fill: Sequence[float]
) -> Tensor:
    """Returns an image of eight bits, filled where it was not inside."""
    import tensorflow as tf

    pixels = tf.floor(tf.clip_by_value(values[:, :3], 0, 255))
    pixels = tf.cast(pixels, image.dtype)
    color = tf.cast(fill, image.dtype)
    filled = tf.where(inside[:, None], pixels, color)
    return tf.ensure_shape(tf.reshape(filled, tf.shape(image)), image.shape)


def _centers(size: Tensor) -> Tensor:
    import tensorflow as tf

    return tf.cast(tf.range(size), tf.float64) + 0.5


def _turned(image: Tensor) -> Tensor:
    import tensorflow as tf

    return tf.transpose(image, [1, 0, 2])


def _double(number: Tensor | float) -> Tensor:
    import tensorflow as tf

    if tf.is_tensor(number):
        return tf.cast(number, tf.float64)
    # A cast alone would go through float32.
    return tf.constant(number, tf.float64)


def _rounded(number: Tensor) -> Tensor:
    """Rounds to 15 digits behind the point: a right angle is one exactly."""
    import tensorflow as tf

    return tf.round(number * 1e15) / 1e15
