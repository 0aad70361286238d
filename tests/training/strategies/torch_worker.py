"""What the tests of `TorchProcesses` run in each process, and in one."""

import json
import pathlib
import sys
import time

import keras
import numpy as np

import keras_twins
from keras_twins.layers import ConvolutionBlock
from keras_twins.training.strategies.base import Distribution
from keras_twins.training.strategies.torch_processes import TorchProcesses
from tests.tiny import MINIMAL
from tests.tiny import images

CLASSES = 5
BATCH = 8
STEPS = 6


class Scale(keras.layers.Layer):
    """Scales channels by a weight, beside one that nothing depends on."""

    def build(self, input_shape):
        shape = (input_shape[-1],)
        self.scale = self.add_weight(shape=shape, initializer="ones")
        self.unused = self.add_weight(shape=(3,), initializer="ones")

    def call(self, inputs):
        return inputs * self.scale


class FirstOnly(keras.layers.Layer):
    """Adds a weight in the first process."""

    def __init__(self, is_first: bool):
        super().__init__()
        self.is_first = is_first

    def build(self, input_shape):
        self.shift = self.add_weight(shape=(input_shape[-1],))

    def call(self, inputs):
        return inputs + self.shift if self.is_first else inputs


class Draw(keras.layers.Layer):
    """Notes what it draws when it trains."""

    def __init__(self):
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator(3)
        self.drawn = []

    def call(self, inputs, training=False):
        if training:
            draw = keras.random.uniform((), seed=self.seed_generator)
            self.drawn.append(float(draw))
        return inputs


class BareStep(keras.Sequential):
    """A step of training that leaves out `scale_loss`."""

    def train_step(self, data):
        loss = self.compute_loss(y=data[1], y_pred=self(data[0]))
        self.zero_grad()
        loss.backward()
        variables = self.trainable_variables
        self.optimizer.apply([v.value.grad for v in variables], variables)
        return {"loss": loss}


def batches(distribution: Distribution, steps: int = STEPS):
    """Returns this process's part of each global batch, one after another."""
    x = images(steps, BATCH, 64, 64, 3)
    labels = np.random.default_rng(1).integers(0, CLASSES, (steps, BATCH))
    # The parts differ, so moments of one would not do.
    x += labels[..., None, None, None] + np.arange(BATCH)[:, None, None, None]
    number, index = distribution.shard
    rows = slice(index * BATCH // number, (index + 1) * BATCH // number)
    mine = x[:, rows].reshape(-1, 64, 64, 3)
    return mine, labels[:, rows].reshape(-1), BATCH // number


def build(seed: int, has_unused: bool = False, drop_path_rate: float = 0.0):
    """Returns a classifier with batch normalization and a frozen part."""
    keras.utils.set_random_seed(seed)
    backbone = keras_twins.TwinsBackbone(
        MINIMAL, (64, 64, 3), drop_path_rate=drop_path_rate
    )
    for layer in backbone.layers[:3]:
        layer.trainable = False
    x = ConvolutionBlock(12)(backbone.output)
    x = keras.layers.GlobalAveragePooling2D()(x)
    if has_unused:
        x = Scale()(x)
    scores = keras.layers.Dense(CLASSES, activation="softmax")(x)
    return keras.Model(backbone.input, scores)


def compiled(model, distribution: Distribution):
    # A usual epsilon would make whole steps of the rounding of gradients that
    # are zero, such as those of biases before a normalization.
    optimizer = keras.optimizers.AdamW(
        2e-3, weight_decay=0.05, epsilon=1e-4, global_clipnorm=0.5
    )
    loss = "sparse_categorical_crossentropy"
    model.compile(optimizer, loss, metrics=["accuracy"])
    distribution.prepare(model)
    return model


def train(distribution: Distribution, has_unused: bool) -> dict:
    """Returns the logs of each step, those of an evaluation, and weights."""
    # Other weights than those of the first process must not matter.
    model = build(distribution.process_index, has_unused)
    compiled(model, distribution)
    losses = []
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: losses.append(
            float(logs["loss"])
        )
    )
    x, y, size = batches(distribution)
    fit = model.fit(
        x, y, size, verbose=0, shuffle=False, callbacks=[note]
    ).history
    scores = model.evaluate(x, y, size, verbose=0, return_dict=True)
    return {
        "losses": losses,
        "fit": [fit["loss"][0], fit["accuracy"][0]],
        "evaluate": [scores["loss"], scores["accuracy"]],
        "weights": distribution.read(model.variables),
    }


