"""Strategies of distribution by name."""

import json
import os
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras

from keras_twins.training.strategies.base import Distribution
from keras_twins.training.strategies.base import SingleDevice
from keras_twins.training.strategies.jax_meshes import data_parallel
from keras_twins.training.strategies.jax_meshes import model_parallel
from keras_twins.training.strategies.tensorflow_cluster import device_names
from keras_twins.training.strategies.tensorflow_strategies import mirrored
from keras_twins.training.strategies.tensorflow_strategies import multi_worker
from keras_twins.training.strategies.tensorflow_strategies import tpu
from keras_twins.training.strategies.torch_processes import TorchProcesses

STRATEGIES: Mapping[str, tuple[str, ...]] = {
    "auto": ("tensorflow", "jax", "torch"),
    "none": ("tensorflow", "jax", "torch"),
    "mirrored": ("tensorflow",),
    "multi_worker": ("tensorflow",),
    "tpu": ("tensorflow",),
    "data_parallel": ("jax",),
    "model_parallel": ("jax",),
    "ddp": ("torch",),
}
"""The backends of Keras that have a strategy."""

_TAKES: Mapping[str, tuple[str, ...]] = {
    "none": ("devices",),
    "mirrored": ("devices",),
    "multi_worker": (),
    "tpu": ("address",),
    "data_parallel": ("devices", "address", "num_processes", "process_index"),
    "model_parallel": (
        "devices",
        "model_devices",
        "address",
        "num_processes",
        "process_index",
    ),
    "ddp": (),
}
"""The arguments that mean something to a strategy."""


def distribution(
    strategy: str = "auto",
    *,
    devices: int | Sequence[str] | None = None,
    model_devices: int | None = None,
    address: str | None = None,
    num_processes: int | None = None,
    process_index: int | None = None,
) -> Distribution:
    """Returns how a training is spread over devices and processes.

    Call it once in every process, before anything is computed. `"auto"` takes
    several processes where the environment names them (`TF_CONFIG` on
    TensorFlow, `KERAS_DISTRIBUTION_*` on JAX, `torchrun` on PyTorch), else all
    the devices of this machine, else one device.

    Args:
        strategy: One of
            `"none"`: one device;
            `"mirrored"` (TensorFlow): a copy of the model on each device of
            this machine;
            `"multi_worker"` (TensorFlow): one in each process, by `TF_CONFIG`;
            `"tpu"` (TensorFlow): one on each core;
            `"data_parallel"` (JAX): one on each device of all processes;
            `"model_parallel"` (JAX): copies that are cut over devices;
            `"ddp"` (PyTorch): one in each process that `torchrun` starts;
            `"auto"`.
        devices: Names of devices, or how many of those of this machine;
            by default, all.
        model_devices: For `"model_parallel"`, over how many devices a copy of
            the model is cut; by default, over all of a process.
        address: For several processes of JAX, host and port of the first;
            for `"tpu"`, its name. By default, the environment says.
        num_processes: For JAX, how many processes there are; by default, the
            environment says.
        process_index: For JAX, which of them this is; by default, the
            environment says.

    Returns:
        The distribution.

    Raises:
        ValueError: If the strategy is unknown or of another backend, or an
            argument means nothing to it.

    Example:

    ```python
    from keras_twins.training.strategies import distribution

    spread = distribution("none")
    with spread.scope():
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        model.compile("sgd", "mse")
    spread.prepare(model)
    ```
    """
    arguments = {
        "devices": devices,
        "model_devices": model_devices,
        "address": address,
        "num_processes": num_processes,
        "process_index": process_index,
    }
    given = {key: x for key, x in arguments.items() if x is not None}
    _check_strategy(strategy)
    chosen = _automatic(given) if strategy == "auto" else strategy
    _check_arguments(chosen, given)
    return _BUILDERS[chosen](**given)


def _check_strategy(strategy: str) -> None:
    if strategy not in STRATEGIES:
        raise ValueError(
            f"`strategy` must be one of {list(STRATEGIES)}. Received: "
            f"strategy={strategy!r}"
        )
    backend = keras.backend.backend()
    if backend not in STRATEGIES[strategy]:
        others = [name for name, on in STRATEGIES.items() if backend in on]
        (needed,) = STRATEGIES[strategy]
        raise ValueError(
            f"The strategy {strategy!r} needs the backend {needed!r} of Keras "
            f"(KERAS_BACKEND={needed}). The backend {backend!r} has {others}. "
            f"Received: strategy={strategy!r}"
        )


def _check_arguments(strategy: str, given: Mapping[str, Any]) -> None:
    wrong = [key for key in given if key not in _TAKES[strategy]]
    if wrong:
        raise ValueError(
            f"The strategy {strategy!r} takes {_TAKES[strategy] or 'nothing'}. "
            f"Received: {', '.join(f'{k}={given[k]!r}' for k in wrong)}"
        )


def _automatic(given: Mapping[str, Any]) -> str:
    """Returns the strategy that fits to the environment."""
    return _AUTOMATIC[keras.backend.backend()](given)


def _automatic_on_tensorflow(given: Mapping[str, Any]) -> str:
    config = os.environ.get("TF_CONFIG", "")
    if config and "cluster" in json.loads(config):
        return "multi_worker"
    if _count(given, device_names) > 1:
        return "mirrored"
    return "none"


def _automatic_on_jax(given: Mapping[str, Any]) -> str:
    if given.get("model_devices"):
        return "model_parallel"
    if given.keys() - {"devices"} or any(
        key.startswith("KERAS_DISTRIBUTION_") for key in os.environ
    ):
        return "data_parallel"
    if _count(given, keras.distribution.list_devices) > 1:
        return "data_parallel"
    return "none"


def _automatic_on_torch(given: Mapping[str, Any]) -> str:
    several = given.get("num_processes") or os.environ.get("WORLD_SIZE", "1")
    return "ddp" if int(several) > 1 else "none"


def _count(given: Mapping[str, Any], found: Callable[[], Sequence[str]]) -> int:
    devices = given.get("devices")
    if devices is None:
        return len(found())
    return devices if isinstance(devices, int) else len(devices)


def _single(devices: int | Sequence[str] | None = None) -> Distribution:
    if devices is None or devices == 1:
        return SingleDevice()
    if isinstance(devices, int | str) or len(devices) > 1:
        raise ValueError(
            'The strategy "none" takes a list with the name of one device. '
            f"Received: devices={devices!r}"
        )
    return SingleDevice(devices[0])


_AUTOMATIC: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "tensorflow": _automatic_on_tensorflow,
    "jax": _automatic_on_jax,
    "torch": _automatic_on_torch,
}

_BUILDERS: Mapping[str, Callable[..., Distribution]] = {
    "none": _single,
    "mirrored": mirrored,
    "multi_worker": multi_worker,
    "tpu": tpu,
    "data_parallel": data_parallel,
    "model_parallel": model_parallel,
    "ddp": TorchProcesses,
}
