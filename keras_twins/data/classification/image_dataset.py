"""A set of labelled images, and the order in which its rows are read."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any

from keras_twins.data.tensorflow_data import checked_shard
from keras_twins.data.tensorflow_data import map_in_order
from keras_twins.data.tensorflow_data import require_tensorflow
from keras_twins.ops import Tensor

if TYPE_CHECKING:
    import tensorflow as tf

Row = dict[str, Tensor]
"""`content`, `label`, `name` and `position` of an image."""


@dataclasses.dataclass(frozen=True)
class Reading:
    """Which rows of a set are read, and in which order.

    Args:
        seed: Without a seed, one pass in the order of the set, for
            evaluation. With one, passes without end, each in an order that
            follows from the seed and the number of the pass alone.
        batch_size: Rows in a batch of all shards together.
        start: Steps so far, of a training that is resumed; it needs a seed.
        shard: `(number, index)`: of `number` shards, read the one at `index`.
            In training, each takes one contiguous part of every batch; in
            evaluation, every `number`-th row.

    Raises:
        ValueError: If an argument is out of range, or the batch cannot be
            split evenly.
    """

    seed: int | None
    batch_size: int
    start: int = 0
    shard: tuple[int, int] = (1, 0)

    def __post_init__(self) -> None:
        number, _ = checked_shard(self.shard)
        if self.seed is not None and self.seed < 0:
            raise ValueError(
                f"`seed` must not be negative. Received: seed={self.seed}"
            )
        if self.batch_size < 1 or self.batch_size % number:
            raise ValueError(
                "`batch_size` counts the rows of all shards together: it must "
                f"be a positive multiple of their number, {number}. Received: "
                f"batch_size={self.batch_size}"
            )
        if self.start < 0 or (self.start and self.seed is None):
            raise ValueError(
                "`start` must not be negative, and other than 0 it needs a "
                f"`seed`. Received: start={self.start}, seed={self.seed}"
            )

    @property
    def local_batch_size(self) -> int:
        """Rows of a batch that this shard reads."""
        return self.batch_size // self.shard[0]


@dataclasses.dataclass(frozen=True)
class ImageDataset:
    """One split of a set of labelled images, not decoded.

    Args:
        name: Name of set and split, for people.
        class_names: Names of the classes, in the order of the labels.
        num_examples: Number of rows.
        read: From a `Reading` to a `tf.data.Dataset` of dicts: `content`, the
            encoded file, and `name`, scalar strings; `label`, `int64`;
            `position`, `int64`, the number of the row in the stream of all
            shards together, over all passes.

    Raises:
        ValueError: If there are no rows or no classes.
    """

    name: str
    class_names: tuple[str, ...]
    num_examples: int
    read: Callable[[Reading], "tf.data.Dataset"]

    def __post_init__(self) -> None:
        if self.num_examples < 1 or not self.class_names:
            raise ValueError(
                "A set of images must have images and classes. Received: "
                f"num_examples={self.num_examples}, {len(self.class_names)} "
                f"classes in {self.name}"
            )

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def steps_per_epoch(self, batch_size: int) -> int:
        """Returns how many batches one pass in training has.

        Args:
            batch_size: Rows in a batch of all shards together.

        Returns:
            Number of full batches; the rest of the rows is left out, other
            rows in every pass.

        Raises:
            ValueError: If there are fewer rows than in one batch.
        """
        steps = self.num_examples // batch_size
        if not steps:
            raise ValueError(
                f"{self.name} has {self.num_examples} images: too few for a "
                "batch. Pass a smaller `batch_size`. Received: batch_size="
                f"{batch_size}"
            )
        return steps


def read_by_index(
    num_examples: int, reading: Reading, row: Callable[[Tensor], Row]
) -> "tf.data.Dataset":
    """Reads rows that can be read in any order.

    What is read does not depend on the number of shards: batch `t` of one
    shard is made of the batches `t` of several.

    Args:
        num_examples: Number of rows, at least `reading.batch_size` with a
            seed.
        reading: Which rows to read.
        row: From the number of a row to what `ImageDataset.read` gives of it,
            but for its position.

    Returns:
        What `ImageDataset.read` returns. A reading that starts later costs
        nothing more.
    """
    require_tensorflow()
    import tensorflow as tf

    def read(position: Tensor, index: Tensor) -> Row:
        return {**row(index), "position": position}

    if reading.seed is None:
        numbers = tf.data.Dataset.range(num_examples).shard(*reading.shard)
        return map_in_order(numbers, lambda index: read(index, index))
    steps = num_examples // reading.batch_size
    passes, rest = divmod(reading.start, steps)

    def one_pass(number: Tensor) -> "tf.data.Dataset":
        keys = tf.random.stateless_uniform(
            [num_examples], pass_seed(reading, number), dtype="float64"
        )
        order = tf.argsort(keys, stable=True)[: steps * reading.batch_size]
        batches = tf.reshape(order, [steps, reading.shard[0], -1])
        begin = tf.where(tf.equal(number, passes), rest, 0)
        own = batches[begin:, reading.shard[1]]
        return tf.data.Dataset.from_tensor_slices(tf.reshape(own, [-1]))

    indices = tf.data.Dataset.counter(passes).flat_map(one_pass)
    return map_in_order(with_positions(indices, reading), read)


def with_positions(
    rows: "tf.data.Dataset", reading: Reading
) -> "tf.data.Dataset":
    """Numbers the rows of a shard as those of all shards together.

    Args:
        rows: Rows of the shard, without end, from step `reading.start` on.
        reading: What they were read by.

    Returns:
        A `tf.data.Dataset` of `(position, row)`.
    """
    size, (_, index) = reading.local_batch_size, reading.shard

    def place(number: Tensor, row: Tensor | Row) -> tuple[Tensor, Tensor | Row]:
        first = number // size * reading.batch_size
        return first + index * size + number % size, row

    return map_in_order(rows.enumerate(reading.start * size), place)


def pass_seed(reading: Reading, number: Tensor) -> Tensor:
    """Returns the seed of the order of a pass.

    Args:
        reading: What is read, with a seed.
        number: Number of the pass, `int64`.

    Returns:
        Two numbers.
    """
    import tensorflow as tf

    seed: Any = reading.seed
    return tf.stack([tf.constant(seed, tf.int64), number])
