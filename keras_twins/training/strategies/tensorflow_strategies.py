"""Training with the strategies of `tf.distribute`."""

import contextlib
import os
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING
from typing import Any
from typing import final

import keras
import numpy as np

from keras_twins.training.strategies.base import Distribution
from keras_twins.training.strategies.devices import choose_devices
from keras_twins.training.strategies.local_data import copy_values
from keras_twins.training.strategies.local_data import local_batch_size
from keras_twins.training.strategies.local_data import predict_all
from keras_twins.training.strategies.tensorflow_cluster import device_names
from keras_twins.training.strategies.tensorflow_cluster import worker_of
from keras_twins.training.strategies.tensorflow_steps import LocalPrediction
from keras_twins.training.strategies.tensorflow_steps import build_from_own_part
from keras_twins.training.strategies.tensorflow_steps import draw_apart
from keras_twins.training.strategies.tensorflow_steps import mean_step
from keras_twins.training.strategies.tensorflow_steps import reduce_first

if TYPE_CHECKING:
    import tensorflow as tf


@final
class StrategyDistribution(Distribution):
    """A strategy of `tf.distribute` that keeps the same weights everywhere.

    `mirrored`, `multi_worker` and `tpu` return one.

    Args:
        name: Name of the strategy.
        strategy: The strategy.
        num_processes: How many processes there are.
        process_index: Which of them this is, from 0.
    """

    def __init__(
        self,
        name: str,
        strategy: "tf.distribute.Strategy",
        num_processes: int = 1,
        process_index: int = 0,
    ) -> None:
        num_devices = strategy.num_replicas_in_sync
        super().__init__(name, num_devices, num_processes, process_index)
        self._strategy = strategy

    @property
    def _local_devices(self) -> int:
        return self.num_devices // self.num_processes

    def scope(self) -> AbstractContextManager[None]:
        return self._scope()

    @contextlib.contextmanager
    def _scope(self) -> Iterator[None]:
        with self._strategy.scope():
            yield

    def prepare(self, model: keras.Model) -> None:
        if model.jit_compile and self.name != "tpu":
            raise ValueError(
                "`jit_compile=True` does not work on several devices of "
                "TensorFlow. Compile the model with `jit_compile=False`. "
                f"Received: model={model.name!r} with jit_compile=True"
            )
        reduce_first(model.optimizer)
        draw_apart(model)
        build_from_own_part(model, self._strategy)
        if self.num_processes > 1:
            model.train_function = mean_step(model, self._strategy)

    def adapt(self, dataset: Any) -> Any:
        local_size = local_batch_size(dataset, self._local_devices)
        if self._local_devices > 1:
            size = local_size // self._local_devices
            dataset = dataset.rebatch(size, drop_remainder=True)
        # Unlike `experimental_distribute_dataset`, it does not shard what
        # each process reads.
        return self._strategy.distribute_datasets_from_function(
            lambda context: dataset
        )

    def predict(self, model: keras.Model, dataset: Any) -> Any:
        if not isinstance(model.predict_function, LocalPrediction):
            model.predict_function = LocalPrediction(model, self._strategy)
        return predict_all(model, self.adapt(dataset), dataset.cardinality())

    def sum_arrays(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        if self.num_processes == 1:
            return list(arrays)
        return [self._sum(np.asarray(array)) for array in arrays]

    def _sum(self, array: np.ndarray) -> np.ndarray:
        # A process counts once, however many devices it has.
        zeros = np.zeros_like(array)
        values = self._strategy.experimental_distribute_values_from_function(
            lambda context: (
                zeros
                if context.replica_id_in_sync_group % self._local_devices
                else array
            )
        )
        total = self._strategy.reduce("SUM", values, axis=None)
        return np.asarray(total).astype(array.dtype).reshape(array.shape)

    def barrier(self) -> None:
        self.sum_arrays([np.zeros(1, "float32")])

    def read(self, variables: Sequence[keras.Variable]) -> list[np.ndarray]:
        return copy_values(variables)

    def close(self) -> None:
        self.barrier()


def mirrored(
    devices: int | Sequence[str] | None = None,
) -> StrategyDistribution:
    """Returns training on the devices of this machine, by MirroredStrategy.

    Args:
        devices: Names of devices such as `"GPU:0"`, or how many of those that
            there are. `None`: all GPUs, or all CPUs where there is no GPU.

    Returns:
        The distribution.

    Raises:
        ValueError: If there are fewer devices.

    Example:

    ```python
    from keras_twins.training.strategies import tensorflow_strategies

    if keras.backend.backend() == "tensorflow":
        distribution = tensorflow_strategies.mirrored(1)
    ```
    """
    import tensorflow as tf

    names = choose_devices(devices, device_names())
    return StrategyDistribution(
        "mirrored", tf.distribute.MirroredStrategy(names)
    )


def multi_worker() -> StrategyDistribution:
    """Returns training in several processes, by MultiWorkerMirroredStrategy.

    The environment variable `TF_CONFIG` names the addresses of all processes
    and which of them this is. It must be called before TensorFlow computes
    anything, in every process.

    Keras 3.15's own `fit` fails with this strategy: it averages the losses of
    the processes as if they had an axis of examples. `prepare` gives the model
    a step that does it right, one at a time: `steps_per_execution` is 1.

    Returns:
        The distribution.

    Raises:
        ValueError: If `TF_CONFIG` does not describe such a group.

    Reference:
        - [Multi-worker training](
          https://www.tensorflow.org/tutorials/distribute/multi_worker_with_keras)
    """
    import tensorflow as tf

    num_processes, process_index = worker_of(os.environ.get("TF_CONFIG"))
    options = tf.distribute.experimental.CommunicationOptions()
    strategy = tf.distribute.MultiWorkerMirroredStrategy(
        communication_options=options
    )
    return StrategyDistribution(
        "multi_worker", strategy, num_processes, process_index
    )


def tpu(address: str | None = None) -> StrategyDistribution:
    """Returns training on the cores of TPUs, by TPUStrategy.

    Written after TensorFlow's documentation and not tested: it needs a
    machine with TPUs.

    Args:
        address: Name or gRPC address of the TPU. `None`: that of the
            environment; `"local"`: the TPU of this virtual machine.

    Returns:
        The distribution.

    Raises:
        ValueError: If no TPU answers.

    Reference:
        - [Use TPUs](https://www.tensorflow.org/guide/tpu)
    """
    import tensorflow as tf

    resolve = tf.distribute.cluster_resolver.TPUClusterResolver
    try:
        resolver = resolve.connect(tpu=address)
    except (ValueError, OSError, tf.errors.OpError) as error:
        raise ValueError(
            'The strategy "tpu" found no TPU. On a TPU virtual machine, give '
            '`address="local"`; else the name of the TPU. Received: '
            f"address={address!r}, and TensorFlow says: {error}"
        ) from error
    return StrategyDistribution("tpu", tf.distribute.TPUStrategy(resolver))
