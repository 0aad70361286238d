"""A small training that gives the same on any number of devices."""

import keras
import numpy as np
import tensorflow as tf

import keras_twins
from keras_twins.training import adamw
from keras_twins.training import without_decay
from keras_twins.training.strategies import Distribution
from tests import tiny

BATCH = 8
STEPS = 6
SIDE = 64
"""Of the images: at 32 pixels, GSA would have one key."""

ROWS = 11
"""Rows to predict: no multiple of anything."""


def build_model() -> keras.Model:
    """Returns a compiled Twins-SVT with a batch norm in its head."""
    backbone = keras_twins.TwinsBackbone(
        tiny.MINIMAL, image_shape=(SIDE, SIDE, 3)
    )
    x = keras_twins.layers.ConvolutionBlock(12, 1)(backbone.output)
    x = keras.layers.GlobalAveragePooling2D()(x)
    scores = keras.layers.Dense(5, activation="softmax")(x)
    model = keras.Model(backbone.input, scores)
    tiny.randomise(model)
    # With the usual epsilon, Adam makes steps of full size of gradients that
    # are nothing but rounding, as those of the biases of keys.
    optimizer = adamw(
        1e-2,
        0.05,
        without_decay(model),
        epsilon=1e-4,
        global_clipnorm=0.1,
        use_ema=True,
        ema_momentum=0.9,
    )
    loss = "sparse_categorical_crossentropy"
    model.compile(optimizer, loss, metrics=["accuracy"])
    # Else TensorFlow traces the step twice.
    optimizer.build(model.trainable_variables)
    return model


def run(distribution: Distribution) -> dict[str, np.ndarray]:
    """Trains and predicts in this process's part of a distribution.

    Returns:
        `losses` of each step, `variables` and `slots` as one row of numbers
        each, `scores` of this process's rows, `restored`: what was read of
        variables that were written, and `sums` over the processes.
    """
    with distribution.scope():
        model = build_model()
        distribution.prepare(model)
        # A loss of its own for each step: an epoch is a step.
        history = model.fit(
            distribution.adapt(training_batches(distribution)),
            epochs=STEPS,
            steps_per_epoch=1,
            shuffle=False,
            verbose=0,
        ).history
        scores = distribution.predict(model, prediction_batches(distribution))
        variables = distribution.read(model.variables)
        slots = distribution.read(model.optimizer.variables)
        distribution.write(model.variables, [2 * x for x in variables])
        restored = distribution.read(model.variables)
    counts = np.array([2**40 + distribution.process_index, 1])
    sums = distribution.sum_arrays([counts, np.float64(0.1).reshape(1)])
    distribution.barrier()
    return {
        "losses": np.array(history["loss"]),
        "accuracies": np.array(history["accuracy"]),
        "variables": _joined(variables),
        "slots": _joined(slots),
        "restored": _joined(restored),
        "scores": scores,
        "sums": np.concatenate(sums),
    }


def training_batches(distribution: Distribution) -> tf.data.Dataset:
    """Returns a process's part of each global batch, without end."""
    processes, index = distribution.shard
    x = tiny.images(STEPS, BATCH, SIDE, SIDE, 3)
    y = np.random.default_rng(1).integers(0, 5, (STEPS, BATCH))
    rows = slice(index * BATCH // processes, (index + 1) * BATCH // processes)
    dataset = tf.data.Dataset.from_tensor_slices((x[:, rows], y[:, rows]))
    return dataset.repeat()


def prediction_batches(distribution: Distribution) -> tf.data.Dataset:
    """Returns a process's rows, in full batches: the last ones repeat."""
    processes, index = distribution.shard
    size = BATCH // processes
    batches = -(-ROWS // BATCH)
    rows = np.arange(index, batches * BATCH, processes) % ROWS
    x = tiny.images(ROWS, SIDE, SIDE, 3, seed=2)[rows]
    dataset = tf.data.Dataset.from_tensor_slices(x)
    return dataset.batch(size, drop_remainder=True)


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([x.astype("float64").ravel() for x in arrays])
