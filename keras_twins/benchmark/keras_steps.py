"""Keras models as programs, on the running backend.

What is timed is the compiled function that `predict` and `fit` call for each
batch: `Model.predict_function` and `Model.train_function`. The batch lies on
the device already, and nothing is copied back.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_twins.benchmark.devices import find_device
from keras_twins.benchmark.inputs import random_images
from keras_twins.benchmark.inputs import random_labels
from keras_twins.benchmark.task import CLIP_NORM
from keras_twins.benchmark.task import LEARNING_RATE
from keras_twins.benchmark.task import WEIGHT_DECAY
from keras_twins.benchmark.task import Program
from keras_twins.benchmark.task import Step
from keras_twins.benchmark.task import Task


def adamw(
    learning_rate: float = LEARNING_RATE,
) -> keras.optimizers.Optimizer:
    """Returns what trains every model, of ours and of peers.

    Args:
        learning_rate: Its learning rate.

    Returns:
        The optimizer.
    """
    return keras.optimizers.AdamW(
        learning_rate, weight_decay=WEIGHT_DECAY, global_clipnorm=CLIP_NORM
    )


def keras_program(
    task: Task,
    build: Callable[[], keras.Model],
    jit_compile: bool | str = "auto",
    labels: Callable[[int], np.ndarray] = random_labels,
    loss: keras.losses.Loss | None = None,
    data: Callable[[int], Any] | None = None,
    optimizer: Callable[[], keras.optimizers.Optimizer] = adamw,
) -> Program:
    """Returns a Keras model as a program.

    Args:
        task: What it is to compute.
        build: Builds the model, once the dtype policy is set.
        jit_compile: As in `keras.Model.compile`.
        labels: Returns the labels of a batch.
        loss: Loss of the training; by default, cross-entropy of logits.
        data: Of models that have losses of their own, instead of images and
            `labels` and a `loss`: returns a batch of arrays as `predict` or
            `fit` pass it on.
        optimizer: Returns what trains the model; by default, AdamW and
            `global_clipnorm`.

    Returns:
        A `Program`.
    """
    keras.config.set_dtype_policy(_policy(task))
    model = build()
    if task.training:
        losses = {} if data else {"loss": loss or _cross_entropy()}
        model.compile(optimizer(), jit_compile=jit_compile, **losses)
    else:
        model.compile(jit_compile=jit_compile)
    backend = keras.backend.backend()
    if backend == "torch":
        from keras_twins.benchmark.torch_models import specialise_shapes

        specialise_shapes()
    steps = _JaxSteps(model) if backend == "jax" else _Steps(model)

    def classified(batch: int) -> Any:
        images = random_images(task, batch)
        return (images, labels(batch), None) if task.training else (images,)

    def prepare(batch: int) -> Step:
        # `None` has no tensor.
        placed = keras.tree.map_structure(
            lambda x: None if x is None else keras.ops.convert_to_tensor(x),
            (data or classified)(batch),
        )
        if task.training:
            return steps.training(placed)
        return steps.inference(placed)

    device = find_device(backend)
    return Program(
        prepare=prepare,
        wait=device.wait,
        parameters=sum(math.prod(v.shape) for v in model.trainable_variables),
        device=device.name,
        memory=device.memory,
    )


def _cross_entropy() -> keras.losses.Loss:
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def _policy(task: Task) -> str:
    """Returns the dtype policy: training keeps its weights in float32."""
    mixed = task.training and task.dtype == "bfloat16"
    return "mixed_bfloat16" if mixed else task.dtype


class _Steps:
    """TensorFlow and PyTorch, whose functions change variables in place."""

    def __init__(self, model: keras.Model):
        self._model: Any = model

    def inference(self, data: Any) -> Step:
        # Anew for each batch size: TensorFlow would make a function that it
        # has already general, and slow.
        self._model.make_predict_function(force=True)
        function = self._model.predict_function
        return lambda: function([data])

    def training(self, data: Any) -> Step:
        # Else TensorFlow traces twice: a graph that makes the optimizer's
        # variables is not the one that it keeps.
        self._model.optimizer.build(self._model.trainable_variables)
        _train_once(self._model, data)
        function = self._model.train_function
        return lambda: function([data])


class _JaxSteps:
    """JAX, whose functions take the state and return a new one."""

    def __init__(self, model: keras.Model):
        self._model: Any = model
        self._state: Any = None

    def inference(self, data: Any) -> Step:
        model = self._model
        model.make_predict_function(force=True)
        if self._state is None:
            self._state = (
                _values(model.trainable_variables),
                _values(model.non_trainable_variables),
            )
        return self._loop(model.predict_function, data)

    def training(self, data: Any) -> Step:
        model = self._model
        if self._state is None:
            _train_once(model, data)
            model.reset_metrics()
            self._state = (
                _values(model.trainable_variables),
                _values(model.non_trainable_variables),
                _values(model.optimizer.variables),
                _values(model.metrics_variables),
            )
        return self._loop(model.train_function, data)

    def _loop(self, function: Callable, data: Any) -> Step:
        def step() -> Any:
            # The old state is given away, as in the loop of `fit`.
            result, self._state = function(self._state, iter([data]))
            return result

        return step


def _train_once(model: keras.Model, data: Any) -> None:
    """Builds the state of the metrics."""
    x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
    # KerasHub's own method knows no dictionaries of boxes; `fit` does.
    keras.Model.train_on_batch(model, x, y)


def _values(variables: list[keras.Variable]) -> list[Any]:
    return [variable.value for variable in variables]
