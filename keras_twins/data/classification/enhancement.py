"""Changes of colour and sharpness, pixel for pixel those of Pillow.

In TensorFlow. Images are `(height, width, 3)`, `float32` with whole values in
`[0, 255]`, and so are the results: where Pillow cuts to eight bits, values
are cut here.
"""

from keras_twins.ops import Tensor

_LEVELS = 256
_GREY = (19595, 38470, 7471)
"""Shares of red, green and blue in grey, of 65536."""


def auto_contrast(image: Tensor) -> Tensor:
    """Stretches each channel to the whole range, as `ImageOps.autocontrast`.

    Args:
        image: Image with whole values in `[0, 255]`.

    Returns:
        The image, with whole values in `[0, 255]`; a channel of one value
        stays.
    """
    import tensorflow as tf

    # Truncation shows the last bit of what comes before it.
    values = tf.cast(image, tf.float64)
    pixels = tf.reshape(values, [-1, 3])
    low, high = tf.reduce_min(pixels, 0), tf.reduce_max(pixels, 0)
    scale = tf.math.divide_no_nan(tf.constant(255, tf.float64), high - low)
    stretched = tf.floor(values * scale - low * scale)
    result = tf.where(high > low, tf.clip_by_value(stretched, 0, 255), values)
    return tf.cast(result, image.dtype)


def equalize(image: Tensor) -> Tensor:
    """Evens out the histogram of each channel, as `ImageOps.equalize`.

    Args:
        image: Image with whole values in `[0, 255]`.

    Returns:
        The image, with whole values in `[0, 255]`.
    """
    import tensorflow as tf

    # Of each channel, the levels stand behind those of the one before.
    levels = tf.cast(image, tf.int32) + [0, _LEVELS, 2 * _LEVELS]
    counts = tf.raw_ops.Bincount(
        arr=tf.reshape(levels, [-1]),
        size=3 * _LEVELS,
        weights=tf.zeros([0], tf.int32),
    )
    table = _equalizing(tf.reshape(counts, [3, _LEVELS]))
    return tf.cast(tf.gather(tf.reshape(table, [-1]), levels), image.dtype)


def invert(image: Tensor) -> Tensor:
    """Turns light into dark, as `ImageOps.invert`.

    Args:
        image: Image with whole values in `[0, 255]`.

    Returns:
        The image, with whole values in `[0, 255]`.
    """
    return 255 - image


def posterize(image: Tensor, bits: Tensor | int) -> Tensor:
    """Keeps the leading bits, as `ImageOps.posterize`.

    Args:
        image: Image with whole values in `[0, 255]`.
        bits: How many of the 8 bits are kept; with none the image is black.

    Returns:
        The image, with whole values in `[0, 255]`.
    """
    import tensorflow as tf

    lost = tf.maximum(8 - tf.cast(bits, tf.int32), 0)
    step = tf.cast(tf.bitwise.left_shift(1, lost), image.dtype)
    return tf.floor(image / step) * step


def solarize(image: Tensor, threshold: Tensor | int) -> Tensor:
    """Inverts what is not below a threshold, as `ImageOps.solarize`.

    Args:
        image: Image with whole values in `[0, 255]`.
        threshold: The lowest value that is inverted.

    Returns:
        The image, with whole values in `[0, 255]`.
    """
    import tensorflow as tf

    return tf.where(image < tf.cast(threshold, image.dtype), image, 255 - image)


def solarize_add(
    image: Tensor, addend: Tensor | int, threshold: int = 128
) -> Tensor:
    """Brightens what is below a threshold.

    Args:
        image: Image with whole values in `[0, 255]`.
        addend: Whole number that is added.
        threshold: The lowest value that stays.

    Returns:
        The image, with whole values in `[0, 255]`.
    """
    import tensorflow as tf

    lighter = tf.clip_by_value(image + tf.cast(addend, image.dtype), 0, 255)
    return tf.where(image < threshold, lighter, image)


