"""The feature pyramid network: what heads see of the levels above."""

import math
from collections.abc import Sequence
from typing import Any

import keras

from keras_twins import ops
from keras_twins.layers.composite import AssembledLayer
from keras_twins.layers.convolution import HalvingConvolution
from keras_twins.layers.convolution import sized_convolution
from keras_twins.ops import Shape
from keras_twins.ops import Tensor


@keras.saving.register_keras_serializable(package="keras_twins")
class FeaturePyramid(AssembledLayer):
    """FPN: adds each level's map, enlarged, to the one below.

    1 x 1 convolutions give all levels the same channels, 3 x 3 convolutions
    follow the additions; none has a normalization.

    Args:
        filters: Number of output channels of every level.
        extra_levels: Number of coarser levels beyond those of the inputs, as
            RetinaNet has them: each a 3 x 3 convolution of stride 2, the
            first of the coarsest input, the next of the one before.
        extra_activation: What comes before the convolutions of the extra
            levels but the first; `None` as in mmdetection, `"relu"` as in
            detectron2.
        **kwargs: Keywords of `keras.layers.Layer`.

    Call arguments:
        inputs: List of maps of shape `(batch, height, width, channels)`, the
            finest first, of any sizes that fall.

    Call returns:
        List of as many maps, and the extra ones, each of shape `(batch,
        height, width, filters)`. An extra level has half the height and width
        of the one before, rounded up.

    Reference:
        - [Feature Pyramid Networks](https://arxiv.org/abs/1612.03144)

    Example:

    ```python
    maps = [keras.random.normal((1, 32 // s, 32 // s, 8 * s)) for s in (1, 2)]
    fine, coarse = keras_twins.layers.FeaturePyramid(16)(maps)
    ```
    """

    def __init__(
        self,
        filters: int,
        extra_levels: int = 0,
        extra_activation: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if filters < 1:
            raise ValueError(
                f"`filters` must be positive. Received: {filters=}"
            )
        if extra_levels < 0:
            raise ValueError(
                "`extra_levels` must not be negative. Received: "
                f"{extra_levels=}"
            )
        self.filters = filters
        self.extra_levels = extra_levels
        self.extra_activation = keras.activations.get(extra_activation)

    def build(self, input_shape: Sequence[Shape]) -> None:
        levels = range(len(input_shape))
        dtype = self.dtype_policy
        self.laterals = [
            sized_convolution(self.filters, 1, dtype, f"lateral{i}")
            for i in levels
        ]
        self.outputs = [
            sized_convolution(self.filters, 3, dtype, f"output{i}")
            for i in levels
        ]
        self.extras = [
            HalvingConvolution(
                self.filters, dtype=dtype, name=f"output{len(levels) + i}"
            )
            for i in range(self.extra_levels)
        ]
        self.build_parts(input_shape)

    def part_inputs(
        self, input_shape: Any
    ) -> list[tuple[keras.layers.Layer, Shape]]:
        outputs = self.compute_output_shape(input_shape)
        before = [input_shape[-1], *outputs[len(input_shape) :]]
        return [
            *zip(self.laterals, input_shape, strict=True),
            *zip(self.outputs, outputs, strict=False),
            *zip(self.extras, before, strict=False),
        ]

    def call(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        pairs = zip(self.laterals, inputs, strict=True)
        maps = [lateral(x) for lateral, x in pairs]
        for level in range(len(maps) - 1, 0, -1):
            size = ops.spatial_size(maps[level - 1])
            enlarged = ops.resize_nearest(maps[level], *size)
            maps[level - 1] = maps[level - 1] + enlarged
        pairs = zip(self.outputs, maps, strict=True)
        return [*(output(x) for output, x in pairs), *self._extra(inputs[-1])]

    def _extra(self, x: Tensor) -> list[Tensor]:
        maps = []
        for convolution in self.extras:
            x = convolution(self.extra_activation(x) if maps else x)
            maps.append(x)
        return maps

    def compute_output_shape(self, input_shape: Sequence[Shape]) -> list[Shape]:
        shapes = [(*shape[:3], self.filters) for shape in input_shape]
        for _ in range(self.extra_levels):
            batch, height, width, channels = shapes[-1]
            sizes = (size and math.ceil(size / 2) for size in (height, width))
            shapes.append((batch, *sizes, channels))
        return shapes

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "extra_levels": self.extra_levels,
            "extra_activation": keras.activations.serialize(
                self.extra_activation
            ),
        }
