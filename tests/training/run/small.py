"""A small training with everything that has a state."""

import keras
import numpy as np

from keras_twins.layers import DropPath
from keras_twins.training import WarmupPolynomialDecay
from keras_twins.training import adamw
from keras_twins.training.run import fit_resumable

STEPS = 5
BATCH = 4


def model(learning_rate=0.05, seed=3):
    """Random depth, batch norms, moving averages, clipping and a schedule."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((6,), name="inputs")
    x = keras.layers.Dense(8, name="first")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    branch = keras.layers.Dense(8, activation="relu", name="second")(x)
    # Without a seed, PyTorch has a generator of its own for it.
    branch = keras.layers.Dropout(0.3, name="dropout")(branch)
    x = x + DropPath(0.4, name="drop")(branch)
    outputs = keras.layers.Dense(3, activation="softmax", name="last")(x)
    small = keras.Model(inputs, outputs, name="small")
    optimizer = adamw(
        WarmupPolynomialDecay(learning_rate, 100, warmup_steps=7),
        0.05,
        [small.get_layer("norm").gamma],
        use_ema=True,
        ema_momentum=0.9,
        global_clipnorm=0.5,
        name="adamw",
    )
    # XLA compiles longer than this computes; TensorFlow has a choice.
    compiled = keras.backend.backend() == "jax"
    metrics = [keras.metrics.CategoricalAccuracy(name="top1")]
    small.compile(
        optimizer,
        "categorical_crossentropy",
        metrics=metrics,
        jit_compile=compiled,
    )
    return small


def plain_model():
    """Little to compile, where it is not what is tested."""
    keras.utils.set_random_seed(3)
    layer = keras.layers.Dense(3, activation="softmax", name="last")
    small = keras.Sequential([keras.Input((6,)), layer])
    compiled = keras.backend.backend() == "jax"
    small.compile("sgd", "categorical_crossentropy", jit_compile=compiled)
    return small


def batch(step):
    generator = np.random.default_rng([17, step])
    inputs = generator.normal(size=(BATCH, 6)).astype("float32")
    labels = (inputs @ np.arange(18).reshape(6, 3) % 5).argmax(axis=-1)
    return inputs, np.eye(3, dtype="float32")[labels]


def batches(step):
    while True:
        yield batch(step)
        step += 1


def validate(small):
    inputs, targets = batch(1_000_000)
    right = small.predict_on_batch(inputs).argmax(-1) == targets.argmax(-1)
    return {"val_top1": float(right.mean())}


def fit(folder, small=None, **kwargs):
    """Trains in a folder, or goes on in it, by default a plain model."""
    arguments = {
        "epochs": 3,
        "steps_per_epoch": STEPS,
        "images_per_step": BATCH,
        "validate": validate,
        "verbose": False,
        "tensorboard": False,
        **kwargs,
    }
    arguments.setdefault("batches", batches)
    given = arguments.pop("batches")
    return fit_resumable(
        small or plain_model(), given, folder=folder, **arguments
    )
