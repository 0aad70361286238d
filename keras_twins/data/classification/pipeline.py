"""From sets of images to the batches that models take.

Everything is `tf.data`, whatever the backend of Keras.
"""

from typing import TYPE_CHECKING
from typing import Any

from keras_twins.data.classification.augment import augment_image
from keras_twins.data.classification.augmentation import ImageAugmentation
from keras_twins.data.classification.corrupt_images import CorruptImages
from keras_twins.data.classification.decoding import decode_image
from keras_twins.data.classification.image_dataset import ImageDataset
from keras_twins.data.classification.image_dataset import Reading
from keras_twins.data.classification.image_dataset import Row
from keras_twins.data.classification.image_rows import process_rows
from keras_twins.data.classification.image_rows import replace_bad
from keras_twins.data.classification.image_rows import report_bad
from keras_twins.data.classification.mixing import mix_batch
from keras_twins.data.classification.resampling import evaluation_crop
from keras_twins.data.tensorflow_data import map_in_order
from keras_twins.data.tensorflow_data import require_tensorflow
from keras_twins.ops import Tensor
from keras_twins.preprocessing import EvaluationCrop

if TYPE_CHECKING:
    import tensorflow as tf


def image_batches(
    dataset: ImageDataset,
    augmentation: ImageAugmentation,
    batch_size: int,
    seed: int = 0,
    start: int = 0,
    shard: tuple[int, int] = (1, 0),
    corrupt: CorruptImages | None = None,
) -> "tf.data.Dataset":
    """Augments images, mixes them and batches them without end.

    What an image becomes follows from the seed and its position in the
    stream of all shards alone: a training that is resumed sees the same
    images, and, with a set that can be read in any order and a `mix_group`,
    so does one with another number of processes.

    Args:
        dataset: The training split.
        augmentation: Sizes and rates, such as `TWINS_IMAGENET`.
        batch_size: Images in a batch of all shards together.
        seed: Seed of the order and of the augmentation.
        start: Steps so far, for a training that is resumed.
        shard: `(number, index)`: of `number` processes, the one at `index`;
            each takes a part of every batch.
        corrupt: What is done with images that cannot be decoded; by default
            they are an error.

    Returns:
        A `tf.data.Dataset` of `(images, targets)` for `model.fit` with
        `steps_per_epoch` and `shuffle=False`, for `b = batch_size // number`:
        `(b, size, size, 3)`, `float32` in `[0, 255]` but for erased
        rectangles, which are noise; and `(b, num_classes)`, `float32`.

    Raises:
        ImportError: If TensorFlow is missing.
        ValueError: If there are fewer images than in a batch, or an argument
            is out of range.

    Example:

    ```python
    import pathlib
    import tempfile

    from keras_twins.data.classification.augmentation import ImageAugmentation
    from keras_twins.data.classification.pipeline import image_batches
    from keras_twins.data.classification.sources import load_images

    with tempfile.TemporaryDirectory() as folder:
        digits = load_images("digits", "train", cache=pathlib.Path(folder))
        small = ImageAugmentation(size=32, mix_group=8)
        batches = image_batches(digits, small, batch_size=16)
    ```
    """
    require_tensorflow()
    reading = Reading(seed, batch_size, start, shard)
    dataset.steps_per_epoch(batch_size)
    import tensorflow as tf

    def process(row: Row) -> Tensor:
        own = tf.random.fold_in([seed, 0], row["position"])
        return augment_image(row["content"], own, augmentation)

    def mix(batch: Row) -> tuple[Tensor, Tensor]:
        return mix_batch(
            batch["image"],
            batch["label"],
            tf.constant([seed, 1], tf.int64),
            batch["position"][0],
            dataset.num_classes,
            augmentation,
        )

    batches = process_rows(
        dataset.read(reading),
        process,
        augmentation.size,
        reading.local_batch_size,
    )
    whole = report_bad(batches, process, _checked(corrupt))
    mixed = map_in_order(replace_bad(whole), mix)
    return mixed.prefetch(tf.data.AUTOTUNE)


def image_evaluation_batches(
    dataset: ImageDataset,
    crop: EvaluationCrop,
    batch_size: int,
    shard: tuple[int, int] = (1, 0),
    corrupt: CorruptImages | None = None,
) -> "tf.data.Dataset":
    """Cuts images to size for evaluation and batches them, one pass.

    All shards have the same number of batches, and all batches are full: the
    last ones end with rows that are not valid.

    Args:
        dataset: The split to evaluate on.
        crop: How images are cut to size; see `preprocessing.evaluation_crop`.
        batch_size: Images in a batch of all shards together.
        shard: `(number, index)`: of `number` processes, the one at `index`;
            each takes every `number`-th image.
        corrupt: What is done with images that cannot be decoded; by default
            they are an error.

    Returns:
        A `tf.data.Dataset` of dicts, for `b = batch_size // number`: `images`
        `(b, size, size, 3)`, `float32` in `[0, 255]`; `labels` `(b,)`,
        `int32`; `valid` `(b,)`, `bool`, whether the row is an image of the
        set.

    Raises:
        ImportError: If TensorFlow is missing.
        ValueError: If an argument is out of range.
    """
    require_tensorflow()
    reading = Reading(None, batch_size, 0, shard)
    import tensorflow as tf

    def process(row: Row) -> Tensor:
        pixels = tf.cast(decode_image(row["content"]), tf.float32)
        return tf.cast(evaluation_crop(pixels, crop), tf.float32)

    def output(batch: Row) -> Row:
        return {
            "images": batch["image"],
            "labels": tf.cast(batch["label"], tf.int32),
            "valid": batch["good"],
        }

    steps = -(-dataset.num_examples // batch_size)
    rows = dataset.read(reading)
    own = len(range(shard[1], dataset.num_examples, shard[0]))
    size = reading.local_batch_size
    filled = rows.concatenate(_empty_rows(rows, steps * size - own))
    batches = process_rows(filled, process, crop.crop, size)
    whole = report_bad(batches, process, _checked(corrupt))
    known = tf.data.experimental.assert_cardinality(steps)
    results = map_in_order(whole, output).apply(known)
    return results.prefetch(tf.data.AUTOTUNE)


def _empty_rows(rows: "tf.data.Dataset", count: int) -> "tf.data.Dataset":
    """Returns rows without a name, of which no image can be made."""
    import tensorflow as tf

    specs: Any = rows.element_spec
    empty = {
        key: tf.zeros(spec.shape, spec.dtype) for key, spec in specs.items()
    }
    return tf.data.Dataset.from_tensors(empty).repeat(count)


def _checked(corrupt: CorruptImages | None) -> CorruptImages:
    if corrupt is None:
        return CorruptImages()
    if not isinstance(corrupt, CorruptImages):
        raise ValueError(
            "`corrupt` must be a `CorruptImages`, such as "
            f"`CorruptImages('skip')`. Received: corrupt={corrupt!r}"
        )
    return corrupt
