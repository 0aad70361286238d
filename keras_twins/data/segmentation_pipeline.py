"""Training and evaluation of segmentation: from examples to what models take.

Everything is `tf.data`, whatever the backend of Keras.
"""

from typing import TYPE_CHECKING
from typing import Any

from keras_twins.data.annotations import IGNORED_LABEL
from keras_twins.data.annotations import LabelRule
from keras_twins.data.paired_augmentation import Pair
from keras_twins.data.paired_augmentation import pad_pair
from keras_twins.data.paired_augmentation import random_crop
from keras_twins.data.paired_augmentation import random_flip
from keras_twins.data.paired_augmentation import random_resize
from keras_twins.data.paired_augmentation import rescaled_size
from keras_twins.data.paired_augmentation import resize_image
from keras_twins.data.photometric import distort
from keras_twins.data.segmentation_augmentation import SegmentationAugmentation
from keras_twins.data.segmentation_augmentation import is_size
from keras_twins.data.tensorflow_data import checked_shard
from keras_twins.data.tensorflow_data import map_in_order
from keras_twins.data.tensorflow_data import require_tensorflow
from keras_twins.ops import Tensor

if TYPE_CHECKING:
    import tensorflow as tf

Example = dict[str, Tensor]
"""`image` and `mask`."""

_RANKS = {"image": 3, "mask": 2}


def training_batches(
    examples: "tf.data.Dataset",
    batch_size: int = 16,
    augmentation: SegmentationAugmentation | None = None,
    seed: int = 0,
    num_classes: int | None = None,
    shard: tuple[int, int] = (1, 0),
    start: int = 0,
) -> "tf.data.Dataset":
    """Augments pictures and masks, and batches them without end.

    As in mmsegmentation: random resize, crop, mirroring, photometric
    distortion and padding. What an example becomes follows from the seed and
    the example's number alone; a second pass differs from the first, and one
    shard from the others.

    Args:
        examples: `{"image": (height, width, 3), "mask": (height, width)}`,
            integers, as `load_ade20k` gives them; pixels in `[0, 255]`, label
            255 is ignored. Passes are repeated.
        batch_size: Examples in a batch.
        augmentation: Sizes and rates; by default those for ADE20K.
        seed: Seed of the augmentation.
        num_classes: Number of classes, 1 to 255; other labels than theirs and
            255 end the iteration with a `tf.errors.InvalidArgumentError`. By
            default, labels up to 255 pass.
        shard: `(number, index)`: of `number` shards, `examples` are the one at
            `index`, as `load_ade20k` gives it. None are left out here.
        start: Number of the first example, for a training that is resumed:
            steps so far times `batch_size`. `examples` must begin there too,
            as those of `load_ade20k` with the same `start` do.

    Returns:
        A `tf.data.Dataset` of `(images, masks)` for `model.fit` with
        `steps_per_epoch` and `shuffle=False`: `(batch_size, height, width,
        3)`, `float32` in `[0, 255]`, and `(batch_size, height, width)`,
        `int32`.

    Raises:
        ImportError: If TensorFlow is missing.
        ValueError: If `examples` are not pictures with masks, or an argument is
            out of range.

    Example:

    ```python
    import tensorflow as tf

    from keras_twins.data import SegmentationAugmentation
    from keras_twins.data import load_digit_scenes
    from keras_twins.data import training_batches

    scenes = load_digit_scenes(4, image_size=64)
    examples = tf.data.Dataset.from_tensor_slices(
        {"image": scenes.images, "mask": scenes.semantic_masks}
    )
    small = SegmentationAugmentation(scale=(256, 64), crop_size=(64, 64))
    batches = training_batches(examples, 2, small)
    ```
    """
    require_tensorflow()
    _check(examples)
    least = {"batch_size": (batch_size, 1), "start": (start, 0)}
    for name, (value, limit) in least.items():
        if value < limit:
            raise ValueError(
                f"`{name}` must be at least {limit}. Received: {name}={value}"
            )
    shards, index = checked_shard(shard)
    known = _known_labels(num_classes)
    rules = augmentation or SegmentationAugmentation()
    import tensorflow as tf

    def augmented(number: Tensor, example: Example) -> Pair:
        own = tf.random.fold_in([seed, 0], number * shards + index)
        return augment(*_pair(example, known), own, rules)

    stream = map_in_order(examples.repeat().enumerate(start), augmented)
    batches = stream.batch(batch_size, drop_remainder=True)
    return batches.prefetch(tf.data.AUTOTUNE)


