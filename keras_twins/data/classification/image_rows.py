"""From rows of files to rows of images, whatever is wrong with some."""

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any

from keras_twins.data.classification.corrupt_images import CorruptImages
from keras_twins.data.classification.decoding import decode_image
from keras_twins.data.classification.image_dataset import Row
from keras_twins.data.tensorflow_data import map_in_order
from keras_twins.data.tensorflow_data import without_autograph
from keras_twins.ops import Tensor

if TYPE_CHECKING:
    import tensorflow as tf

Process = Callable[[Row], Tensor]
"""From a row of `ImageDataset.read` to its image, of a known shape."""

_KEPT = ("image", "label", "position", "good")

_PART_SIZE = 16


def process_rows(
    rows: "tf.data.Dataset", process: Process, size: int, batch_size: int
) -> "tf.data.Dataset":
    """Makes images of rows, several at a time, and batches them in order.

    Args:
        rows: What `ImageDataset.read` returns.
        process: What makes an image of a row.
        size: Height and width of the images.
        batch_size: Rows in a batch; a rest that does not fill one is dropped.

    Returns:
        A `tf.data.Dataset` of batches: `image` `(b, size, size, 3)`,
        `float32`; `label`, `name`, `position`; `good`, whether there is an
        image. Where there is none, `image` is black and `content` is the
        file; elsewhere `content` is empty.
    """
    import tensorflow as tf

    part = _part_size(batch_size)

    def attempt(index: Tensor, row: Row) -> tuple[Tensor, Tensor]:
        return index, tf.ensure_shape(process(row), (size, size, 3))

    def one_part(part_rows: Any) -> Row:
        # An error ends a row of this small dataset, not the stream.
        tried = tf.data.Dataset.from_tensor_slices(part_rows).enumerate()
        tried = tried.map(without_autograph(attempt)).ignore_errors()
        # One more keeps it from being empty.
        last = tf.constant(part, tf.int64), tf.zeros((size, size, 3))
        whole = tried.concatenate(tf.data.Dataset.from_tensors(last))
        indices, images = whole.batch(part + 1).get_single_element()
        good, images = _place(indices, images, part)
        content = tf.where(good, "", part_rows["content"])
        return {**part_rows, "image": images, "content": content, "good": good}

    def join(parts: Row) -> Row:
        return {
            key: tf.reshape(value, [batch_size, *value.shape[2:]])
            for key, value in parts.items()
        }

    parts = map_in_order(rows.batch(part, drop_remainder=True), one_part)
    batches = parts.batch(batch_size // part, drop_remainder=True)
    return map_in_order(batches, join)


def _part_size(batch_size: int) -> int:
    """Returns how many rows share what it costs to catch their errors."""
    most = min(batch_size, _PART_SIZE)
    return next(n for n in range(most, 0, -1) if batch_size % n == 0)


def _place(
    indices: Tensor, images: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """Puts the images that there are in their places among all.

    Args:
        indices: Places of the images, the last of which is outside.
        images: Images of shape `(n, size, size, 3)`.
        count: Number of places.

    Returns:
        Which places have an image, `(count,)`, and all places, black where
        there is none.
    """
    import tensorflow as tf

    shape = [count + 1, *images.shape[1:]]
    places = indices[:, None]

    def scatter() -> Tensor:
        return tf.scatter_nd(places, images, tf.constant(shape, tf.int64))

    good = tf.scatter_nd(
        places, tf.ones_like(indices), tf.constant([count + 1], tf.int64)
    )
    good = good[:count] > 0
    images = tf.cond(tf.reduce_all(good), lambda: images, scatter)
    return good, tf.ensure_shape(images[:count], [count, *shape[1:]])


def report_bad(
    batches: "tf.data.Dataset", process: Process, corrupt: CorruptImages
) -> "tf.data.Dataset":
    """Notes the images of batches that could not be made.

    Args:
        batches: What `process_rows` returns.
        process: What made the images.
        corrupt: Where they are noted.

    Returns:
        The batches without `content` and `name`. What was wrong with the
        augmentation, and not with a file, is an error in any case.
    """
    import tensorflow as tf

    def note(names: Tensor, contents: Tensor, positions: Tensor) -> None:
        rows = zip(names.numpy(), contents, positions, strict=True)
        for name, content, position in rows:
            reason = _reason(
                name, {"content": content, "position": position}, process
            )
            corrupt.note(os.fsdecode(name), reason)

    def settle(batch: Row) -> Row:
        # Rows without a name fill the last batch of an evaluation.
        bad = ~batch["good"] & tf.not_equal(batch["name"], "")
        columns = [batch[key] for key in ("name", "content", "position")]

        def tell() -> Tensor:
            found = [tf.boolean_mask(column, bad) for column in columns]
            with tf.control_dependencies([tf.py_function(note, found, [])]):
                return tf.constant(True)

        told = tf.cond(tf.reduce_any(bad), tell, lambda: tf.constant(True))
        with tf.control_dependencies([told]):
            left = {key: tf.identity(batch[key]) for key in _KEPT}
        return left

    return map_in_order(batches, settle)


def replace_bad(batches: "tf.data.Dataset") -> "tf.data.Dataset":
    """Puts the next good row of a batch in the place of each bad one.

    Args:
        batches: What `report_bad` returns.

    Returns:
        The batches without `good`. One without a single good row ends the
        iteration with a `tf.errors.InvalidArgumentError`.
    """
    import tensorflow as tf

    def chosen(good: Tensor) -> Tensor:
        places = tf.range(tf.size(good))
        # Row i looks at i, i + 1, ..., around the end of the batch.
        others = (places[:, None] + places[None]) % tf.size(good)
        first = tf.argmax(tf.gather(tf.cast(good, tf.int32), others), axis=1)
        return (places + tf.cast(first, tf.int32)) % tf.size(good)

    def replace(batch: Row) -> Row:
        good, images, labels = batch["good"], batch["image"], batch["label"]
        some = tf.debugging.Assert(
            tf.reduce_any(good),
            [
                "No image of a batch can be decoded; those that cannot are in "
                "the log. They begin at row",
                batch["position"][0],
            ],
        )

        def filled() -> tuple[Tensor, Tensor]:
            rows = chosen(good)
            return tf.gather(images, rows), tf.gather(labels, rows)

        with tf.control_dependencies([some]):
            whole = tf.reduce_all(good)
            images, labels = tf.cond(whole, lambda: (images, labels), filled)
        return {
            "image": tf.ensure_shape(images, batch["image"].shape),
            "label": labels,
            "position": batch["position"],
        }

    return map_in_order(batches, replace)


def _reason(name: bytes, row: Row, process: Process) -> str:
    """Returns why a file cannot be decoded; if it can be, raises an error."""
    import tensorflow as tf

    content = row["content"].numpy()
    if not content:
        return "the file is empty"
    try:
        decode_image(row["content"])
    except tf.errors.OpError as error:
        return _first_line(error.message)
    try:
        process(row)
    except Exception as error:
        raise RuntimeError(
            f"{os.fsdecode(name)} can be decoded, but what is made of it "
            f"fails: {error}"
        ) from error
    return "what is wrong with it did not show a second time"


def _first_line(message: str) -> str:
    """Returns the words of a message of TensorFlow, without its places."""
    text = re.sub(r"\{\{.*?\}\}|\[Op:.*?\]", "", message)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0].rstrip(". ") if lines else "unknown"
