"""Training on meshes of devices with JAX, by `keras.distribution`."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any
from typing import final

import keras
import numpy as np

from keras_twins.training.strategies.base import Distribution
from keras_twins.training.strategies.devices import choose_devices
from keras_twins.training.strategies.jax_processes import join_processes
from keras_twins.training.strategies.jax_processes import keep_own_rows
from keras_twins.training.strategies.jax_processes import sum_exactly
from keras_twins.training.strategies.jax_processes import whole_array
from keras_twins.training.strategies.layouts import Layouts
from keras_twins.training.strategies.layouts import TwinsModelParallel
from keras_twins.training.strategies.local_data import local_batch_size
from keras_twins.training.strategies.local_data import predict_all


@final
class MeshDistribution(Distribution):
    """A mesh of devices over which Keras lays batches and weights.

    `data_parallel` and `model_parallel` return one.

    Args:
        name: Name of the strategy.
        layouts: Keras's distribution: which part of what is where.
    """

    def __init__(self, name: str, layouts: Layouts) -> None:
        import jax

        mesh = layouts.device_mesh
        super().__init__(
            name, mesh.devices.size, jax.process_count(), jax.process_index()
        )
        self._layouts = layouts

    def scope(self) -> AbstractContextManager[None]:
        return self._layouts.scope()

    def prepare(self, model: keras.Model) -> None:
        pass

    def adapt(self, dataset: Any) -> Any:
        parts = self._layouts.num_model_replicas // self.num_processes
        local_batch_size(dataset, parts)
        return dataset

    def predict(self, model: keras.Model, dataset: Any) -> Any:
        with self.scope():
            if self.num_processes > 1:
                keep_own_rows(model, self._layouts)
            data = self.adapt(dataset)
            return predict_all(model, data, dataset.cardinality())

    def sum_arrays(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        if self.num_processes == 1:
            return list(arrays)
        return [sum_exactly(np.asarray(array)) for array in arrays]

    def barrier(self) -> None:
        from jax.experimental import multihost_utils

        if self.num_processes > 1:
            multihost_utils.sync_global_devices("keras_twins")

    def read(self, variables: Sequence[keras.Variable]) -> list[np.ndarray]:
        return [np.array(whole_array(variable.value)) for variable in variables]

    def close(self) -> None:
        import jax

        if self.num_processes > 1:
            self.barrier()
            jax.distributed.shutdown()


def data_parallel(
    devices: int | Sequence[str] | None = None,
    **processes: Any,
) -> MeshDistribution:
    """Returns training with a copy of the model on every device.

    Args:
        devices: Names of devices such as `"gpu:0"`, or how many of those that
            there are. `None`: all, of all processes.
        **processes: Arguments of `join_processes`.

    Returns:
        The distribution.

    Raises:
        ValueError: If there are fewer devices, or some of several processes
            are asked for.

    Example:

    ```python
    from keras_twins.training.strategies import jax_meshes

    if keras.backend.backend() == "jax":
        distribution = jax_meshes.data_parallel()
    ```
    """
    join_processes(**processes)
    # Each process reads its own part.
    layouts = keras.distribution.DataParallel(
        devices=_device_names(devices), auto_shard_dataset=False
    )
    return MeshDistribution("data_parallel", layouts)


def model_parallel(
    devices: int | Sequence[str] | None = None,
    model_devices: int | None = None,
    **processes: Any,
) -> MeshDistribution:
    """Returns training with the weights of attention and MLPs cut.

    Each group of `model_devices` devices holds one copy of the model, cut as
    `layouts.LAYOUTS` says, and takes one part of the batch. The attention of
    a head and the hidden units of an MLP are computed where their weights
    are. The joint kernels of queries, keys and values are cut into equal
    ranges of outputs, which XLA moves to where the heads are.

    Args:
        devices: As in `data_parallel`.
        model_devices: Over how many devices a copy is cut; must divide the
            devices of each process. `None`: all of a process.
        **processes: Arguments of `join_processes`.

    Returns:
        The distribution.

    Raises:
        ValueError: If there are fewer devices, or they cannot be grouped.
    """
    import jax

    join_processes(**processes)
    names = _device_names(devices)
    local = len(names) // jax.process_count()
    size = local if model_devices is None else model_devices
    if size < 1 or local % size:
        raise ValueError(
            "`model_devices` must divide the number of devices of a process. "
            f"Received: model_devices={model_devices} for {local} devices"
        )
    mesh = keras.distribution.DeviceMesh(
        (len(names) // size, size), ("batch", "model"), names
    )
    return MeshDistribution("model_parallel", TwinsModelParallel(mesh))


def _device_names(devices: int | Sequence[str] | None) -> list[str]:
    import jax

    if devices is not None and jax.process_count() > 1:
        raise ValueError(
            "`devices` must be None in several processes: all take part with "
            f"all of their devices. Received: devices={devices!r}"
        )
    return choose_devices(devices, keras.distribution.list_devices())
