"""Training and evaluation of detection: from data sets to what models take.

Everything is `tf.data`, whatever the backend of Keras.
"""

from typing import TYPE_CHECKING

import numpy as np

from keras_twins.data.detection_augmentation import COCO_1X
from keras_twins.data.detection_augmentation import DetectionAugmentation
from keras_twins.data.detection_augmentation import augment
from keras_twins.data.detection_augmentation import fit
from keras_twins.data.detection_batching import BatchFormat
from keras_twins.data.detection_batching import check_count
from keras_twins.data.detection_example import DetectionDataset
from keras_twins.data.detection_example import DetectionExample
from keras_twins.data.detection_stream import batched
from keras_twins.data.detection_stream import read_dataset
from keras_twins.data.detection_stream import read_stream
from keras_twins.data.segmentation_augmentation import is_size
from keras_twins.data.tensorflow_data import checked_shard
from keras_twins.data.tensorflow_data import in_order
from keras_twins.data.tensorflow_data import require_tensorflow

if TYPE_CHECKING:
    import tensorflow as tf


def detection_batches(
    dataset: "DetectionDataset | tf.data.Dataset",
    batch_size: int = 16,
    augmentation: DetectionAugmentation | None = COCO_1X,
    max_boxes: int = 100,
    with_masks: bool = False,
    fixed_size: tuple[int, int] | None = None,
    shuffle: bool = True,
    seed: int = 0,
    shard: tuple[int, int] = (1, 0),
    start: int = 0,
) -> "tf.data.Dataset":
    """Augments pictures with their boxes, and batches them without end.

    What a picture becomes follows from the seed and its number in the stream
    alone; a second pass differs from the first, and one shard from the others.

    Pictures are padded below and on the right with 0, to multiples of 32;
    `image_sizes` says what is picture. Crowds, boxes with a side below one
    pixel and boxes outside of their picture are left out, as in mmdetection.

    Args:
        dataset: `load_coco(...)`, `load_digit_scenes(...)`, or a
            `tf.data.Dataset` of dicts: `image` `(height, width, 3)`, `uint8`;
            `boxes` `(n, 4)`, floats, `(x1, y1, x2, y2)` in pixels; `labels`
            `(n,)`, integers; and where they are there `crowd` `(n,)`, `bool`,
            `masks` `(n, height, width)` and the integer `image_id`.
        batch_size: Pictures in a batch.
        augmentation: Sizes and rates, such as `COCO_1X` and `COCO_3X`; without
            one, pictures stay as they are.
        max_boxes: Places for objects in every picture. Where there are more
            objects, there is an error: none is dropped. COCO has up to 93.
        with_masks: Whether to give masks; of large pictures, they take
            `max_boxes` bytes per pixel.
        fixed_size: Height and width of all batches, multiples of 32, for
            programs that are compiled for one size; `(1344, 1344)` holds all
            that `COCO_1X` and `COCO_3X` make. By default, batches are as large
            as their pictures need.
        shuffle: Whether a data set comes in another order in every pass. A
            `tf.data.Dataset` keeps its own order.
        seed: Seed of the order and of the augmentation.
        shard: `(number, index)`: of `number` shards, read the one at `index`,
            every `number`-th picture; each process of a distributed training
            takes its own. A `tf.data.Dataset` must be that shard already.
        start: Number of the first picture, of those of the shard, for a
            training that is resumed: steps so far times `batch_size`. A
            `tf.data.Dataset` must begin there already.

    Returns:
        A `tf.data.Dataset` of dicts for `model.fit` with `steps_per_epoch` and
        `shuffle=False`, for `b` pictures and `g = max_boxes`: `images` `(b,
        height, width, 3)`, `uint8`; `image_sizes` `(b, 2)`, `int32`, height
        and width before padding; `boxes` `(b, g, 4)`, `float32`, in pixels of
        `images`, 0 where there is none; `labels` `(b, g)`, `int32`, -1 where
        there is none; `valid` `(b, g)`, `bool`; and if asked for `masks` `(b,
        g, height, width)`, `bool`.

        What is wrong with a picture, such as a broken file, ends the iteration
        with a `tf.errors.InvalidArgumentError` that names it.

    Raises:
        ImportError: If TensorFlow is missing.
        ValueError: If a picture of a data set has more than `max_boxes` boxes,
            a `tf.data.Dataset` has other elements, or an argument is out of
            range.

    Example:

    ```python
    from keras_twins.data import DetectionAugmentation
    from keras_twins.data import detection_batches
    from keras_twins.data import load_digit_scenes

    scenes = load_digit_scenes(4, image_size=64)
    small = DetectionAugmentation(short_sides=(64, 96), max_long_side=96)
    batches = detection_batches(scenes, 2, small, max_boxes=8, with_masks=True)
    ```
    """
    require_tensorflow()
    _check_least(batch_size=(batch_size, 1), start=(start, 0), seed=(seed, 0))
    shards, own = checked_shard(shard)
    form = BatchFormat(max_boxes, True, with_masks, False, fixed_size)
    import tensorflow as tf

    if isinstance(dataset, tf.data.Dataset):
        stream, read = read_stream(dataset, with_masks)
        examples = stream.repeat(), read
    else:
        check_count(*dataset.most_boxes(), max_boxes)
        order = _endless(len(dataset), seed if shuffle else None, shard, start)
        examples = read_dataset(dataset, with_masks, order)

    def change(example: DetectionExample, number: int) -> DetectionExample:
        if augmentation is None:
            return fit(example, None)
        rng = np.random.default_rng((seed, number * shards + own))
        return augment(example, augmentation, rng)

    return batched(examples, change, form, batch_size, start)


