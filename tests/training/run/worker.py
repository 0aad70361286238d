"""A small training in a process that tests end from outside.

It says what it does: `step` after a step, `write` when a checkpoint is half
way to its name, and at the end the status.
"""

import importlib
import time
import warnings

from keras_twins.training.run import checkpoints
from keras_twins.training.run.callbacks import TrainingCallback
from tests.training.run import small

# `keras.utils.set_random_seed` does it. Here it is done once for all processes
# that are copies of the one that imports this.
importlib.import_module("tensorflow")


def _announce_steps(say, seconds):
    original = TrainingCallback.on_train_batch_end

    def on_train_batch_end(self, batch, logs=None):
        say("step")
        time.sleep(seconds)
        original(self, batch, logs)

    TrainingCallback.on_train_batch_end = on_train_batch_end


def _announce_writes(say, seconds):
    original = checkpoints._flush

    def flush(path):
        say("write")
        time.sleep(seconds)
        original(path)

    checkpoints._flush = flush


def main(connection, folder, seconds, arguments):
    warnings.simplefilter("ignore")
    _announce_steps(connection.send, seconds)
    _announce_writes(connection.send, seconds)
    connection.send(small.fit(folder, small.model(), **arguments).status)