def color(image: Tensor, factor: Tensor | float) -> Tensor:
    """Changes the saturation, as `ImageEnhance.Color`.

    Args:
        image: Image with whole values in `[0, 255]`.
        factor: 0 gives grey, 1 the image itself.

    Returns:
        The image, with whole values in `[0, 255]`.
    """
    return blend(grey(image)[..., None], image, factor)


def contrast(image: Tensor, factor: Tensor | float) -> Tensor:
    """Changes the distance from mean grey, as `ImageEnhance.Contrast`.

    Args:
        image: Image with whole values in `[0, 255]`.
        factor: 0 gives a plain grey, 1 the image itself.

    Returns:
        The image, with whole values in `[0, 255]`.
    """
    import tensorflow as tf

    mean = tf.reduce_mean(tf.cast(grey(image), tf.float64))
    return blend(tf.cast(tf.floor(mean + 0.5), image.dtype), image, factor)


def brightness(image: Tensor, factor: Tensor | float) -> Tensor:
    """Multiplies the pixels, as `ImageEnhance.Brightness`.

    Args:
        image: Image with whole values in `[0, 255]`.
        factor: 0 gives black, 1 the image itself.

    Returns:
        The image, with whole values in `[0, 255]`.
    """
    return blend(0.0, image, factor)


def sharpness(image: Tensor, factor: Tensor | float) -> Tensor:
    """Sharpens or smooths, as `ImageEnhance.Sharpness`.

    Args:
        image: Image with whole values in `[0, 255]`.
        factor: 0 gives a smoothed image, 1 the image itself, 2 a sharper
            one.

    Returns:
        The image, with whole values in `[0, 255]`. Its outermost pixels stay.
    """
    return blend(_smooth(image), image, factor)


def grey(image: Tensor) -> Tensor:
    """Returns the luma in eight bits, as Pillow's conversion to `"L"`.

    Args:
        image: Image with whole values in `[0, 255]`.

    Returns:
        Map of shape `(height, width)`, whole values in `[0, 255]`.
    """
    import tensorflow as tf

    # The sums are below 2**24: exact in float32.
    red, green, blue = (
        share * channel
        for share, channel in zip(
            _GREY, tf.unstack(image, axis=-1), strict=True
        )
    )
    return tf.floor((red + green + blue + 32768) / 65536)


def blend(
    first: Tensor | float, second: Tensor, factor: Tensor | float
) -> Tensor:
    """Mixes two images or goes beyond the second one, as `Image.blend`.

    Args:
        first: The image at factor 0; anything that fits the shape of
            `second`.
        second: The image at factor 1.
        factor: Share of `second`, of any size.

    Returns:
        Image with whole values in `[0, 255]`, rounded down.
    """
    import tensorflow as tf

    mixed = first + tf.cast(factor, second.dtype) * (second - first)
    return tf.floor(tf.clip_by_value(mixed, 0, 255))


def _equalizing(counts: Tensor) -> Tensor:
    """Returns new levels for 256 old ones by how often these are there."""
    import tensorflow as tf

    below = tf.cumsum(counts, axis=-1, exclusive=True)
    # All pixels but those of the lightest level.
    darker = tf.reduce_max(tf.where(counts > 0, below, 0), -1, keepdims=True)
    step = darker // (_LEVELS - 1)
    new = (step // 2 + below) // tf.maximum(step, 1)
    return tf.where(step > 0, tf.minimum(new, 255), tf.range(_LEVELS))


def _smooth(image: Tensor) -> Tensor:
    """Averages 3 x 3 pixels, the central one 5 times; leaves the border."""
    import tensorflow as tf

    padded = tf.pad(image, [[1, 1], [1, 1], [0, 0]])
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    box = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    smooth = tf.floor((box + 4 * image) / 13 + 0.5)
    size = tf.shape(image)[:2]
    row, column = tf.range(size[0])[:, None], tf.range(size[1])[None]
    inside = (row > 0) & (row < size[0] - 1)
    inside &= (column > 0) & (column < size[1] - 1)
    return tf.where(inside[..., None], smooth, image)
