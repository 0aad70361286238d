"""Several processes of JAX."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import Any

import keras
import numpy as np

from keras_twins.training.strategies.layouts import Layouts

if TYPE_CHECKING:
    import jax

_VARIABLES = (
    "KERAS_DISTRIBUTION_JOB_ADDRESSES",
    "KERAS_DISTRIBUTION_NUM_PROCESSES",
    "KERAS_DISTRIBUTION_PROCESS_ID",
)
"""What Keras reads where an argument of `join_processes` is missing."""


def join_processes(
    address: str | None = None,
    num_processes: int | None = None,
    process_index: int | None = None,
) -> None:
    """Makes one group of several processes, if they are named.

    It must be called before JAX computes anything, in every process; where
    `keras.distribution.initialize` or `jax.distributed.initialize` was
    called, it does nothing.

    Args:
        address: Host and port of the first process. By default the
            environment variable `KERAS_DISTRIBUTION_JOB_ADDRESSES`.
        num_processes: How many processes there are. By default
            `KERAS_DISTRIBUTION_NUM_PROCESSES`.
        process_index: Which of them this is, from 0. By default
            `KERAS_DISTRIBUTION_PROCESS_ID`.
    """
    import jax

    given = (address, num_processes, process_index)
    named = [v for v in given if v is not None]
    named += [name for name in _VARIABLES if name in os.environ]
    if named and not jax.distributed.is_initialized():
        keras.distribution.initialize(address, num_processes, process_index)


def keep_own_rows(model: keras.Model, layouts: Layouts) -> None:
    """Makes a model's `predict` give the rows that this process feeds.

    Args:
        model: A built model. Its function of prediction is changed.
        layouts: Keras's distribution.
    """
    if isinstance(model.predict_function, _OwnRows):
        return
    model.make_predict_function()
    model.predict_function = _OwnRows(model.predict_function, layouts)


class _OwnRows:
    def __init__(self, function: Any, layouts: Layouts) -> None:
        self._function = function
        self._layouts = layouts

    def __call__(self, state: Any, batches: Iterator[Any]) -> tuple[Any, Any]:
        outputs, state = self._function(state, batches)
        return keras.tree.map_structure(self._rows, outputs), state

    def _rows(self, output: "jax.Array") -> np.ndarray:
        import jax

        layout = self._layouts.get_data_layout(output.shape).backend_layout
        # Devices of a model group have the same rows.
        shards = {
            shard.index[0].start or 0: shard.data
            for shard in jax.device_put(output, layout).addressable_shards
        }
        return np.concatenate([np.asarray(shards[i]) for i in sorted(shards)])


def whole_array(value: Any) -> Any:
    """Returns an array that can be read here, wherever its parts are.

    Args:
        value: An array on devices of several processes.

    Returns:
        The array, whole on each device if it was not.
    """
    import jax

    if value.is_fully_addressable or value.is_fully_replicated:
        return value
    whole = jax.sharding.NamedSharding(
        value.sharding.mesh, jax.sharding.PartitionSpec()
    )
    return jax.device_put(value, whole)


def sum_exactly(array: np.ndarray) -> np.ndarray:
    """Sums over processes in the array's own type, which JAX may not have.

    Args:
        array: This process's.

    Returns:
        The sum.
    """
    from jax.experimental import multihost_utils

    content = np.frombuffer(array.tobytes(), np.uint8)
    gathered = np.asarray(multihost_utils.process_allgather(content))
    parts = [
        np.frombuffer(row.tobytes(), array.dtype).reshape(array.shape)
        for row in gathered
    ]
    return np.sum(parts, axis=0, dtype=array.dtype)
