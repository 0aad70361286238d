"""The heads that judge every anchor of a pyramid.

What they return are maps: anchors, then classes or coordinates, in the
channels. `flatten_outputs` gives them a row for each anchor.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras

from keras_twins.layers.composite import AssembledLayer
from keras_twins.layers.convolution import sized_convolution
from keras_twins.layers.initializers import ClassifierNormal
from keras_twins.ops import Shape
from keras_twins.ops import Tensor

_RARE = 0.01
"""What share of the anchors a fresh RetinaNet takes for an object of a class:
so many negatives would drown everything else in the first steps."""


class AnchorHead(AssembledLayer):
    """Convolutions shared by all levels, then scores and box deltas.

    Abstract: subclasses say which convolutions stand before each of both.

    Args:
        num_classes: Number of scores of an anchor.
        num_anchors: Number of anchors of a cell.
        filters: Number of channels of the convolutions.
        **kwargs: Keywords of `keras.layers.Layer`.

    Raises:
        ValueError: If a number is not positive.
    """

    def __init__(
        self,
        num_classes: int,
        num_anchors: int,
        filters: int = 256,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        for name, value in (
            ("num_classes", num_classes),
            ("num_anchors", num_anchors),
            ("filters", filters),
        ):
            if value < 1:
                raise ValueError(
                    f"`{name}` must be positive. Received: {name}={value}"
                )
        self.num_classes = num_classes
        self.num_anchors = num_anchors
        self.filters = filters
        self.class_tower, self.box_tower = self._towers()
        self.classifier = self._last("classifier", num_anchors * num_classes)
        self.regressor = self._last("regressor", num_anchors * 4)

    def _towers(
        self,
    ) -> tuple[list[keras.layers.Layer], list[keras.layers.Layer]]:
        """Returns the convolutions before the scores and before the deltas."""
        raise NotImplementedError

    def _last(self, name: str, filters: int) -> keras.layers.Layer:
        raise NotImplementedError

    def convolution(
        self, name: str, filters: int, kernel_size: int = 3
    ) -> keras.layers.Layer:
        """Returns a convolution with the initial values of the originals.

        Args:
            name: Name of the layer.
            filters: Number of output channels.
            kernel_size: Side of the kernel.

        Returns:
            The layer, not yet built.
        """
        return sized_convolution(
            filters,
            kernel_size,
            self.dtype_policy,
            name,
            kernel_initializer=ClassifierNormal(),
        )

    def build(self, input_shape: Sequence[Shape]) -> None:
        self.build_parts(input_shape)

    def part_inputs(
        self, input_shape: Any
    ) -> list[tuple[keras.layers.Layer, Shape]]:
        first = input_shape[0]
        inner = (*first[:3], self.filters)
        parts = {}
        for tower in (self.class_tower, self.box_tower):
            for index, part in enumerate(tower):
                parts.setdefault(part, inner if index else first)
        return [
            *parts.items(),
            (self.classifier, inner),
            (self.regressor, inner),
        ]

    def part_calls(
        self, input_shape: Any
    ) -> list[tuple[keras.layers.Layer, Shape]]:
        # Every part sees every level.
        return [
            call for shape in input_shape for call in self.part_inputs([shape])
        ]

    def call(self, inputs: Sequence[Tensor]) -> dict[str, list[Tensor]]:
        logits, deltas = [], []
        for x in inputs:
            scored = _through(self.class_tower, x)
            # One tower for both runs once.
            same = self.box_tower is self.class_tower
            boxed = scored if same else _through(self.box_tower, x)
            logits.append(self.classifier(scored))
            deltas.append(self.regressor(boxed))
        return {"logits": logits, "deltas": deltas}

    def compute_output_shape(
        self, input_shape: Sequence[Shape]
    ) -> dict[str, list[Shape]]:
        classes = self.num_anchors * self.num_classes
        boxes = self.num_anchors * 4
        return {
            "logits": [(*shape[:3], classes) for shape in input_shape],
            "deltas": [(*shape[:3], boxes) for shape in input_shape],
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "num_anchors": self.num_anchors,
            "filters": self.filters,
        }


@keras.saving.register_keras_serializable(package="keras_twins")
class RetinaHead(AnchorHead):
    """The head of RetinaNet: four convolutions each for scores and boxes.

    Takes the arguments of `AnchorHead`.

    Call arguments:
        inputs: List of maps of shape `(batch, height, width, channels)`.

    Call returns:
        `"logits"`, a list of maps of shape `(batch, height, width,
        num_anchors * num_classes)`, and `"deltas"`, one of maps of shape
        `(batch, height, width, num_anchors * 4)`.

    Reference:
        - [Focal Loss](https://arxiv.org/abs/1708.02002), Section 4
    """

    def _towers(
        self,
    ) -> tuple[list[keras.layers.Layer], list[keras.layers.Layer]]:
        return (
            [
                self.convolution(f"class_convolution{i}", self.filters)
                for i in range(4)
            ],
            [
                self.convolution(f"box_convolution{i}", self.filters)
                for i in range(4)
            ],
        )

    def _last(self, name: str, filters: int) -> keras.layers.Layer:
        layer = self.convolution(name, filters)
        if name == "classifier":
            bias = -math.log((1 - _RARE) / _RARE)
            layer.bias_initializer = keras.initializers.Constant(bias)
        return layer


@keras.saving.register_keras_serializable(package="keras_twins")
class RPNHead(AnchorHead):
    """The head that proposes regions: one convolution for both outputs.

    Takes the arguments of `AnchorHead`; there is one class, objects.

    Call arguments:
        inputs: List of maps of shape `(batch, height, width, channels)`.

    Call returns:
        `"logits"`, a list of maps of shape `(batch, height, width,
        num_anchors)`, and `"deltas"`, one of maps of shape `(batch, height,
        width, num_anchors * 4)`.

    Reference:
        - [Faster R-CNN](https://arxiv.org/abs/1506.01497), Section 3.1
    """

    def _towers(
        self,
    ) -> tuple[list[keras.layers.Layer], list[keras.layers.Layer]]:
        tower = [self.convolution("convolution", self.filters)]
        return tower, tower

    def _last(self, name: str, filters: int) -> keras.layers.Layer:
        return self.convolution(name, filters, kernel_size=1)


def _through(tower: Sequence[keras.layers.Layer], x: Tensor) -> Tensor:
    for part in tower:
        x = keras.ops.relu(part(x))
    return x
