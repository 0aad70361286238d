"""What all heads of segmentation end with, and the simplest of them."""

from typing import Any

import keras

from keras_twins.layers import ConvolutionBlock
from keras_twins.layers.composite import AssembledLayer
from keras_twins.layers.convolution_block import classifier_part
from keras_twins.ops import Shape
from keras_twins.ops import Tensor


class ClassifierHead(AssembledLayer):
    """A head that ends with dropout of channels and a classifier.

    Abstract: it has no `call`.

    Args:
        num_classes: Number of classes.
        filters: Number of channels before the classifier.
        dropout_rate: Fraction of these channels that training leaves out.
        **kwargs: Keywords of `keras.layers.Layer`.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(
        self,
        num_classes: int,
        filters: int,
        dropout_rate: float = 0.1,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if num_classes < 1 or filters < 1:
            raise ValueError(
                "`num_classes` and `filters` must be positive. Received: "
                f"{num_classes=}, {filters=}"
            )
        self.num_classes = num_classes
        self.filters = filters
        self.dropout_rate = dropout_rate
        self.dropout = keras.layers.SpatialDropout2D(
            dropout_rate,
            data_format="channels_last",
            dtype=self.dtype_policy,
            name="dropout",
        )
        self.classifier = classifier_part(self, num_classes)

    def classify(self, x: Tensor, training: bool | None) -> Tensor:
        """Returns the logits of the last map.

        Args:
            x: Map of shape `(batch, height, width, filters)`.
            training: Whether dropout is active.

        Returns:
            Map of shape `(batch, height, width, num_classes)`.
        """
        return self.classifier(self.dropout(x, training=training))

    def like(self, shape: Shape) -> Shape:
        """Returns the shape of a map with the channels of the head.

        Args:
            shape: Shape of a map of the same size.

        Returns:
            A shape.
        """
        return (*shape[:3], self.filters)

    def block(self, name: str, kernel_size: int = 3) -> ConvolutionBlock:
        """Returns a convolution block with the channels of the head.

        Args:
            name: Name of the block.
            kernel_size: Side of the kernel.

        Returns:
            The layer, not yet built.
        """
        return ConvolutionBlock(
            self.filters, kernel_size, dtype=self.dtype_policy, name=name
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "filters": self.filters,
            "dropout_rate": self.dropout_rate,
        }


@keras.saving.register_keras_serializable(package="keras_twins")
class FCNHead(ClassifierHead):
    """One convolution block and a classifier, on one map.

    Takes the arguments of `ClassifierHead`.

    Call arguments:
        inputs: Map of shape `(batch, height, width, channels)`.
        training: Whether dropout is active, and moments are the batch's.

    Call returns:
        Logits of shape `(batch, height, width, num_classes)`.

    Reference:
        - [Fully Convolutional Networks](https://arxiv.org/abs/1411.4038)
    """

    def build(self, input_shape: Shape) -> None:
        self.convolution = self.block("convolution")
        self.build_parts(input_shape)

    def part_inputs(
        self, input_shape: Any
    ) -> list[tuple[keras.layers.Layer, Shape]]:
        return [
            (self.convolution, input_shape),
            (self.classifier, self.like(input_shape)),
        ]

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        x = self.convolution(inputs, training=training)
        return self.classify(x, training)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:3], self.num_classes)