def resume(distribution: Distribution) -> dict:
    """Returns weights after four steps, and after two and two."""
    results = []
    x, y, size = batches(distribution, 4)
    state = None
    for first, last in ((0, 4), (0, 2), (2, 4)):
        model = build(7 + first, drop_path_rate=0.5)
        compiled(model, distribution)
        variables = [*model.variables, *model.optimizer.variables]
        if first:
            distribution.write(variables, state)
        rows = slice(first * size, last * size)
        model.fit(x[rows], y[rows], size, verbose=0, shuffle=False)
        state = distribution.read(variables)
        results.append(state)
    return {"whole": results[0], "resumed": results[2]}


def overflow(distribution: Distribution) -> list[np.ndarray]:
    """Returns weights and the scale of the loss; one process overflows."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1), initial_scale=4.0
    )
    model.compile(optimizer, "mse")
    distribution.prepare(model)
    x, y = np.ones((8, 2), "float32"), np.ones((8, 1), "float32")
    if distribution.process_index:
        x[:4] = 1e30
    model.fit(x, y, 4, verbose=0, shuffle=False)
    return distribution.read([*model.variables, optimizer.dynamic_scale])


def adapted(distribution: Distribution, rows: int, steps: int) -> None:
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(np.zeros(rows * steps))
    distribution.adapt(dataset.batch(rows, drop_remainder=True))


def oddities(distribution: Distribution) -> dict:
    """Returns what becomes of small models that are special."""
    index = distribution.process_index
    x, y = np.ones((8, 2), "float32") + index, np.ones((8, 1), "float32")
    small = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    draw = Draw()
    special = keras.Sequential(
        [keras.Input((2,)), FirstOnly(index == 0), draw, keras.layers.Dense(1)]
    )
    bare = BareStep([keras.Input((2,)), keras.layers.Dense(1)])
    for model in (small, special, bare):
        model.compile("sgd", "mse")
        distribution.prepare(model)
    special.fit(x, y, 4, verbose=0)
    return {
        "special": distribution.read(special.variables),
        "drawn": draw.drawn,
        "bare": error(lambda: bare.fit(x, y, 4, verbose=0)),
        "uneven": error(lambda: small.fit(x, y, 8 - index, verbose=0)),
        "rest": error(lambda: small.fit(x[:6], y[:6], 4, verbose=0)),
        "overflow": overflow(distribution),
        "cut": error(lambda: adapted(distribution, 4 - index, 2)),
        "longer": error(lambda: adapted(distribution, 4, 2 + index)),
        "fits": error(lambda: adapted(distribution, 4, 2)),
        "shapes": error(lambda: distribution.prepare(other_model(index))),
        "sums": distribution.sum_arrays(
            [np.array([index, 5], "int32"), np.array(2.5 + index, "float32")]
        ),
        "shard": [*distribution.shard, distribution.num_devices],
    }


def other_model(index: int):
    layers = [keras.Input((2,)), keras.layers.Dense(1 + index)]
    model = keras.Sequential(layers)
    model.compile("sgd", "mse")
    return model


def error(function) -> str:
    try:
        function()
    except (ValueError, RuntimeError) as raised:
        return f"{type(raised).__name__}: {raised}"
    return ""


def listed(value):
    if isinstance(value, dict):
        return {name: listed(part) for name, part in value.items()}
    if isinstance(value, list):
        return [listed(part) for part in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def work(folder: str) -> None:
    distribution = TorchProcesses(timeout_seconds=60)
    results = {
        "plain": train(distribution, has_unused=False),
        "unused": train(distribution, has_unused=True),
        "resume": resume(distribution),
        "oddities": oddities(distribution),
    }
    path = pathlib.Path(folder, f"{distribution.process_index}.json")
    path.write_text(json.dumps(listed(results)))
    distribution.barrier()
    distribution.close()


def stall() -> None:
    """The second process is there, but does not come."""
    distribution = TorchProcesses(timeout_seconds=3)
    if distribution.process_index:
        time.sleep(600)
    distribution.barrier()


if __name__ == "__main__":
    if sys.argv[1:]:
        work(sys.argv[1])
    else:
        stall()
