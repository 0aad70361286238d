"""Files of many rows that are read from the front: shuffled, and resumed."""

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence
from typing import TYPE_CHECKING

from keras_twins.data.classification.image_dataset import Reading
from keras_twins.data.classification.image_dataset import Row
from keras_twins.data.classification.image_dataset import pass_seed
from keras_twins.data.classification.image_dataset import with_positions
from keras_twins.data.tensorflow_data import map_in_order
from keras_twins.ops import Tensor

if TYPE_CHECKING:
    import tensorflow as tf

_FILES_AT_ONCE = 16

BUFFER = 1024
"""Rows that are shuffled among each other, by default: of ImageNet, some
110 MB, which are held twice."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """A file of many rows.

    Args:
        path: Path of the file.
        skip: Rows at its beginning that are left out.
        take: Rows to read after those; -1 for all.
    """

    path: str
    skip: int = 0
    take: int = -1


@dataclasses.dataclass(frozen=True)
class ShardStream:
    """Rows of several files.

    Args:
        shards: The files.
        rows: From the path of a file to its rows: what `ImageDataset.read`
            gives of them, but for the position.
        num_examples: Number of rows in all.
        buffer: Rows that are shuffled among each other.

    Raises:
        ValueError: If `buffer` is not positive.
    """

    shards: Sequence[Shard]
    rows: Callable[[Tensor], "tf.data.Dataset"]
    num_examples: int
    buffer: int = BUFFER

    def __post_init__(self) -> None:
        if self.buffer < 1:
            raise ValueError(
                "`buffer` must be a positive number of rows. Received: "
                f"buffer={self.buffer}"
            )

    def read(self, reading: Reading) -> "tf.data.Dataset":
        """Reads rows, for `ImageDataset.read`.

        In training, each shard of the reading has files of its own. A pass
        has as many rows of each as the batches of a pass need: where the
        files of one have more, the rest is left out, and where they have
        fewer, the first come again. A reading that starts later passes over
        the rows of its pass before, which are read and not decoded.

        Args:
            reading: Which rows to read, and in which order.

        Returns:
            What `ImageDataset.read` returns.

        Raises:
            ValueError: If there are fewer files than shards of the reading.
        """
        if reading.seed is None:
            return self._in_order(reading)
        number, index = reading.shard
        if len(self.shards) < number:
            raise ValueError(
                f"Each of {number} processes needs a file of its own. Write "
                f"the set to more files. Received: {len(self.shards)} files, "
                f"such as {self.shards[0].path}"
            )
        return self._endless(reading, self.shards[index::number])

    def _in_order(self, reading: Reading) -> "tf.data.Dataset":
        import tensorflow as tf

        files = tf.data.Dataset.from_tensor_slices(_table(self.shards))
        # Another number of rows than was promised ends in an error.
        rows = files.flat_map(self._one_file).apply(
            tf.data.experimental.assert_cardinality(self.num_examples)
        )
        return map_in_order(
            rows.enumerate().shard(*reading.shard),
            lambda position, row: {**row, "position": position},
        )

    def _endless(
        self, reading: Reading, shards: Sequence[Shard]
    ) -> "tf.data.Dataset":
        import tensorflow as tf

        steps = self.num_examples // reading.batch_size
        length = steps * reading.local_batch_size
        passes, rest = divmod(reading.start, steps)
        table = _table(shards)

        def one_pass(number: Tensor) -> "tf.data.Dataset":
            seed = pass_seed(reading, number)
            order = _shuffled_order(len(shards), tf.random.fold_in(seed, 0))
            own = tuple(tf.gather(column, order) for column in table)
            rows = self._interleave(own, len(shards)).repeat().take(length)
            # Files without any row would be read again for ever.
            rows = rows.apply(tf.data.experimental.assert_cardinality(length))
            begin = tf.where(
                tf.equal(number, passes), rest * reading.local_batch_size, 0
            )
            return self._shuffle(rows, seed, tf.cast(begin, tf.int64))

        stream = tf.data.Dataset.counter(passes).flat_map(one_pass)
        return map_in_order(
            with_positions(stream, reading),
            lambda position, row: {**row, "position": position},
        )

    def _interleave(
        self, table: tuple[Tensor, ...], count: int
    ) -> "tf.data.Dataset":
        import tensorflow as tf

        return tf.data.Dataset.from_tensor_slices(table).interleave(
            self._one_file,
            cycle_length=min(_FILES_AT_ONCE, count),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

    def _one_file(self, *shard: Tensor) -> "tf.data.Dataset":
        path, skip, take = shard
        return self.rows(path).skip(skip).take(take)

    def _shuffle(
        self, rows: "tf.data.Dataset", seed: Tensor, begin: Tensor
    ) -> "tf.data.Dataset":
        """Shuffles block by block; `shuffle` depends on a global seed."""
        import tensorflow as tf

        first = begin // self.buffer

        def mix(number: Tensor, block: Row) -> Row:
            own = tf.random.fold_in(seed, number + 1)
            order = _shuffled_order(tf.shape(block["label"])[0], own)
            return {key: tf.gather(block[key], order) for key in block}

        blocks = rows.skip(first * self.buffer).batch(self.buffer)
        mixed = map_in_order(_count_from(blocks, first), mix)
        return mixed.unbatch().skip(begin % self.buffer)


def _count_from(blocks: "tf.data.Dataset", first: Tensor) -> "tf.data.Dataset":
    import tensorflow as tf

    return tf.data.Dataset.zip(tf.data.Dataset.counter(first), blocks)


def _table(shards: Sequence[Shard]) -> tuple[Tensor, ...]:
    import tensorflow as tf

    return (
        tf.constant([shard.path for shard in shards]),
        tf.constant([shard.skip for shard in shards], tf.int64),
        tf.constant([shard.take for shard in shards], tf.int64),
    )


def _shuffled_order(length: int | Tensor, seed: Tensor) -> Tensor:
    import tensorflow as tf

    keys = tf.random.stateless_uniform([length], seed, dtype="float64")
    return tf.argsort(keys, stable=True)
