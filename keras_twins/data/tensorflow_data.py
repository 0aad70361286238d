"""TensorFlow as a reader of data, for every backend of Keras."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    import tensorflow as tf


def require_tensorflow() -> None:
    """Makes sure that `tf.data` is there.

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

    # AutoGraph would rewrite the function, which takes seconds.
    plain = tf.autograph.experimental.do_not_convert(function)
    return dataset.map(plain, tf.data.AUTOTUNE, deterministic=True)


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
