"""Runs the workload in a process of its own: `worker.py PATH JSON`."""

import json
import sys

import keras
import numpy as np

from keras_twins.training.strategies import distribution
from tests.training.strategies import workload


def main(path: str, arguments: dict) -> None:
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        cpu = tf.config.list_physical_devices("CPU")[0]
        logical = [tf.config.LogicalDeviceConfiguration()]
        logical *= arguments.pop("cpus", 1)
        tf.config.set_logical_device_configuration(cpu, logical)
    spread = distribution(**arguments)
    np.savez(path, **workload.run(spread))
    spread.close()


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
