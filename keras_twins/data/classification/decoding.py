"""From the content of a file to pixels, as Pillow and the references do."""

from keras_twins.ops import Tensor


def decode_image(content: Tensor) -> Tensor:
    """Decodes a file, whatever its name says it is.

    JPEG files of red, green and blue become exactly what Pillow makes of
    them; those of four inks differ by rounding. Transparency is dropped, and
    the orientation that a camera has noted is left alone, as by torchvision's
    `ImageFolder`, which the published evaluations read with.

    Args:
        content: Content of a JPEG, PNG, BMP, GIF (its first picture) or WebP
            file, a scalar string.

    Returns:
        Image of shape `(height, width, 3)`, `uint8`.
    """
    import tensorflow as tf

    def jpeg() -> Tensor:
        return tf.io.decode_jpeg(
            content, channels=3, dct_method="INTEGER_ACCURATE"
        )

    def another() -> Tensor:
        return tf.io.decode_image(content, 3, expand_animations=False)

    # Some files of ImageNet are not what their names say.
    pixels = tf.cond(tf.io.is_jpeg(content), jpeg, another)
    return tf.ensure_shape(pixels, (None, None, 3))
