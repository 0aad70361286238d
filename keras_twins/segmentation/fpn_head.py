"""The head of Semantic FPN."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_twins import ops
from keras_twins.ops import Shape
from keras_twins.ops import Tensor
from keras_twins.segmentation.classifier_head import ClassifierHead


@keras.saving.register_keras_serializable(package="keras_twins")
class SemanticFPNHead(ClassifierHead):
    """Brings every level to the finest, by convolutions and doublings.

    Level `n` has `max(n, 1)` convolution blocks, each followed by a bilinear
    doubling but on the finest level; the results are added up. Takes the
    arguments of `ClassifierHead`.

    Call arguments:
        inputs: List of maps of shape `(batch, height, width, channels)`, the
            finest first; each is half as large as the one before, rounded up
            or down.
        training: Whether dropout is active, and moments are the batch's.

    Call returns:
        Logits of shape `(batch, height, width, num_classes)`, as large as the
        finest map.

    Reference:
        - [Panoptic Feature Pyramid Networks](https://arxiv.org/abs/1901.02446)
    """

    def build(self, input_shape: Sequence[Shape]) -> None:
        self.blocks = [
            self.block(f"scale{level}_{i}")
            for level in range(len(input_shape))
            for i in range(_steps(level))
        ]
        self.build_parts(input_shape)

    def part_inputs(
        self, input_shape: Any
    ) -> list[tuple[keras.layers.Layer, Shape]]:
        shapes = []
        for level, shape in enumerate(input_shape):
            for _ in range(_steps(level)):
                shapes.append(shape)
                shape = self.like(_doubled_shape(shape) if level else shape)
        return [
            *zip(self.blocks, shapes, strict=True),
            (self.classifier, self.like(input_shape[0])),
        ]

    def call(
        self, inputs: Sequence[Tensor], training: bool | None = None
    ) -> Tensor:
        size = ops.spatial_size(inputs[0])
        total, blocks = None, iter(self.blocks)
        for level, x in enumerate(inputs):
            for _ in range(_steps(level)):
                x = next(blocks)(x, training=training)
                if level:
                    x = _doubled(x)
            x = ops.resize_bilinear(x, *size)
            total = x if total is None else total + x
        return self.classify(total, training)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        return (*input_shape[0][:3], self.num_classes)


def _steps(level: int) -> int:
    """Returns how many blocks a level has: one for each doubling."""
    return max(level, 1)


def _doubled_shape(shape: Shape) -> Shape:
    batch, height, width, channels = shape
    sizes = (size and 2 * size for size in (height, width))
    return (batch, *sizes, channels)


def _doubled(x: Tensor) -> Tensor:
    height, width = ops.spatial_size(x)
    return ops.resize_bilinear(x, 2 * height, 2 * width)
