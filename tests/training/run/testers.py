"""What the tests of trainings share."""

import contextlib
import resource
import signal

import numpy as np

from keras_twins.training.run.callbacks import TrainingCallback
from keras_twins.training.run.checkpoints import CheckpointFolder


def last_arrays(folder):
    """The newest checkpoint, by group and number.

    Keras' own random generator is left out, which other tests may have drawn
    from.
    """
    arrays = CheckpointFolder(folder / "checkpoints").latest().arrays
    named = {"/".join(name.split("/")[:2]): x for name, x in arrays.items()}
    del named["seeds/00000"]
    return named


def assert_same_training(folder, other, history, other_history):
    """Both ended at the same weights, bit for bit, with the same history."""
    arrays, expected = last_arrays(folder), last_arrays(other)
    assert arrays.keys() == expected.keys()
    for name, array in arrays.items():
        # The loss of the last epoch's validation is no part of the training.
        if not name.startswith("metrics/"):
            np.testing.assert_array_equal(array, expected[name], name)
    assert history == other_history


def after_step(monkeypatch, step, act):
    """Does something when a step is done, before anything else is."""
    original = TrainingCallback.on_train_batch_end

    def on_train_batch_end(self, batch, logs=None):
        if self._begin_step + batch + 1 == step:
            act()
        original(self, batch, logs)

    monkeypatch.setattr(
        TrainingCallback, "on_train_batch_end", on_train_batch_end
    )


def interrupt_after(monkeypatch, step, number=signal.SIGINT):
    after_step(monkeypatch, step, lambda: signal.raise_signal(number))


@contextlib.contextmanager
def no_file_above(size):
    """As on a full disk, no file can grow beyond a number of bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
