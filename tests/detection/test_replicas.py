"""Detectors in several replicas, in a process with two devices."""

import subprocess
import sys

import keras
import pytest

PROGRAM = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
device = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(cpu, [device] * 2)

import keras
import numpy as np
from keras_twins.detection import RetinaNet
from tests.detection.models import batch, build

def trained(truth, size):
    model = build(RetinaNet)
    # Not Adam, which takes a loss of any scale for the same.
    model.compile(keras.optimizers.SGD(1e-2), jit_compile=False)
    loss = model.fit(truth, batch_size=size, verbose=0).history["loss"]
    return loss[0], model.get_weights()

one = {key: x[:1] for key, x in batch().items()}
loss, expected = trained(one, 1)
two = {key: np.concatenate([x, x]) for key, x in one.items()}
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    before = build(RetinaNet).get_weights()
    mirrored_loss, found = trained(two, 2)
np.testing.assert_allclose(mirrored_loss, loss, rtol=1e-4)
for start, x, y in zip(before, expected, found, strict=True):
    np.testing.assert_allclose(y - start, x - start, rtol=1e-2, atol=1e-5)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf.distribute"
)
def test_replicas_with_the_same_image_train_as_one():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