def augment(
    image: Tensor,
    mask: Tensor,
    seed: Tensor,
    augmentation: SegmentationAugmentation,
) -> Pair:
    """Augments a picture and its mask.

    Args:
        image: Image of shape `(height, width, 3)`, floats with whole values
            in `[0, 255]`.
        mask: Labels of shape `(height, width)`, `int32`.
        seed: Two numbers; the result follows from them alone.
        augmentation: Sizes and rates.

    Returns:
        Image and mask of `augmentation.crop_size`.
    """
    import tensorflow as tf

    rules = augmentation
    seeds = tf.unstack(tf.random.split(seed, 4))
    image, mask = random_resize(image, mask, seeds[0], rules)
    image, mask = random_crop(image, mask, seeds[1], rules)
    image, mask = random_flip(image, mask, seeds[2], rules.flip_rate)
    image = distort(image, seeds[3], rules)
    return pad_pair(image, mask, rules.crop_size)


def evaluation_examples(
    examples: "tf.data.Dataset",
    scale: tuple[int, int] = (2048, 512),
    num_classes: int | None = None,
) -> "tf.data.Dataset":
    """Resizes pictures for evaluation, keeping their ratio, without padding.

    The masks keep their size: published numbers compare at the size of the
    original, after the model's output has been resized to it.
    `keras_twins.segmentation.evaluate_segmentation` does both by itself: it
    takes the examples as they are read.

    Args:
        examples: `{"image": (height, width, 3), "mask": (height, width)}`,
            as `load_ade20k` gives them.
        scale: Long and short side to resize into.
        num_classes: As for `training_batches`.

    Returns:
        A `tf.data.Dataset` of `(image, mask)`, in order and not batched:
        `(new_height, new_width, 3)`, `float32` in `[0, 255]`, and `(height,
        width)`, `int32`.

    Raises:
        ImportError: If TensorFlow is missing.
        ValueError: If `examples` are not pictures with masks, or an argument is
            out of range.
    """
    require_tensorflow()
    _check(examples)
    if not is_size(scale):
        raise ValueError(
            "`scale` must be two positive integers, the long and the short "
            f"side to resize into. Received: scale={scale}"
        )
    known = _known_labels(num_classes)
    import tensorflow as tf

    def resized(example: Example) -> Pair:
        image, mask = _pair(example, known)
        return resize_image(image, rescaled_size(tf.shape(mask), scale)), mask

    return map_in_order(examples, resized)


def _check(examples: "tf.data.Dataset") -> None:
    spec: Any = examples.element_spec
    good = isinstance(spec, dict) and all(
        name in spec
        and spec[name].shape.rank == rank
        and spec[name].dtype.is_integer
        for name, rank in _RANKS.items()
    )
    if not good or spec["image"].shape[-1] != 3:
        raise ValueError(
            '`examples` must have the elements {"image": (height, width, 3), '
            '"mask": (height, width)}, integers, not batched. Received: '
            f"{spec}"
        )


def _known_labels(num_classes: int | None) -> int:
    """Returns how many labels are not ignored, at most."""
    if num_classes is None:
        return IGNORED_LABEL
    return LabelRule(num_classes).num_classes


def _pair(example: Example, known: int) -> Pair:
    import tensorflow as tf

    image, mask = example["image"], tf.cast(example["mask"], tf.int32)
    agree = tf.debugging.assert_equal(
        tf.shape(image)[:2],
        tf.shape(mask),
        "An image and its mask must have the same height and width.",
    )
    outside = (mask < 0) | (mask >= known)
    wrong = mask[outside & (mask != IGNORED_LABEL)]
    in_range = tf.debugging.Assert(
        tf.equal(tf.size(wrong), 0),
        [
            f"`mask` must have labels from 0 to {known - 1}, and "
            f"{IGNORED_LABEL} for pixels to ignore. Received:",
            tf.unique(wrong)[0],
        ],
    )
    checks = [agree, in_range]
    if image.dtype != tf.uint8:
        checks.append(_in_bytes(tf.cast(image, tf.int64)))
    with tf.control_dependencies(checks):
        return tf.cast(image, tf.float32), tf.identity(mask)


def _in_bytes(pixels: Tensor) -> Any:
    """Returns the check that pixels are of 8 bits; distortion clips others."""
    import tensorflow as tf

    least, most = tf.reduce_min(pixels), tf.reduce_max(pixels)
    return tf.debugging.Assert(
        (least >= 0) & (most <= 255),
        ["`image` must have pixels from 0 to 255. Received:", least, most],
    )
