"""Values between pixels, as Pillow's `Image.transform` computes them.

In TensorFlow. Unlike in resizing, nothing is smoothed, and the bicubic curve
is steeper.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence

from keras_twins.ops import Tensor


@dataclasses.dataclass(frozen=True)
class Curve:
    """How values between pixels follow from these.

    Args:
        polynomial: From the values of neighbours to the coefficients of a
            polynomial, the constant one first: it goes from the one of the
            two in the middle at 0 to the other at 1.
        taps: How many neighbours.
        packed: Type of as many bytes as the neighbours have, at 4 a pixel.
        dtype: In which polynomials in two directions are evaluated.
    """

    polynomial: Callable[[Sequence[Tensor]], list[Tensor]]
    taps: int
    packed: str
    dtype: str


def sample(
    image: Tensor, x: Tensor, y: Tensor | None, curve: Curve
) -> tuple[Tensor, Tensor]:
    """Returns the values at places of an image.

    Args:
        image: Image of shape `(height, width, 3)`, whole values in
            `[0, 255]`.
        x: How far the places are from the left border, in pixels,
            `(places,)`, `float64`.
        y: How far they are from the upper one; or `None`: there is one for
            each pixel, in the middle of its row, which takes half the time.
        curve: What there is between pixels.

    Returns:
        tuple: Values of shape `(places, 4)`, not cut to eight bits, the last
        of each four without meaning; and whether the places are in the image,
        `(places,)`.
    """
    import tensorflow as tf

    height, width = tf.unstack(tf.shape(image)[:2])
    column, right, inside = _cells(x, width)
    packed = _pad(_pack(image), 1, curve.taps)
    if y is None:
        rows = tf.repeat(tf.range(height), width)[None]
        pixels = _windows(packed, rows, column, curve)
        return _between(pixels, right, curve, "float64")[0], inside
    row, below, down = _cells(y, height)
    # One row for each tap.
    rows = row[None] + tf.range(curve.taps)[:, None]
    packed = _pad(packed, 0, curve.taps)
    pixels = _windows(packed, rows, column, curve)
    rows = tf.unstack(_between(pixels, right, curve, curve.dtype))
    return _between(rows, below, curve, curve.dtype), inside & down


def _cells(places: Tensor, size: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns between which pixels places lie, from 0 before the first one.

    Args:
        places: How far from the border, in pixels.
        size: How many pixels there are.

    Returns:
        tuple: The cells; the way through them, from 0 to 1; and whether the
        places are in the image.
    """
    import tensorflow as tf

    inside = (places >= 0) & (places < tf.cast(size, places.dtype))
    places = tf.where(inside, places, 0.5) - 0.5
    pixels = tf.floor(places)
    return tf.cast(pixels, tf.int32) + 1, places - pixels, inside


def _pack(image: Tensor) -> Tensor:
    """Returns the image with the bytes of a pixel in one number."""
    import tensorflow as tf

    pixels = tf.cast(image, tf.uint8)
    return tf.bitcast(tf.pad(pixels, [[0, 0], [0, 0], [0, 1]]), tf.int32)


def _pad(packed: Tensor, axis: int, taps: int) -> Tensor:
    """Lets the outermost pixels go on outside, as far as taps reach."""
    import tensorflow as tf

    edge = [[1, 1], [0, 0]] if axis == 0 else [[0, 0], [1, 1]]
    for _ in range(taps // 2):
        packed = tf.pad(packed, edge, "SYMMETRIC")
    return packed


def _windows(
    packed: Tensor, rows: Tensor, columns: Tensor, curve: Curve
) -> list[Tensor]:
    """Returns successive pixels of rows.

    Neighbours are read as one number, of as many bytes as they all have: one
    look-up instead of 12.

    Args:
        packed: Pixels, padded.
        rows: In which rows, `(rows, places)`.
        columns: At which columns windows begin, `(places,)`.
        curve: How many pixels a window has.

    Returns:
        For each place in the window, `(rows, places, 4)`, `uint8`.
    """
    import tensorflow as tf

    taps = curve.taps
    places = rows * tf.shape(packed)[1] + columns
    count = tf.size(packed) // taps
    line = tf.pad(tf.reshape(packed, [-1]), [[0, 2 * taps]])
    # Windows that overlap: those that begin at each of `taps` pixels.
    tables = [line[i : i + taps * (count + 1)] for i in range(taps)]
    table = tf.bitcast(
        tf.reshape(tf.concat(tables, 0), [-1, taps]), curve.packed
    )
    found = tf.gather(table, places % taps * (count + 1) + places // taps)
    pixels = tf.transpose(tf.bitcast(found, tf.int32), [2, 0, 1])
    return tf.unstack(tf.bitcast(pixels, tf.uint8))


def _between(
    neighbours: Sequence[Tensor], share: Tensor, curve: Curve, dtype: str
) -> Tensor:
    """Returns values on the way through the middle of neighbours."""
    import tensorflow as tf

    numbers = [tf.cast(one, dtype) for one in neighbours]
    *others, value = curve.polynomial(numbers)
    # The same number four times is quicker than a broadcast.
    share = tf.cast(tf.repeat(share[..., None], 4, axis=-1), dtype)
    for coefficient in reversed(others):
        value = value * share + coefficient
    return value


def _cubic(neighbours: Sequence[Tensor]) -> list[Tensor]:
    """Pillow's curve, of Keys with a slope of -1; whole numbers stay whole."""
    first, second, third, fourth = neighbours
    step = first - second
    last = third - fourth
    return [second, third - first, 2 * step + last, -step - last]


def _linear(neighbours: Sequence[Tensor]) -> list[Tensor]:
    first, second = neighbours
    return [first, second - first]


CURVES = {
    # In float32, one level of some 20000 is off by one; float64 takes two
    # thirds longer.
    "bicubic": Curve(_cubic, 4, "complex128", "float32"),
    "bilinear": Curve(_linear, 2, "int64", "float64"),
}
"""What there is, by name."""
