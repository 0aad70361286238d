"""Resizing, cropping and flipping of pictures together with their labels.

Geometry in TensorFlow with the rules of mmsegmentation, which resizes with
OpenCV. Images are `(height, width, 3)`, floats with whole values in
`[0, 255]`; masks are `(height, width)`, `int32`.
"""

from keras_twins.data.annotations import IGNORED_LABEL
from keras_twins.data.segmentation_augmentation import SegmentationAugmentation
from keras_twins.ops import Tensor
from keras_twins.preprocessing import IMAGENET_MEAN

Pair = tuple[Tensor, Tensor]
"""Image and mask."""

_MEAN_PIXEL = tuple(255 * mean for mean in IMAGENET_MEAN)
_LABELS = 256
"""Values that a mask of eight bits can have."""


def rescaled_size(size: Tensor, scale: Tensor) -> Tensor:
    """Returns the size of a picture that fits into a scale, ratio kept.

    Args:
        size: Height and width.
        scale: Long and short side, in any order.

    Returns:
        New height and width, `int32`: each side times the one factor with
        which both sides fit, rounded to the nearest.
    """
    import tensorflow as tf

    # Both pairs in ascending order.
    sides = tf.sort(tf.cast(size, tf.float64))
    room = tf.sort(tf.cast(scale, tf.float64))
    factor = tf.reduce_min(room / sides)
    new = tf.cast(tf.cast(size, tf.float64) * factor + 0.5, tf.int32)
    return tf.maximum(new, 1)


def resize_image(image: Tensor, size: Tensor) -> Tensor:
    """Resizes bilinearly to whole values, without antialiasing, as OpenCV.

    Args:
        image: Image of shape `(height, width, 3)`.
        size: New height and width.

    Returns:
        The image of the new size, `float32`.
    """
    import tensorflow as tf

    return tf.round(tf.image.resize(image, size, antialias=False))


def resize_mask(mask: Tensor, size: Tensor) -> Tensor:
    """Resizes labels to those of the nearest pixels, as OpenCV.

    Args:
        mask: Labels of shape `(height, width)`.
        size: New height and width.

    Returns:
        The labels of the new size, of the same dtype.
    """
    import tensorflow as tf

    for axis in range(2):
        old, new = tf.shape(mask)[axis], size[axis]
        # OpenCV's nearest pixel is the one that the corner falls into; the
        # order of its divisions decides where corners fall on each other.
        step = 1 / (new / old)
        corners = tf.cast(tf.range(new), tf.float64) * step
        nearest = tf.minimum(tf.cast(tf.floor(corners), tf.int32), old - 1)
        mask = tf.gather(mask, nearest, axis=axis)
    return mask


def random_resize(
    image: Tensor,
    mask: Tensor,
    seed: Tensor,
    augmentation: SegmentationAugmentation,
) -> Pair:
    """Resizes into the scale times a random factor.

    Args:
        image: Image of shape `(height, width, 3)`.
        mask: Labels of shape `(height, width)`.
        seed: Two numbers; the result follows from them alone.
        augmentation: Sizes and rates.

    Returns:
        Image and mask of the new size.
    """
    import tensorflow as tf

    factor = tf.random.stateless_uniform(
        [], seed, *augmentation.ratio_range, dtype=tf.float64
    )
    scale = tf.floor(factor * tf.constant(augmentation.scale, tf.float64))
    size = rescaled_size(tf.shape(mask), scale)
    return resize_image(image, size), resize_mask(mask, size)


def random_crop(
    image: Tensor,
    mask: Tensor,
    seed: Tensor,
    augmentation: SegmentationAugmentation,
) -> Pair:
    """Cuts out a random part, one where no class prevails if there is one.

    Args:
        image: Image of shape `(height, width, 3)`.
        mask: Labels of shape `(height, width)`.
        seed: Two numbers; the result follows from them alone.
        augmentation: Sizes and rates.

    Returns:
        Image and mask of the crop's size, or smaller where they were.
    """
    import tensorflow as tf

    tries = augmentation.crop_tries if augmentation.cat_max_ratio < 1 else 0
    height, width = augmentation.crop_size
    room = tf.maximum(tf.shape(mask) - augmentation.crop_size, 0)
    # The last place is taken without a look at it.
    tops, lefts = (
        tf.random.stateless_uniform(
            [tries + 1], own, 0, room[axis] + 1, tf.int32
        )
        for axis, own in enumerate(tf.unstack(tf.random.split(seed, 2)))
    )

    def cut(pixels: Tensor, index: Tensor) -> Tensor:
        top, left = tops[index], lefts[index]
        return pixels[top : top + height, left : left + width]

    def goes_on(index: Tensor) -> Tensor:
        good = is_mixed(cut(mask, index), augmentation.cat_max_ratio)
        return tf.logical_not(good)

    index = tf.constant(0)
    if tries:
        (index,) = tf.while_loop(
            goes_on, lambda i: (i + 1,), (index,), maximum_iterations=tries
        )
    return cut(image, index), cut(mask, index)


def is_mixed(mask: Tensor, cat_max_ratio: float) -> Tensor:
    """Tells whether several classes share a mask and none prevails.

    Args:
        mask: Labels of shape `(height, width)`; 255 is not counted.
        cat_max_ratio: Share of one class that is too much.

    Returns:
        A boolean scalar.
    """
    import tensorflow as tf

    counts = tf.math.bincount(mask, minlength=_LABELS, maxlength=_LABELS)
    counts = tf.cast(counts[:IGNORED_LABEL], tf.float64)
    most, total = tf.reduce_max(counts), tf.reduce_sum(counts)
    several = tf.math.count_nonzero(counts) > 1
    return several & (most / total < cat_max_ratio)


def random_flip(image: Tensor, mask: Tensor, seed: Tensor, rate: float) -> Pair:
    """Mirrors left and right, or not.

    Args:
        image: Image of shape `(height, width, 3)`.
        mask: Labels of shape `(height, width)`.
        seed: Two numbers; the result follows from them alone.
        rate: Probability.

    Returns:
        Image and mask.
    """
    import tensorflow as tf

    return tf.cond(
        tf.random.stateless_uniform([], seed) < rate,
        lambda: (image[:, ::-1], mask[:, ::-1]),
        lambda: (image, mask),
    )


def pad_pair(image: Tensor, mask: Tensor, size: tuple[int, int]) -> Pair:
    """Pads below and on the right with the mean pixel and label 255.

    Args:
        image: Image of shape `(height, width, 3)`, not larger than `size`.
        mask: Labels of shape `(height, width)`.
        size: Height and width of the result.

    Returns:
        Image and mask of that size.
    """
    import tensorflow as tf

    below, right = tf.unstack(tf.constant(size) - tf.shape(mask))
    edges = [[0, below], [0, right]]
    inside = tf.pad(tf.ones_like(mask, tf.bool), edges)
    # The recipe pads with 0 after it has normalised: with the mean of
    # ImageNet. The models here normalise by themselves, so it comes before.
    image = tf.where(
        tf.expand_dims(inside, -1), tf.pad(image, [*edges, [0, 0]]), _MEAN_PIXEL
    )
    mask = tf.pad(mask, edges, constant_values=IGNORED_LABEL)
    return tf.ensure_shape(image, (*size, 3)), tf.ensure_shape(mask, size)
