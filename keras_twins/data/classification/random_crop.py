"""A random part of a picture, resized: as torchvision's `RandomResizedCrop`.

In TensorFlow. Only the part of a JPEG file that is wanted is decoded.
"""

from keras_twins.data.classification.augmentation import ImageAugmentation
from keras_twins.data.classification.decoding import decode_image
from keras_twins.data.classification.resampling import resize
from keras_twins.ops import Tensor

_TRIES = 10

_MARGIN = 8
"""Columns that are decoded beyond a part.

The decoder smooths colours over neighbouring columns, but not at the edge of
what it decodes, nor where that is narrow.
"""


def random_resized_crop(
    image: Tensor, seed: Tensor, augmentation: ImageAugmentation
) -> Tensor:
    """Cuts out a random part and resizes it.

    Args:
        image: Image of shape `(height, width, 3)` with whole values in
            `[0, 255]`, or the content of a file as a scalar string: JPEG, PNG
            or what else TensorFlow decodes.
        seed: Two numbers; the result follows from them alone.
        augmentation: Sizes and rates.

    Returns:
        Image of shape `(size, size, 3)`, `float32` with whole values in
        `[0, 255]`.
    """
    import tensorflow as tf

    part = _random_part(image, seed, augmentation)
    size = augmentation.size
    part = tf.cast(part, tf.float32)
    return resize(part, size, size, augmentation.interpolation)


def draw_part(
    image_size: Tensor, seed: Tensor, augmentation: ImageAugmentation
) -> Tensor:
    """Draws a part of a picture.

    Its area and the logarithm of its ratio are uniform. Ten parts are drawn,
    and the first that fits into the picture is taken; where none does, the
    largest one in the centre whose ratio is in the range.

    Args:
        image_size: Height and width of the picture.
        seed: Two numbers; the result follows from them alone.
        augmentation: Sizes and rates.

    Returns:
        Top, left, height and width in pixels, `(4,)`, `int32`.
    """
    import tensorflow as tf

    seeds = tf.unstack(tf.random.split(seed, 4))
    image_size = tf.cast(image_size, tf.int32)
    sizes = _draw_sizes(image_size, seeds[:2], augmentation)
    fits = tf.reduce_all((sizes > 0) & (sizes <= image_size), axis=1)
    first = sizes[tf.argmax(tf.cast(fits, tf.int32))]
    room = image_size - first

    def corner(axis: int) -> Tensor:
        # No draw is used where nothing fits; it still needs a range.
        least = tf.maximum(room[axis], 0) + 1
        return tf.random.stateless_uniform(
            [], seeds[2 + axis], 0, least, tf.int32
        )

    drawn = tf.concat([tf.stack([corner(0), corner(1)]), first], axis=0)
    fallback = central_part(image_size, augmentation.ratio)
    return tf.where(tf.reduce_any(fits), drawn, fallback)


def central_part(image_size: Tensor, ratio: tuple[float, float]) -> Tensor:
    """Returns the largest part in the centre whose ratio is in a range.

    Args:
        image_size: Height and width of the picture.
        ratio: Smallest and largest width over height.

    Returns:
        Top, left, height and width in pixels, `(4,)`, `int32`.
    """
    import tensorflow as tf

    height, width = tf.unstack(tf.cast(image_size, tf.float64))
    size = tf.stack(
        [
            tf.minimum(height, tf.round(width / ratio[0])),
            tf.minimum(width, tf.round(height * ratio[1])),
        ]
    )
    # A line of pixels is as narrow as it gets.
    part = tf.maximum(tf.cast(size, tf.int32), 1)
    return tf.concat([(tf.cast(image_size, tf.int32) - part) // 2, part], 0)


def decode_part(content: Tensor, part: Tensor) -> Tensor:
    """Decodes a part of a JPEG file.

    Args:
        content: The content of the file, a scalar string.
        part: Top, left, height and width in pixels.

    Returns:
        Image of shape `(height, width, 3)`, `uint8`, as Pillow decodes it.
    """
    import tensorflow as tf

    top, left, height, width = tf.unstack(part)
    before = tf.minimum(left, _MARGIN)
    room = tf.image.extract_jpeg_shape(content)[1] - left
    after = tf.minimum(room, width + _MARGIN)
    window = [top, left - before, height, before + after]
    pixels = tf.image.decode_and_crop_jpeg(
        content, window, channels=3, dct_method="INTEGER_ACCURATE"
    )
    return pixels[:, before : before + width]


def _random_part(
    image: Tensor, seed: Tensor, augmentation: ImageAugmentation
) -> Tensor:
    import tensorflow as tf

    def of_pixels(pixels: Tensor) -> Tensor:
        part = draw_part(tf.shape(pixels)[:2], seed, augmentation)
        top, left, height, width = tf.unstack(part)
        return pixels[top : top + height, left : left + width]

    def of_jpeg() -> Tensor:
        size = tf.image.extract_jpeg_shape(image)[:2]
        return decode_part(image, draw_part(size, seed, augmentation))

    image = tf.convert_to_tensor(image)
    if image.dtype != tf.string:
        return of_pixels(image)
    return tf.cond(
        tf.io.is_jpeg(image), of_jpeg, lambda: of_pixels(decode_image(image))
    )


def _draw_sizes(
    image_size: Tensor, seeds: list[Tensor], augmentation: ImageAugmentation
) -> Tensor:
    """Returns heights and widths, `(tries, 2)`, `int32`."""
    import tensorflow as tf

    share = tf.random.stateless_uniform(
        [_TRIES], seeds[0], *augmentation.scale, dtype=tf.float64
    )
    low, high = tf.unstack(
        tf.math.log(tf.constant(augmentation.ratio, tf.float64))
    )
    ratio = tf.exp(
        tf.random.stateless_uniform(
            [_TRIES], seeds[1], low, high, dtype=tf.float64
        )
    )
    area = share * tf.cast(tf.reduce_prod(image_size), tf.float64)
    sizes = tf.sqrt(tf.stack([area / ratio, area * ratio], axis=1))
    return tf.cast(tf.round(sizes), tf.int32)
