"""mixup and CutMix: pictures and targets of a batch, mixed with each other.

In TensorFlow, with the rules of timm for whole batches. A group of pictures
is mixed with itself in reverse order; all of it gets the same share and the
same rectangle.
"""

import dataclasses

from keras_twins.data.classification.augmentation import ImageAugmentation
from keras_twins.ops import Tensor


@dataclasses.dataclass(frozen=True)
class Mixing:
    """How one group is mixed.

    Args:
        part: Top, left, bottom and right of the pixels that are mixed, of
            which the last two are outside, `(4,)`, `int32`.
        weight: Weight of a picture's own pixels there; elsewhere it is 1.
    """

    part: Tensor
    weight: Tensor


def mix_batch(
    images: Tensor,
    labels: Tensor,
    seed: Tensor,
    first: Tensor,
    num_classes: int,
    augmentation: ImageAugmentation,
) -> tuple[Tensor, Tensor]:
    """Mixes the pictures of each group, and makes targets of the labels.

    Args:
        images: Images of shape `(batch, size, size, 3)`, the batch known.
        labels: Classes of shape `(batch,)`, integers.
        seed: Two numbers, others than those of the pictures. What a group
            becomes follows from them and the group's number alone.
        first: Position of the first picture in the stream of all processes.
        num_classes: Number of classes.
        augmentation: Sizes and rates.

    Returns:
        Images of the same shape, and targets of shape `(batch, num_classes)`,
        `float32`, with sum 1.

    Raises:
        ValueError: If the batch has no known size.
    """
    import tensorflow as tf

    targets = smooth_targets(labels, num_classes, augmentation.label_smoothing)
    if not augmentation.mixes:
        return images, targets
    batch = images.shape[0]
    group = _group_size(batch, augmentation.mix_group)
    size = tf.shape(images)[1:3]
    numbers = tf.cast(first, tf.int64) // group
    numbers += tf.range(batch // group, dtype=tf.int64)
    mixed = []
    for index, drawn in enumerate(_draw_all(size, numbers, seed, augmentation)):
        rows = slice(index * group, (index + 1) * group)
        of_images = mix_images(images[rows], drawn)
        mixed.append((of_images, mix_targets(targets[rows], drawn, size)))
    groups, of_groups = zip(*mixed, strict=True)
    return tf.concat(groups, 0), tf.concat(of_groups, 0)


def group_size(batch: int, mix_group: int | None) -> int:
    """Returns how many pictures of a batch are mixed with each other.

    Args:
        batch: Pictures in the batch of a process.
        mix_group: How many are asked for; `None` for all.

    Returns:
        The largest number up to `mix_group` that cuts the batch into whole
        groups. Where that would be less than half of it, the whole batch.
    """
    most = min(mix_group or batch, batch)
    found = next(n for n in range(most, 0, -1) if batch % n == 0)
    return found if 2 * found > most else batch


def smooth_targets(
    labels: Tensor, num_classes: int, label_smoothing: float
) -> Tensor:
    """Returns the targets of labels.

    Args:
        labels: Classes, integers of any shape.
        num_classes: Number of classes.
        label_smoothing: Share of a target that is spread over all classes.

    Returns:
        Targets of shape `(..., num_classes)`, `float32`, with sum 1.
    """
    import tensorflow as tf

    off = label_smoothing / num_classes
    on = 1.0 - label_smoothing + off
    return tf.one_hot(labels, num_classes, on, off, dtype=tf.float32)


def draw_mixing(
    image_size: Tensor, seed: Tensor, augmentation: ImageAugmentation
) -> Mixing:
    """Draws how a group is mixed.

    Args:
        image_size: Height and width of the pictures.
        seed: Two numbers; the result follows from them alone.
        augmentation: Sizes and rates; `mixup` or `cutmix` is positive.

    Returns:
        What was drawn: all pixels at the share that was drawn, those of a
        rectangle at 0, or all at 1 where nothing is mixed.
    """
    import tensorflow as tf

    rules = augmentation
    seeds = tf.unstack(tf.random.split(seed, 4))
    mixes = tf.random.stateless_uniform([], seeds[0]) < rules.mix_rate
    cuts = tf.random.stateless_uniform([], seeds[1]) < _rate_of_cutting(rules)
    # Where one of them is 0, the other's parameter is used for both.
    alpha = tf.where(cuts, rules.cutmix or rules.mixup, rules.mixup or 1.0)
    share = tf.where(mixes, _draw_beta(alpha, seeds[2]), 1.0)
    whole = tf.concat([[0, 0], tf.cast(image_size, tf.int32)], 0)
    part = tf.where(cuts, draw_rectangle(image_size, share, seeds[3]), whole)
    weight = tf.where(cuts, tf.zeros_like(share), share)
    return Mixing(part=part, weight=weight)


def draw_rectangle(image_size: Tensor, share: Tensor, seed: Tensor) -> Tensor:
    """Draws the place of a rectangle, which may reach over the edges.

    Args:
        image_size: Height and width of the pictures.
        share: Share of the picture that the rectangle leaves, were it whole,
            `float64`.
        seed: Two numbers; the result follows from them and the share alone.

    Returns:
        Top, left, bottom and right of what is inside the picture, of which
        the last two are outside, `(4,)`, `int32`. Its centre is uniform.
    """
    import tensorflow as tf

    sides = tf.cast(image_size, tf.float64) * tf.sqrt(1 - share)
    sides = tf.cast(sides, tf.int32)
    image_size = tf.cast(image_size, tf.int32)
    centre = tf.stack(
        [
            tf.random.stateless_uniform([], own, 0, image_size[axis], tf.int32)
            for axis, own in enumerate(tf.unstack(tf.random.split(seed, 2)))
        ]
    )
    low = tf.maximum(centre - sides // 2, 0)
    high = tf.minimum(centre + sides // 2, image_size)
    return tf.concat([low, high], axis=0)


def mix_images(images: Tensor, drawn: Mixing) -> Tensor:
    """Mixes the pictures of one group.

    Args:
        images: Images of shape `(group, height, width, 3)`, floats.
        drawn: How they are mixed.

    Returns:
        Images of the same shape.
    """
    import tensorflow as tf

    top, left, bottom, right = tf.unstack(drawn.part)
    rows = tf.range(tf.shape(images)[1])[:, None]
    columns = tf.range(tf.shape(images)[2])[None]
    inside = (rows >= top) & (rows < bottom)
    inside &= (columns >= left) & (columns < right)
    own = tf.cast(tf.where(inside, drawn.weight, 1.0), images.dtype)
    # Written out for each channel: to spread one takes twice the time.
    own = tf.stack([own] * images.shape[-1], axis=-1)
    return images * own + tf.reverse(images, [0]) * (1 - own)


def mix_targets(targets: Tensor, drawn: Mixing, image_size: Tensor) -> Tensor:
    """Mixes the targets of one group by the share of the pixels.

    Args:
        targets: Targets of shape `(group, num_classes)`.
        drawn: How the pictures are mixed.
        image_size: Height and width of the pictures.

    Returns:
        Targets of the same shape.
    """
    import tensorflow as tf

    top, left, bottom, right = tf.unstack(drawn.part)
    area = tf.cast((bottom - top) * (right - left), tf.float64)
    area /= tf.cast(tf.reduce_prod(image_size), tf.float64)
    own = tf.cast(1 - (1 - drawn.weight) * area, targets.dtype)
    return targets * own + tf.reverse(targets, [0]) * (1 - own)


def _draw_all(
    image_size: Tensor,
    numbers: Tensor,
    seed: Tensor,
    augmentation: ImageAugmentation,
) -> list[Mixing]:
    """Returns how groups of these numbers are mixed."""
    import tensorflow as tf

    def draw(number: Tensor) -> tuple[Tensor, Tensor]:
        own = tf.random.fold_in(seed, number)
        drawn = draw_mixing(image_size, own, augmentation)
        return drawn.part, drawn.weight

    # A loop of TensorFlow is built once for all groups.
    specs = (tf.TensorSpec([4], tf.int32), tf.TensorSpec([], tf.float64))
    drawn = tf.map_fn(draw, numbers, fn_output_signature=specs)
    return [Mixing(*one) for one in zip(*map(tf.unstack, drawn), strict=True)]


def _group_size(batch: int | None, group: int | None) -> int:
    if batch is None:
        raise ValueError(
            "`images` must have a known batch size, as those of "
            "`dataset.batch(..., drop_remainder=True)`. Received: batch=None"
        )
    return group_size(batch, group)


def _rate_of_cutting(augmentation: ImageAugmentation) -> float:
    if augmentation.mixup and augmentation.cutmix:
        return augmentation.switch_rate
    return 1.0 if augmentation.cutmix else 0.0


def _draw_beta(alpha: Tensor, seed: Tensor) -> Tensor:
    """Returns a share from the beta distribution, `float64`."""
    import tensorflow as tf

    alpha = tf.cast(alpha, tf.float64)
    of_gamma, of_power = tf.unstack(tf.random.split(seed, 2))
    # The logarithms of two numbers from the gamma distribution, by way of
    # that for alpha + 1: the numbers themselves underflow for a tiny alpha.
    larger = tf.random.stateless_gamma(
        [2], of_gamma, alpha + 1, dtype=tf.float64
    )
    power = tf.random.stateless_uniform([2], of_power, dtype=tf.float64)
    logs = tf.math.log(larger) + tf.math.log1p(-power) / alpha
    return tf.sigmoid(logs[0] - logs[1])