def detection_examples(
    dataset: "DetectionDataset | tf.data.Dataset",
    batch_size: int = 1,
    scale: tuple[int, int] | None = (1333, 800),
    fixed_size: tuple[int, int] | None = None,
    with_boxes: bool = False,
    with_masks: bool = False,
    max_boxes: int = 100,
) -> "tf.data.Dataset":
    """Resizes pictures for evaluation, keeping their ratio, and batches them.

    Args:
        dataset: As for `detection_batches`.
        batch_size: Pictures in a batch; the last one may have fewer.
        scale: Long and short side in pixels to resize into; without one,
            pictures stay as they are.
        fixed_size: As for `detection_batches`.
        with_boxes: Whether to give what is to be found, for a loss. Models
            predict for batches without.
        with_masks: Whether to give masks, too.
        max_boxes: As for `detection_batches`.

    Returns:
        A `tf.data.Dataset` of dicts, one pass in order, for `b` pictures:
        `images`, `image_sizes`, and if asked for `boxes`, `labels`, `valid`
        and `masks`, as `detection_batches` gives them; `image_ids` `(b,)`,
        `int64`, numbers of the pictures; and `original_sizes` `(b, 2)`,
        `int32`, height and width before resizing.

    Raises:
        ImportError: If TensorFlow is missing.
        ValueError: As by `detection_batches`.

    Example:

    ```python
    from keras_twins.data import detection_examples
    from keras_twins.data import load_digit_scenes

    scenes = load_digit_scenes(4, held_out=True, image_size=64)
    examples = detection_examples(scenes, 2, scale=None)
    ```
    """
    require_tensorflow()
    _check_least(batch_size=(batch_size, 1))
    if scale is not None and not is_size(scale):
        raise ValueError(
            "`scale` must be two positive integers, the long and the short "
            f"side to resize into, or None. Received: scale={scale}"
        )
    form = BatchFormat(max_boxes, with_boxes, with_masks, True, fixed_size)
    import tensorflow as tf

    if isinstance(dataset, tf.data.Dataset):
        examples = read_stream(dataset, with_masks)
    else:
        if with_boxes:
            check_count(*dataset.most_boxes(), max_boxes)
        order = tf.data.Dataset.range(len(dataset))
        examples = read_dataset(dataset, with_masks, order)

    def change(example: DetectionExample, number: int) -> DetectionExample:
        return fit(example, scale)

    return batched(examples, change, form, batch_size, 0, False)


def _endless(
    length: int, seed: int | None, shard: tuple[int, int], start: int
) -> "tf.data.Dataset":
    """Returns the numbers of the pictures of a shard, pass after pass."""
    import tensorflow as tf

    shards, own = shard
    chosen = list(range(own, length, shards))
    if not chosen:
        raise ValueError(
            f"There is nothing to read: {length} pictures in all. Received: "
            f"shard={shard}"
        )
    table = tf.constant(chosen, tf.int64)
    if seed is None:
        return in_order(table).repeat().skip(start % len(chosen))
    return in_order(table, seed, start)


def _check_least(**values: tuple[int, int]) -> None:
    for name, (value, limit) in values.items():
        if value < limit:
            raise ValueError(
                f"`{name}` must be at least {limit}. Received: {name}={value}"
            )
