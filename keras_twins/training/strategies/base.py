"""What a training asks of the devices and processes that it runs on."""

import abc
import contextlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any
from typing import final

import keras
import numpy as np

from keras_twins.training.strategies.local_data import copy_values
from keras_twins.training.strategies.local_data import predict_all


class Distribution(abc.ABC):
    """The devices and processes that share the work of one training.

    Abstract. Every process that takes part has one, of the same strategy, and
    calls the methods that talk to the others (`sum_arrays`, `barrier`, `read`)
    in the same order.

    A global batch is cut into one equal part for each process, which reads
    its own part (`shard`); a strategy cuts that part over its devices. Losses
    are means over the global batch, so a training gives on any number of
    devices what it gives on one, up to the rounding of sums.

    Args:
        name: Name of the strategy.
        num_devices: How many devices there are, over all processes.
        num_processes: How many processes there are.
        process_index: Which of them this is, from 0.
    """

    def __init__(
        self,
        name: str,
        num_devices: int,
        num_processes: int = 1,
        process_index: int = 0,
    ) -> None:
        self.name = name
        self.num_devices = num_devices
        self.num_processes = num_processes
        self.process_index = process_index

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the files of the training."""
        return self.process_index == 0

    @property
    def shard(self) -> tuple[int, int]:
        """Number of processes and index of this one, for reading data."""
        return self.num_processes, self.process_index

    @abc.abstractmethod
    def scope(self) -> AbstractContextManager[None]:
        """Returns a context to build, compile, fit and call models in."""

    @abc.abstractmethod
    def prepare(self, model: keras.Model) -> None:
        """Makes a compiled model ready for `fit`.

        Args:
            model: A model that was built and compiled in `scope`.
        """

    @abc.abstractmethod
    def adapt(self, dataset: Any) -> Any:
        """Makes of a process's batches what `fit` and `predict` take.

        Args:
            dataset: The `tf.data.Dataset` of this process: its part of each
                global batch, of static size. Every process has equally many.

        Returns:
            The data set to hand to the model's methods.
        """

    @abc.abstractmethod
    def predict(self, model: keras.Model, dataset: Any) -> Any:
        """Returns the outputs of a model for this process's batches.

        `keras.Model.predict` would return the rows of all processes with some
        strategies, and cannot be called at all with others.

        Args:
            model: A model that was built in `scope`.
            dataset: The batches of this process, as `adapt` takes them, a
                finite number.

        Returns:
            The outputs, NumPy arrays in the structure of the model's output,
            of this process's rows in order.
        """

    @abc.abstractmethod
    def sum_arrays(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Sums arrays over the processes.

        Args:
            arrays: This process's; the shapes are the same in all.

        Returns:
            The sums, in every process, of the same shapes and types.
        """

    @abc.abstractmethod
    def barrier(self) -> None:
        """Waits until every process is here."""

    @abc.abstractmethod
    def read(self, variables: Sequence[keras.Variable]) -> list[np.ndarray]:
        """Reads the whole values of variables, whatever devices hold them.

        Args:
            variables: Variables of a model or an optimizer.

        Returns:
            Their values, in every process.
        """

    def write(
        self,
        variables: Sequence[keras.Variable],
        arrays: Sequence[np.ndarray],
    ) -> None:
        """Assigns whole values to variables, on all devices that hold them.

        Args:
            variables: Variables of a model or an optimizer.
            arrays: Their values, the same in every process.
        """
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)

    @abc.abstractmethod
    def close(self) -> None:
        """Leaves the group of processes; nothing else is called after it."""


@final
class SingleDevice(Distribution):
    """One process on the device that Keras chooses, or on a named one.

    Args:
        device: Name of a device as Keras has them, such as `"gpu:1"`.

    Example:

    ```python
    from keras_twins.training.strategies import SingleDevice

    distribution = SingleDevice()
    with distribution.scope():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    kernel, bias = distribution.read(model.variables)
    ```
    """

    def __init__(self, device: str | None = None) -> None:
        super().__init__("none", 1)
        self._device = device

    def scope(self) -> AbstractContextManager[None]:
        if self._device is None:
            return contextlib.nullcontext()
        return keras.device(self._device)

    def prepare(self, model: keras.Model) -> None:
        pass

    def adapt(self, dataset: Any) -> Any:
        return dataset

    def predict(self, model: keras.Model, dataset: Any) -> Any:
        return predict_all(model, dataset, dataset.cardinality())

    def sum_arrays(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        return list(arrays)

    def barrier(self) -> None:
        pass

    def read(self, variables: Sequence[keras.Variable]) -> list[np.ndarray]:
        return copy_values(variables)

    def close(self) -> None:
        pass
