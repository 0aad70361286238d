"""Steps on one device and on two replicas: `replica_steps.py PATH`."""

import sys

import keras
import numpy as np

from keras_twins.training import adamw
from keras_twins.training.strategies import Distribution
from keras_twins.training.strategies import SingleDevice
from keras_twins.training.strategies import distribution

COMMON = {"epsilon": 1e-4, "global_clipnorm": 0.1}
OPTIMIZERS = {
    "Keras's": lambda: keras.optimizers.AdamW(1e-2, 0.05, **COMMON),
    "accumulation": lambda: adamw(
        1e-2, 0.05, gradient_accumulation_steps=2, **COMMON
    ),
    "accumulation, Keras's": lambda: keras.optimizers.AdamW(
        1e-2, 0.05, gradient_accumulation_steps=2, **COMMON
    ),
    "average": lambda: adamw(1e-2, 0.05, use_ema=True, **COMMON),
    "float16": lambda: keras.optimizers.LossScaleOptimizer(
        adamw(1e-2, 0.05, **COMMON), initial_scale=1024.0
    ),
}


class Drawing(keras.Model):
    """Tells what it draws in a step, and the square of it."""

    def __init__(self):
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator(3)

    def build(self, input_shape=None):
        self.weight = self.add_weight(shape=())

    def call(self, inputs):
        return inputs

    def train_step(self, data):
        draw = keras.random.uniform((), seed=self.seed_generator)
        return {"draw": draw, "square": draw**2}


def train(spread: Distribution, name: str) -> np.ndarray:
    """Returns weights and slots after four steps."""
    dtype = "mixed_float16" if "float16" in name else "float32"
    generator = np.random.default_rng(0)
    x = generator.standard_normal((4, 8, 6)).astype("float32")
    y = x.sum(axis=-1, keepdims=True) * np.arange(1, 9).reshape(8, 1)
    with spread.scope():
        model = keras.Sequential(
            [keras.Input((6,)), keras.layers.Dense(1, dtype=dtype)]
        )
        model.layers[0].kernel.assign(generator.standard_normal((6, 1)))
        model.compile(OPTIMIZERS[name](), "mse")
        spread.prepare(model)
        fit(spread, model, x, y, steps=4)
        variables = [*model.variables, *model.optimizer.variables]
        arrays = [array.ravel() for array in spread.read(variables)]
    return np.concatenate(arrays).astype("float64")


def fit(spread: Distribution, model, x, y, steps: int) -> dict:
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices((x, y)).repeat()
    return model.fit(
        spread.adapt(dataset),
        epochs=1,
        steps_per_epoch=steps,
        shuffle=False,
        verbose=0,
    ).history


def draw(spread: Distribution) -> np.ndarray:
    """Returns the variance over replicas of what they draw, and the seed."""
    x = np.zeros((1, 2, 1), "float32")
    with spread.scope():
        model = Drawing()
        model.build((None, 1))
        model.compile(keras.optimizers.SGD())
        spread.prepare(model)
        logs = fit(spread, model, x, x, steps=1)
        (seed,) = spread.read([model.seed_generator.state])
    return np.array([logs["square"][0] - logs["draw"][0] ** 2, *seed])


def main(path: str) -> None:
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    logical = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, logical)
    spreads = {1: SingleDevice(), 2: distribution("mirrored")}
    found = {
        f"{name} on {count}": train(spread, name)
        for name in OPTIMIZERS
        for count, spread in spreads.items()
    }
    for count, spread in spreads.items():
        found[f"draw on {count}"] = draw(spread)
    np.savez(path, **found)


if __name__ == "__main__":
    main(sys.argv[1])
