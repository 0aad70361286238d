"""TensorFlow as a reader of data, for every backend of Keras."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any

from keras_twins.ops import Tensor
from keras_twins.ops import leave_accelerators_to_keras

if TYPE_CHECKING:
    import tensorflow as tf


def require_tensorflow() -> None:
    """Makes sure that `tf.data` is there, and leaves GPUs to the backend.

    Raises:
        ImportError: If TensorFlow is missing; the message names the extra.
    """
    try:
        import tensorflow  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "This data set is read with `tf.data`, on every backend of Keras. "
            'Install TensorFlow with `pip install "keras-twins[tensorflow]"`.'
        ) from error
    leave_accelerators_to_keras()


def map_in_order(
    dataset: "tf.data.Dataset", function: Callable[..., Any]
) -> "tf.data.Dataset":
    """Applies a function to every element, several at a time, in order.

    Args:
        dataset: Elements.
        function: From the parts of an element to a new element, made of
            TensorFlow's operations; branches and loops on tensors are
            `tf.cond` and `tf.while_loop`.

    Returns:
        The new elements.
    """
    import tensorflow as tf

    plain = without_autograph(function)
    return dataset.map(plain, tf.data.AUTOTUNE, deterministic=True)


def without_autograph(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function that AutoGraph leaves as it is.

    It would rewrite the function, which takes seconds.

    Args:
        function: Made of TensorFlow's operations, as for `map_in_order`.

    Returns:
        The function, for `tf.data.Dataset.map`.
    """
    import tensorflow as tf

    return tf.autograph.experimental.do_not_convert(function)


def in_order(
    table: Tensor, shuffle_seed: int | None = None, start: int = 0
) -> "tf.data.Dataset":
    """Yields rows once, or without end in ever new orders.

    Args:
        table: Rows of what is to be read.
        shuffle_seed: Without a seed, one pass. With one, passes without end,
            each in an order that follows from the seed and the number of the
            pass alone.
        start: Number of the first row, over all passes; it needs a
            `shuffle_seed`.

    Returns:
        A `tf.data.Dataset` of the rows.
    """
    import tensorflow as tf

    if shuffle_seed is None:
        return tf.data.Dataset.from_tensor_slices(table)
    length = len(table)

    def one_pass(number: Tensor) -> "tf.data.Dataset":
        seed = tf.stack([tf.constant(shuffle_seed, tf.int64), number])
        keys = tf.random.stateless_uniform([length], seed, dtype="float64")
        order = tf.argsort(keys)
        return tf.data.Dataset.from_tensor_slices(tf.gather(table, order))

    # Unlike `shuffle`, this does not depend on TensorFlow's global seed.
    passes, rest = divmod(start, length)
    return tf.data.Dataset.counter(passes).flat_map(one_pass).skip(rest)


def checked_shard(shard: tuple[int, int]) -> tuple[int, int]:
    """Returns a shard that exists.

    Args:
        shard: `(number, index)`: of `number` shards, the one at `index`.

    Returns:
        The same.

    Raises:
        ValueError: If there is no such shard.
    """
    number, index = shard
    if not 0 <= index < number:
        raise ValueError(
            "`shard` must be `(number, index)` with 0 <= index < number. "
            f"Received: shard={shard}"
        )
    return number, index
