"""The operators of this package's detectors as programs."""

import functools
from collections.abc import Callable
from typing import Any

import keras

from keras_twins.benchmark.keras_steps import keras_program
from keras_twins.benchmark.operator_inputs import BINS
from keras_twins.benchmark.operator_inputs import CLASS_OVERLAP
from keras_twins.benchmark.operator_inputs import LEVEL_OVERLAP
from keras_twins.benchmark.operator_inputs import MOST_DETECTIONS
from keras_twins.benchmark.operator_inputs import STRIDES
from keras_twins.benchmark.operator_inputs import map_shapes
from keras_twins.benchmark.operator_inputs import operator_inputs
from keras_twins.benchmark.task import Program
from keras_twins.benchmark.task import Task
from keras_twins.detection.nms import keep_sorted
from keras_twins.detection.nms import select
from keras_twins.detection.roi_align import pool_regions


def build_keras(task: Task, operator: str, count: int | None = None) -> Program:
    """Builds an operator of this package.

    Args:
        task: Size of the images, and whether there is a gradient.
        operator: `"select"`, `"keep_sorted"` or `"pool_regions"`.
        count: Number of candidates or regions; by default, that of the
            table.

    Returns:
        A `Program`. A step that trains is a step of gradient descent on the
        maps.
    """
    models = {"select": _Select, "keep_sorted": _KeepSorted}
    inputs = operator_inputs(operator, task.size, count)
    build: Callable[[], keras.Model] = functools.partial(_Pooling, task.size)
    if operator in models:
        build = models[operator]
    return keras_program(
        task,
        build,
        data=lambda batch: inputs,
        optimizer=lambda: keras.optimizers.SGD(1e-3),
    )


class _Operator(keras.Model):
    """A model that is an operator: `predict` compiles and runs it."""

    def __init__(self):
        # TensorFlow takes no name that begins with an underscore.
        super().__init__(name="operator")
        self.built = True


class _Select(_Operator):
    def call(self, inputs: Any) -> Any:
        return select(
            **inputs,
            iou_threshold=CLASS_OVERLAP,
            max_detections=MOST_DETECTIONS,
        )


class _KeepSorted(_Operator):
    def call(self, inputs: Any) -> Any:
        return keep_sorted(**inputs, iou_threshold=LEVEL_OVERLAP)


class _Pooling(_Operator):
    """Its weights are the maps: they are what has a gradient."""

    def __init__(self, size: int):
        super().__init__()
        self.maps = [
            self.add_weight(
                shape=shape, initializer="random_normal", name=f"map{level}"
            )
            for level, shape in enumerate(map_shapes(size))
        ]

    def call(self, inputs: Any) -> Any:
        maps = [keras.ops.convert_to_tensor(x) for x in self.maps]
        return pool_regions(maps, inputs, BINS, STRIDES)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        return keras.ops.mean(keras.ops.square(y_pred))
