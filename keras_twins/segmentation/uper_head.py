"""The head of UPerNet."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_twins import ops
from keras_twins.layers import AdaptiveAveragePooling
from keras_twins.ops import Shape
from keras_twins.ops import Tensor
from keras_twins.segmentation.classifier_head import ClassifierHead


@keras.saving.register_keras_serializable(package="keras_twins")
class UPerHead(ClassifierHead):
    """Pyramid pooling on the coarsest level, a pyramid below, one fusion.

    Args:
        num_classes: Number of classes.
        filters: Number of channels of all maps of the head.
        dropout_rate: Fraction of the channels that training leaves out before
            the classifier.
        pool_bins: Sides of the grids of means over the coarsest map.
        **kwargs: Keywords of `keras.layers.Layer`.

    Call arguments:
        inputs: List of maps of shape `(batch, height, width, channels)`, the
            finest first.
        training: Whether dropout is active, and moments are the batch's.

    Call returns:
        Logits of shape `(batch, height, width, num_classes)`, as large as the
        finest map.

    Reference:
        - [Unified Perceptual Parsing](https://arxiv.org/abs/1807.10221)
    """

    def __init__(
        self,
        num_classes: int,
        filters: int = 512,
        dropout_rate: float = 0.1,
        pool_bins: Sequence[int] = (1, 2, 3, 6),
        **kwargs: Any,
    ):
        super().__init__(num_classes, filters, dropout_rate, **kwargs)
        self.pool_bins = tuple(pool_bins)
        self.poolings = [
            AdaptiveAveragePooling(
                bins, dtype=self.dtype_policy, name=f"pooling{i}"
            )
            for i, bins in enumerate(self.pool_bins)
        ]

    def build(self, input_shape: Sequence[Shape]) -> None:
        levels = range(len(input_shape) - 1)
        self.laterals = [self.block(f"lateral{i}", 1) for i in levels]
        self.outputs = [self.block(f"output{i}") for i in levels]
        self.pooled = [
            self.block(f"pooled{i}", 1) for i in range(len(self.poolings))
        ]
        self.bottleneck = self.block("bottleneck")
        self.fusion = self.block("fusion")
        self.build_parts(input_shape)

    def part_inputs(
        self, input_shape: Any
    ) -> list[tuple[keras.layers.Layer, Shape]]:
        *below, coarsest = input_shape
        finest = input_shape[0]
        pooled = [x.compute_output_shape(coarsest) for x in self.poolings]
        joined = coarsest[3] + len(pooled) * self.filters
        return [
            *zip(self.laterals, below, strict=True),
            *zip(self.outputs, map(self.like, below), strict=True),
            *zip(self.pooled, pooled, strict=True),
            (self.bottleneck, (*coarsest[:3], joined)),
            (self.fusion, (*finest[:3], len(input_shape) * self.filters)),
            (self.classifier, self.like(finest)),
        ]

    def call(
        self, inputs: Sequence[Tensor], training: bool | None = None
    ) -> Tensor:
        maps = [
            lateral(x, training=training)
            for lateral, x in zip(self.laterals, inputs[:-1], strict=True)
        ]
        maps.append(self._pool(inputs[-1], training))
        for level in range(len(maps) - 1, 0, -1):
            maps[level - 1] = maps[level - 1] + _like(
                maps[level], maps[level - 1]
            )
        pairs = zip(self.outputs, maps[:-1], strict=True)
        outputs = [output(x, training=training) for output, x in pairs]
        outputs = [_like(x, outputs[0]) for x in (*outputs, maps[-1])]
        x = keras.ops.concatenate(outputs, axis=-1)
        return self.classify(self.fusion(x, training=training), training)

    def _pool(self, x: Tensor, training: bool | None) -> Tensor:
        """Returns the coarsest map with what all of it, and parts, hold."""
        maps = [x]
        for pooling, block in zip(self.poolings, self.pooled, strict=True):
            maps.append(_like(block(pooling(x), training=training), x))
        joined = keras.ops.concatenate(maps, axis=-1)
        return self.bottleneck(joined, training=training)

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> Shape:
        return (*input_shape[0][:3], self.num_classes)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pool_bins": list(self.pool_bins)}


def _like(x: Tensor, reference: Tensor) -> Tensor:
    return ops.resize_bilinear(x, *ops.spatial_size(reference))
