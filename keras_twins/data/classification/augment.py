"""The augmentation of one picture, from its file to its pixels."""

from keras_twins.data.classification.augmentation import ImageAugmentation
from keras_twins.data.classification.color_jitter import jitter
from keras_twins.data.classification.rand_augment import rand_augment
from keras_twins.data.classification.random_crop import random_resized_crop
from keras_twins.data.classification.random_erasing import erase
from keras_twins.ops import Tensor


def augment_image(
    image: Tensor, seed: Tensor, augmentation: ImageAugmentation
) -> Tensor:
    """Cuts out, resizes, mirrors, changes and erases at random.

    In the order of timm. Nothing is mixed with other pictures: `mix_batch`
    does that.

    Args:
        image: The content of a file as a scalar string: JPEG, of which only
            the wanted part is decoded, PNG or what else TensorFlow decodes.
            Or an image of shape `(height, width, 3)` with whole values in
            `[0, 255]`.
        seed: Two integers; the result follows from them and their dtype
            alone.
        augmentation: Sizes and rates.

    Returns:
        Image of shape `(size, size, 3)`, `float32`: whole values in
        `[0, 255]`, but for noise where something was erased.

    Example:

    ```python
    import tensorflow as tf

    from keras_twins.data.classification.augment import augment_image
    from keras_twins.data.classification.augmentation import ImageAugmentation

    image = tf.zeros((48, 64, 3))
    small = ImageAugmentation(size=32)
    augmented = augment_image(image, [0, 1], small)
    ```
    """
    import tensorflow as tf

    rules, size = augmentation, augmentation.size
    seeds = tf.unstack(tf.random.split(seed, 4))
    image = random_resized_crop(image, seeds[0], rules)
    image = tf.ensure_shape(image, [size, size, 3])
    image = random_flip(image, seeds[1], rules.flip_rate)
    if rules.rand_augment is not None:
        image = rand_augment(
            image, seeds[2], rules.rand_augment, rules.interpolation
        )
    elif rules.color_jitter > 0:
        image = jitter(image, seeds[2], rules.color_jitter)
    if rules.erasing_rate > 0:
        image = erase(image, seeds[3], rules.erasing_rate)
    return tf.ensure_shape(image, [size, size, 3])


def random_flip(image: Tensor, seed: Tensor, rate: float) -> Tensor:
    """Mirrors left and right, or not.

    Args:
        image: Image of shape `(height, width, 3)`.
        seed: Two numbers; the result follows from them alone.
        rate: Share of pictures that are mirrored.

    Returns:
        The image.
    """
    import tensorflow as tf

    mirrored = tf.random.stateless_uniform([], seed) < rate
    return tf.cond(mirrored, lambda: tf.reverse(image, [1]), lambda: image)
