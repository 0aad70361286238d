"""Steps of training on a number of devices, timed in a process of their own.

Run as a module by `run_scaling`, for `ddp` in each process of `torchrun`. The
first process prints a line of JSON.
"""

import json
import sys
import time
from typing import Any

import keras

from keras_twins.applications import classifier
from keras_twins.benchmark.inputs import random_labels
from keras_twins.benchmark.keras_steps import adamw
from keras_twins.benchmark.worker import find_function

_WARM_UP = 2
"""Epochs in which JAX compiles: once more where metrics were reset."""

_DISTRIBUTION = "keras_twins.training.strategies:distribution"


class EpochTimer(keras.callbacks.Callback):
    """Notes how long each epoch takes; its end waits for the devices."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._start = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts the clock."""
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stops the clock."""
        self.seconds.append(time.perf_counter() - self._start)


def measure_steps(
    strategy: str,
    devices: int,
    variant: str,
    size: int,
    batch: int,
    steps: int,
    rounds: int,
) -> dict[str, Any]:
    """Returns the seconds of a step of training.

    Args:
        strategy: A strategy of `keras_twins.training.distribution`.
        devices: Number of devices that it takes, or of processes of `ddp`.
        variant: A key of `keras_twins.VARIANTS`.
        size: Side of the images in pixels.
        batch: Images of a step, over all devices.
        steps: Steps of a measurement.
        rounds: Number of measurements, after two that do not count.

    Returns:
        `seconds` of a step in each measurement; `shared`, whether the devices
        are virtual ones that share the cores of the processor.
    """
    shared = _make_devices(devices)
    given = {} if strategy == "ddp" else {"devices": devices}
    distribution = find_function(_DISTRIBUTION)(strategy, **given)
    timer = EpochTimer()
    with distribution.scope():
        model = _model(variant, size)
        distribution.prepare(model)
        local = batch // distribution.num_processes
        model.fit(
            distribution.adapt(_dataset(local, size)),
            epochs=_WARM_UP + rounds,
            steps_per_epoch=steps,
            shuffle=False,
            callbacks=[timer],
            verbose=0,
        )
    seconds = [value / steps for value in timer.seconds[_WARM_UP:]]
    is_chief = distribution.is_chief
    distribution.close()
    return {"seconds": seconds, "shared": shared} if is_chief else {}


def _make_devices(number: int) -> bool:
    """Returns whether the devices are CPUs, of which TensorFlow makes some."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        if tf.config.list_physical_devices("GPU"):
            return False
        cpu = tf.config.list_physical_devices("CPU")[0]
        logical = [tf.config.LogicalDeviceConfiguration()] * number
        tf.config.set_logical_device_configuration(cpu, logical)
        return True
    if backend == "jax":
        import jax

        return jax.default_backend() == "cpu"
    import torch

    return not torch.cuda.is_available()


def _model(variant: str, size: int) -> keras.Model:
    model = classifier(variant, input_shape=(size, size, 3))
    model.compile(adamw(), "sparse_categorical_crossentropy")
    return model


def _dataset(batch: int, size: int) -> Any:
    import tensorflow as tf

    x = tf.random.stateless_uniform((batch, size, size, 3), (0, 0), 0.0, 255.0)
    return tf.data.Dataset.from_tensors((x, random_labels(batch))).repeat()


def _main() -> None:
    answer = measure_steps(**json.loads(sys.argv[1]))
    if answer:
        print(json.dumps(answer))


if __name__ == "__main__":
    _main()
