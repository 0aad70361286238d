"""Batch normalization takes the moments of the whole batch everywhere."""

import os
import pathlib
import subprocess
import sys

import keras
import pytest

COMMON = """
import contextlib
import keras
import numpy as np
from keras_twins.layers.normalization import BatchNormalization

rng = np.random.default_rng(0)
X = rng.normal(size=(8, 3, 3, 4)).astype("float32")
# The halves have other moments than the whole.
X[4:] = X[4:] * 3 + 5
Y = rng.normal(size=(8, 2)).astype("float32")

def trained(cls, x=X, y=Y, prepare=lambda model: None):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        keras.Input((3, 3, 4)),
        cls(momentum=0.5, name="norm"),
        keras.layers.Flatten(),
        keras.layers.Dense(2),
    ])
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=JIT)
    prepare(model)
    model.fit(x, y, batch_size=len(x), epochs=2, verbose=0)
    return model.get_weights()

def distance(these, those):
    return max(np.abs(x - y).max() for x, y in zip(these, those, strict=True))
"""

TENSORFLOW = f"""
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
device = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(cpu, [device] * 2)
JIT = False
{COMMON}
expected = trained(BatchNormalization)
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    found = trained(BatchNormalization)
    apart = trained(keras.layers.BatchNormalization)
assert distance(found, expected) < 1e-5
assert distance(apart, expected) > 0.1
"""

JAX = f"""
JIT = True
{COMMON}
expected = trained(BatchNormalization)
with keras.distribution.DataParallel(devices=["cpu:0", "cpu:1"]).scope():
    found = trained(BatchNormalization)
assert distance(found, expected) < 1e-5
"""

TORCH = f"""
from keras_twins.training.strategies.torch_processes import TorchProcesses
JIT = False
{COMMON}
processes = TorchProcesses()
half = slice(4 * processes.process_index, 4 * processes.process_index + 4)
part = X[half], Y[half], processes.prepare
found = trained(BatchNormalization, *part)
apart = trained(keras.layers.BatchNormalization, *part)
processes.close()
# The others are gone.
expected = trained(BatchNormalization)
assert distance(found, expected) < 1e-5
assert distance(apart, expected) > 0.1
"""

TORCHRUN = "torch.distributed.run", "--standalone", "--nproc-per-node=2"
PROGRAMS = {"tensorflow": TENSORFLOW, "jax": JAX, "torch": TORCH}


@pytest.mark.parametrize("backend", PROGRAMS)
def test_two_devices_normalize_as_one(backend, tmp_path):
    if backend != keras.backend.backend():
        pytest.skip("of another backend")
    program = tmp_path / "program.py"
    program.write_text(PROGRAMS[backend])
    launcher = ["-m", *TORCHRUN] if backend == "torch" else []
    root = str(pathlib.Path(__file__).parents[3])
    flags = os.environ.get("XLA_FLAGS", "")
    devices = "--xla_force_host_platform_device_count=2"
    environment = {
        "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]),
        "XLA_FLAGS": f"{flags} {devices}" if backend == "jax" else flags,
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, *launcher, str(program)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
