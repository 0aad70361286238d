"""Random changes of brightness, contrast and saturation, as torchvision's.

In TensorFlow, with the pixels of Pillow. Images are `(height, width, 3)`,
`float32` with whole values in `[0, 255]`.
"""

import dataclasses

from keras_twins.data.classification.enhancement import brightness
from keras_twins.data.classification.enhancement import color
from keras_twins.data.classification.enhancement import contrast
from keras_twins.ops import Tensor


@dataclasses.dataclass(frozen=True)
class Jitter:
    """What happens to one picture.

    Args:
        factors: Factors of brightness, contrast and saturation, `(3,)`.
        order: In which order they are applied: a permutation of 0, 1 and 2.
    """

    factors: Tensor
    order: Tensor


def jitter(image: Tensor, seed: Tensor, strength: float) -> Tensor:
    """Changes brightness, contrast and saturation in a random order.

    Args:
        image: Image with whole values in `[0, 255]`.
        seed: Two numbers; the result follows from them alone.
        strength: Largest change as a share, at least 0.

    Returns:
        The image, with whole values in `[0, 255]`.
    """
    return apply_jitter(image, draw_jitter(seed, strength))


def draw_jitter(seed: Tensor, strength: float) -> Jitter:
    """Draws what happens to a picture.

    Args:
        seed: Two numbers; the result follows from them alone.
        strength: Largest change as a share, at least 0.

    Returns:
        Factors from `1 - strength`, but not below 0, to `1 + strength`, and
        their order; all orders are as probable.
    """
    import tensorflow as tf

    of_factors, of_order = tf.unstack(tf.random.split(seed, 2))
    low, high = max(0.0, 1.0 - strength), 1.0 + strength
    keys = tf.random.stateless_uniform([3], of_order)
    return Jitter(
        factors=tf.random.stateless_uniform([3], of_factors, low, high),
        order=tf.argsort(keys),
    )


def apply_jitter(image: Tensor, drawn: Jitter) -> Tensor:
    """Changes a picture as was drawn.

    Args:
        image: Image with whole values in `[0, 255]`.
        drawn: What happens.

    Returns:
        The image, with whole values in `[0, 255]`.
    """
    import tensorflow as tf

    for change in tf.unstack(drawn.order):
        image = _change(image, change, drawn.factors)
    return image


def _change(image: Tensor, change: Tensor, factors: Tensor) -> Tensor:
    import tensorflow as tf

    return tf.switch_case(
        change,
        [
            lambda: brightness(image, factors[0]),
            lambda: contrast(image, factors[1]),
            lambda: color(image, factors[2]),
        ],
    )
