"""Random changes of brightness, contrast, saturation and hue.

In TensorFlow, with the rules of mmsegmentation: eight bits after every step,
and OpenCV's range of the hue, 0 to 179. Images are `(height, width, 3)`,
`float32` with whole values in `[0, 255]`.
"""

import dataclasses
from collections.abc import Callable

from keras_twins.data.segmentation_augmentation import SegmentationAugmentation
from keras_twins.ops import Tensor

_HUES = 180


@dataclasses.dataclass(frozen=True)
class Distortion:
    """What happens to one picture: scalars of TensorFlow.

    Args:
        brightens: Whether the brightness changes.
        shift: What is added to the pixels, of 255.
        contrasts: Whether the contrast changes.
        contrast: Factor of the pixels.
        contrast_first: Whether the contrast changes before saturation and
            hue, not after them.
        saturates: Whether the saturation changes.
        saturation: Factor of the saturation.
        colours: Whether the hue changes.
        turn: What is added to the hue, of 180.
    """

    brightens: Tensor
    shift: Tensor
    contrasts: Tensor
    contrast: Tensor
    contrast_first: Tensor
    saturates: Tensor
    saturation: Tensor
    colours: Tensor
    turn: Tensor


def distort(
    image: Tensor,
    seed: Tensor,
    augmentation: SegmentationAugmentation,
) -> Tensor:
    """Changes brightness, contrast, saturation and hue, each one or not.

    Contrast comes before or after saturation and hue, with even chances.

    Args:
        image: Image with whole values in `[0, 255]`.
        seed: Two numbers; the result follows from them alone.
        augmentation: Sizes and rates.

    Returns:
        The image, with whole values in `[0, 255]`.
    """
    return apply_distortion(image, draw_distortion(seed, augmentation))


def draw_distortion(
    seed: Tensor, augmentation: SegmentationAugmentation
) -> Distortion:
    """Draws what happens to a picture.

    Args:
        seed: Two numbers; the result follows from them alone.
        augmentation: Sizes and rates.

    Returns:
        What was drawn, whether it is wanted or not.
    """
    import tensorflow as tf

    rules = augmentation
    seeds = tf.unstack(tf.random.split(seed, 9))
    chances = [tf.random.stateless_uniform([], one) for one in seeds[:5]]
    brightens, contrasts, saturates, colours = (
        chance < rules.distortion_rate for chance in chances[:4]
    )
    reach = rules.hue_delta
    return Distortion(
        brightens=brightens,
        shift=_between(
            -rules.brightness_delta, rules.brightness_delta, seeds[5]
        ),
        contrasts=contrasts,
        contrast=_between(*rules.contrast_range, seeds[6]),
        contrast_first=chances[4] < 0.5,
        saturates=saturates,
        saturation=_between(*rules.saturation_range, seeds[7]),
        colours=colours,
        # The upper end is not drawn, as in the recipe.
        turn=tf.floor(_between(-reach, reach, seeds[8])),
    )


def apply_distortion(image: Tensor, distortion: Distortion) -> Tensor:
    """Changes a picture as was drawn.

    Args:
        image: Image with whole values in `[0, 255]`.
        distortion: What happens.

    Returns:
        The image, with whole values in `[0, 255]`.
    """
    import tensorflow as tf

    drawn = distortion

    def change_contrast(image: Tensor) -> Tensor:
        return scale_and_shift(image, drawn.contrast, 0.0)

    late = tf.logical_not(drawn.contrast_first)
    for wanted, change in (
        (
            drawn.brightens,
            lambda image: scale_and_shift(image, 1.0, drawn.shift),
        ),
        (drawn.contrasts & drawn.contrast_first, change_contrast),
        (
            drawn.saturates,
            lambda image: change_saturation(image, drawn.saturation),
        ),
        (drawn.colours, lambda image: change_hue(image, drawn.turn)),
        (drawn.contrasts & late, change_contrast),
    ):
        image = _if(wanted, change, image)
    return image


def scale_and_shift(
    image: Tensor, scale: Tensor | float, shift: Tensor | float
) -> Tensor:
    """Returns `image * scale + shift`, cut to eight bits.

    Args:
        image: Values in `[0, 255]`, of any shape.
        scale: Factor.
        shift: Summand.

    Returns:
        Whole values in `[0, 255]`, rounded down.
    """
    import tensorflow as tf

    return tf.floor(tf.clip_by_value(image * scale + shift, 0, 255))


def change_saturation(image: Tensor, factor: Tensor | float) -> Tensor:
    """Multiplies the saturation.

    Args:
        image: Image with whole values in `[0, 255]`.
        factor: Factor.

    Returns:
        The image, with whole values in `[0, 255]`.
    """
    hue, saturation, value = rgb_to_hsv(image)
    return hsv_to_rgb(hue, scale_and_shift(saturation, factor, 0.0), value)


def change_hue(image: Tensor, turn: Tensor | int) -> Tensor:
    """Turns the hue.

    Args:
        image: Image with whole values in `[0, 255]`.
        turn: What to add to the hue, of 180.

    Returns:
        The image, with whole values in `[0, 255]`.
    """
    hue, saturation, value = rgb_to_hsv(image)
    return hsv_to_rgb((hue + turn) % _HUES, saturation, value)


def rgb_to_hsv(
    image: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns hue, saturation and value in eight bits.

    Args:
        image: Image with whole values in `[0, 255]`.

    Returns:
        Three maps `(height, width)` with whole values: hue in `[0, 179]`,
        saturation and value in `[0, 255]`.
    """
    import tensorflow as tf

    hue, saturation, value = tf.unstack(
        tf.image.rgb_to_hsv(image / 255), axis=-1
    )
    hue = tf.round(hue * _HUES) % _HUES
    return hue, tf.round(saturation * 255), tf.round(value * 255)


def hsv_to_rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Returns the image; the inverse of `rgb_to_hsv` but for rounding.

    Args:
        hue: Hue in `[0, 180)`, `(height, width)`.
        saturation: Saturation in `[0, 255]`, `(height, width)`.
        value: Value in `[0, 255]`, `(height, width)`.

    Returns:
        Image of shape `(height, width, 3)`, whole values in `[0, 255]`.
    """
    import tensorflow as tf

    parts = [hue / _HUES, saturation / 255, value / 255]
    return tf.round(tf.image.hsv_to_rgb(tf.stack(parts, axis=-1)) * 255)


def _between(low: float, high: float, seed: Tensor) -> Tensor:
    import tensorflow as tf

    return tf.random.stateless_uniform([], seed, low, high)


def _if(
    wanted: Tensor,
    change: Callable[[Tensor], Tensor],
    image: Tensor,
) -> Tensor:
    import tensorflow as tf

    return tf.cond(wanted, lambda: change(image), lambda: image)
