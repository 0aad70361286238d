"""The heads that judge regions: what is in a box, and which of its pixels.

Shape suffixes: B batch, R regions, K classes.
"""

from typing import Any

import keras

from keras_twins.layers.composite import AssembledLayer
from keras_twins.layers.convolution import SpreadingConvolution
from keras_twins.layers.convolution import sized_convolution
from keras_twins.layers.initializers import ClassifierNormal
from keras_twins.layers.initializers import ConvolutionNormal
from keras_twins.ops import Shape
from keras_twins.ops import Tensor


@keras.saving.register_keras_serializable(package="keras_twins")
class BoxHead(AssembledLayer):
    """Two dense layers, then the classes and a box for each of them.

    Args:
        num_classes: Number of classes, background not among them.
        units: Width of the dense layers.
        **kwargs: Keywords of `keras.layers.Layer`.

    Call arguments:
        inputs: Pooled regions of shape `(batch, regions, size, size,
            channels)`.

    Call returns:
        Logits of shape `(batch, regions, num_classes + 1)`, the background
        last, and deltas of shape `(batch, regions, num_classes * 4)`.

    Raises:
        ValueError: If a number is not positive.

    Reference:
        - [Mask R-CNN](https://arxiv.org/abs/1703.06870), Figure 4
    """

    def __init__(self, num_classes: int, units: int = 1024, **kwargs: Any):
        super().__init__(**kwargs)
        _check_positive(num_classes=num_classes, units=units)
        self.num_classes = num_classes
        self.units = units
        self.shared = [
            self._dense(f"shared{i}", units, "glorot_uniform") for i in range(2)
        ]
        self.classifier = self._dense(
            "classifier", num_classes + 1, ClassifierNormal()
        )
        # A tenth of the classifier's: boxes start as the proposals are.
        narrow = keras.initializers.RandomNormal(stddev=0.001)
        self.regressor = self._dense("regressor", num_classes * 4, narrow)

    def _dense(self, name: str, units: int, initializer: Any) -> Any:
        return keras.layers.Dense(
            units,
            kernel_initializer=initializer,
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, input_shape: Shape) -> None:
        self.build_parts(input_shape)

    def part_inputs(
        self, input_shape: Any
    ) -> list[tuple[keras.layers.Layer, Shape]]:
        batch, regions, height, width, channels = input_shape
        flat = (batch, regions, height * width * channels)
        inner = (batch, regions, self.units)
        shapes = (flat, inner, inner, inner)
        parts = (*self.shared, self.classifier, self.regressor)
        return list(zip(parts, shapes, strict=True))

    def call(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        shape = keras.ops.shape(inputs)
        values = inputs.shape[2] * inputs.shape[3] * inputs.shape[4]
        x = keras.ops.reshape(inputs, (shape[0], shape[1], values))
        for part in self.shared:
            x = keras.ops.relu(part(x))
        return self.classifier(x), self.regressor(x)

    def compute_output_shape(self, input_shape: Shape) -> tuple[Shape, Shape]:
        batch, regions = input_shape[:2]
        return (
            (batch, regions, self.num_classes + 1),
            (batch, regions, self.num_classes * 4),
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "units": self.units,
        }


@keras.saving.register_keras_serializable(package="keras_twins")
class MaskHead(AssembledLayer):
    """Four convolutions, a doubling, and a mask for each class.

    Args:
        num_classes: Number of classes.
        filters: Number of channels of the convolutions.
        **kwargs: Keywords of `keras.layers.Layer`.

    Call arguments:
        inputs: Pooled regions of shape `(batch, regions, size, size,
            channels)`.

    Call returns:
        Logits of shape `(batch, regions, 2 * size, 2 * size, num_classes)`.

    Raises:
        ValueError: If a number is not positive.

    Reference:
        - [Mask R-CNN](https://arxiv.org/abs/1703.06870), Figure 4
    """

    def __init__(self, num_classes: int, filters: int = 256, **kwargs: Any):
        super().__init__(**kwargs)
        _check_positive(num_classes=num_classes, filters=filters)
        self.num_classes = num_classes
        self.filters = filters
        policy, normal = self.dtype_policy, ConvolutionNormal
        self.convolutions = [
            sized_convolution(
                filters,
                3,
                policy,
                f"convolution{i}",
                kernel_initializer=normal(),
            )
            for i in range(4)
        ]
        self.upsample = SpreadingConvolution(
            filters,
            2,
            strides=2,
            data_format="channels_last",
            kernel_initializer=normal(),
            dtype=policy,
            name="upsample",
        )
        self.classifier = sized_convolution(
            num_classes, 1, policy, "classifier", kernel_initializer=normal()
        )

    def build(self, input_shape: Shape) -> None:
        self.build_parts(input_shape)

    def part_inputs(
        self, input_shape: Any
    ) -> list[tuple[keras.layers.Layer, Shape]]:
        height, width, channels = input_shape[2:]
        inner = (None, height, width, self.filters)
        shapes = [
            (None, height, width, channels),
            *(inner,) * 4,
            (None, 2 * height, 2 * width, self.filters),
        ]
        parts = (*self.convolutions, self.upsample, self.classifier)
        return list(zip(parts, shapes, strict=True))

    def part_calls(
        self, input_shape: Any
    ) -> list[tuple[keras.layers.Layer, Shape]]:
        # The parts take the regions as a batch.
        regions = input_shape[1]
        return self.part_inputs(input_shape) * regions

    def call(self, inputs: Tensor) -> Tensor:
        shape = keras.ops.shape(inputs)
        height, width, channels = inputs.shape[2:]
        x = keras.ops.reshape(inputs, (-1, height, width, channels))
        for part in (*self.convolutions, self.upsample):
            x = keras.ops.relu(part(x))
        x = self.classifier(x)
        size = (shape[0], shape[1], 2 * height, 2 * width, self.num_classes)
        return keras.ops.reshape(x, size)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, regions, height, width, _ = input_shape
        return (batch, regions, 2 * height, 2 * width, self.num_classes)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "filters": self.filters,
        }


def _check_positive(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise ValueError(
                f"`{name}` must be positive. Received: {name}={value}"
            )
