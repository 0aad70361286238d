"""RandAugment: operations drawn from 15, each at a random magnitude.

In TensorFlow, with the rules of timm for `rand-m9-mstd0.5-inc1` and the pixels
of Pillow. Images are `(height, width, 3)`, `float32` with whole values in
`[0, 255]`.
"""

import dataclasses
import functools
from collections.abc import Callable

from keras_twins.data.classification import affine
from keras_twins.data.classification import enhancement
from keras_twins.data.classification.augmentation import RandAugment
from keras_twins.ops import Tensor

_FILL = (124, 116, 104)
"""What comes in from outside: the mean colour of ImageNet, rounded."""

_HIGHEST = 10


@dataclasses.dataclass(frozen=True)
class Operation:
    """One of the operations.

    Args:
        name: Its name in timm.
        change: From the image and, where there is an `argument`, that, to the
            image. Where it moves pixels, the colour of what comes in and the
            interpolation follow.
        argument: From the magnitude, as a share of the highest one, and a
            sign, to what `change` takes; both are `float64`.
        moves: Whether it moves pixels.
    """

    name: str
    change: Callable[..., Tensor]
    argument: Callable[[Tensor, Tensor], Tensor] | None = None
    moves: bool = False


@dataclasses.dataclass(frozen=True)
class Layers:
    """What happens to one picture, operation after operation.

    Args:
        operations: Indices into `OPERATIONS`, `(layers,)`, `int32`.
        applied: Whether each is carried out, `(layers,)`.
        magnitudes: From 0 to 10, `(layers,)`, `float64`.
        signs: 1 or -1, `(layers,)`, `float64`.
    """

    operations: Tensor
    applied: Tensor
    magnitudes: Tensor
    signs: Tensor


def rand_augment(
    image: Tensor,
    seed: Tensor,
    rules: RandAugment,
    interpolation: str = "bicubic",
) -> Tensor:
    """Changes a picture by random operations.

    Args:
        image: Image with whole values in `[0, 255]`.
        seed: Two numbers; the result follows from them alone.
        rules: How many operations, and how much.
        interpolation: `"bicubic"` or `"bilinear"`, where pixels move.

    Returns:
        The image, with whole values in `[0, 255]`.
    """
    return apply_layers(image, draw_layers(seed, rules), interpolation)


def draw_layers(seed: Tensor, rules: RandAugment) -> Layers:
    """Draws what happens to a picture.

    Args:
        seed: Two numbers; the result follows from them alone.
        rules: How many operations, and how much.

    Returns:
        What was drawn, whether it is wanted or not.
    """
    import tensorflow as tf

    seeds = tf.unstack(tf.random.split(seed, 4))
    shape = [rules.layers]
    magnitudes = tf.random.stateless_normal(
        shape, seeds[2], rules.magnitude, rules.deviation, tf.float64
    )
    negative = tf.random.stateless_uniform(shape, seeds[3]) < 0.5
    return Layers(
        operations=tf.random.stateless_uniform(
            shape, seeds[0], 0, len(OPERATIONS), tf.int32
        ),
        applied=tf.random.stateless_uniform(shape, seeds[1]) < rules.rate,
        magnitudes=tf.clip_by_value(magnitudes, 0, _HIGHEST),
        signs=1 - 2 * tf.cast(negative, tf.float64),
    )


def apply_layers(
    image: Tensor, drawn: Layers, interpolation: str = "bicubic"
) -> Tensor:
    """Changes a picture as was drawn.

    Args:
        image: Image with whole values in `[0, 255]`.
        drawn: What happens.
        interpolation: `"bicubic"` or `"bilinear"`, where pixels move.

    Returns:
        The image, with whole values in `[0, 255]`.
    """
    import tensorflow as tf

    # One more operation: none. Only the branch that is chosen is computed.
    none = len(OPERATIONS)
    branches = tf.where(drawn.applied, drawn.operations, none)

    def change(layer: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        level = (drawn.magnitudes[layer] / _HIGHEST, drawn.signs[layer])
        changes = [
            functools.partial(_change, one, image, level, interpolation)
            for one in OPERATIONS
        ]
        unchanged = functools.partial(tf.identity, image)
        branch = branches[layer]
        return layer + 1, tf.switch_case(branch, [*changes, unchanged])

    # A loop of TensorFlow is built once for all layers.
    layers = tf.size(branches)
    _, image = tf.while_loop(
        lambda layer, _: layer < layers, change, (tf.constant(0), image)
    )
    return image


def _change(
    operation: Operation,
    image: Tensor,
    level: tuple[Tensor, Tensor],
    interpolation: str,
) -> Tensor:
    import tensorflow as tf

    arguments = []
    if operation.argument is not None:
        arguments.append(operation.argument(*level))
    if operation.moves:
        arguments += [_FILL, interpolation]
    changed = operation.change(image, *arguments)
    return tf.ensure_shape(changed, image.shape)


def _signed(most: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda share, sign: sign * (share * most)


def _factor(share: Tensor, sign: Tensor) -> Tensor:
    import tensorflow as tf

    return tf.maximum(1 + sign * (share * 0.9), 0.1)


def _whole(share: Tensor, most: int) -> Tensor:
    import tensorflow as tf

    return tf.cast(share * most, tf.int32)


def _bits(share: Tensor, _: Tensor) -> Tensor:
    return 4 - _whole(share, 4)


def _threshold(share: Tensor, _: Tensor) -> Tensor:
    return 256 - _whole(share, 256)


def _amount(share: Tensor, _: Tensor) -> Tensor:
    return _whole(share, 110)


def _translate_x(
    image: Tensor, share: Tensor, fill: tuple[int, ...], interpolation: str
) -> Tensor:
    pixels = share * _side(image, 1)
    return affine.translate_x(image, pixels, fill, interpolation)


def _translate_y(
    image: Tensor, share: Tensor, fill: tuple[int, ...], interpolation: str
) -> Tensor:
    pixels = share * _side(image, 0)
    return affine.translate_y(image, pixels, fill, interpolation)


def _side(image: Tensor, axis: int) -> Tensor:
    import tensorflow as tf

    return tf.cast(tf.shape(image)[axis], tf.float64)


OPERATIONS = (
    Operation("AutoContrast", enhancement.auto_contrast),
    Operation("Equalize", enhancement.equalize),
    Operation("Invert", enhancement.invert),
    Operation("Rotate", affine.rotate, _signed(30), moves=True),
    Operation("PosterizeIncreasing", enhancement.posterize, _bits),
    Operation("SolarizeIncreasing", enhancement.solarize, _threshold),
    Operation("SolarizeAdd", enhancement.solarize_add, _amount),
    Operation("ColorIncreasing", enhancement.color, _factor),
    Operation("ContrastIncreasing", enhancement.contrast, _factor),
    Operation("BrightnessIncreasing", enhancement.brightness, _factor),
    Operation("SharpnessIncreasing", enhancement.sharpness, _factor),
    Operation("ShearX", affine.shear_x, _signed(0.3), moves=True),
    Operation("ShearY", affine.shear_y, _signed(0.3), moves=True),
    Operation("TranslateXRel", _translate_x, _signed(0.45), moves=True),
    Operation("TranslateYRel", _translate_y, _signed(0.45), moves=True),
)
"""The operations; what is listed later does not change the others' numbers."""
