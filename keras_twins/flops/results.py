"""What a count gives, and how others publish it."""

import dataclasses
from collections.abc import Mapping
from typing import Any
from typing import Literal

from keras_twins.flops.costs import Cost
from keras_twins.flops.costs import Shape

Convention = Literal["products", "readme", "timm", "mmpretrain"]


@dataclasses.dataclass(frozen=True)
class LayerCount:
    """What one use of a layer costs.

    Args:
        name: Name of the layer; within nested models, `"model/layer"`.
        kind: Name of the layer's class.
        output_shape: Shape of its (first) output, with the batch.
        parameters: Number of its weights' values; 0 where a layer is used
            again.
        cost: What it computes for one image; `None` if that is not known.
    """

    name: str
    kind: str
    output_shape: Shape
    parameters: int
    cost: Cost | None

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all products; 0 if not known."""
        cost = self.cost or Cost()
        return cost.projections + cost.attention


@dataclasses.dataclass(frozen=True)
class FlopCount:
    """What a model costs for one image.

    A multiply-accumulate (MAC) is one multiplication and one addition. Only
    products are counted: convolutions, dense layers and the two products of
    attention, on the maps as they are computed, zero padding included. Biases,
    norms, activations, softmax, pooling, resizing, residual sums and
    `keras.ops` between layers are not.

    Args:
        input_shape: Shape of one image, without the batch; one shape for
            each input where a model has several.
        macs_projections: MACs of convolutions and dense products.
        macs_attention: MACs of queries with keys, and of attention weights
            with values.
        norm_elements: Values that go through norms, for `macs`.
        convolution_outputs: Values that convolutions give, for `macs`.
        parameters: Number of the weights' values, trainable or not.
        by_layer: What each layer costs, in the order of computation.
        uncounted: Names of layers that compute products which are not known
            here and are missing in the counts.
    """

    input_shape: tuple[Any, ...]
    macs_projections: int
    macs_attention: int
    norm_elements: int
    convolution_outputs: int
    parameters: int
    by_layer: tuple[LayerCount, ...]
    uncounted: tuple[str, ...]

    @property
    def total_macs(self) -> int:
        """MACs of all products, as in the paper."""
        return self.macs_projections + self.macs_attention

    @property
    def flops(self) -> int:
        """Floating-point operations of all products: 2 for each MAC."""
        return 2 * self.total_macs

    def macs(self, convention: Convention = "products") -> int:
        """Returns the MACs as others publish them (often named FLOPs).

        All of them count the head, and all convolutions and dense products.

        Args:
            convention: `"products"`: all products (the paper). `"readme"`:
                without the products of attention (the README of the official
                code). `"timm"`: all products, and 5 for each value that goes
                through a norm (fvcore). `"mmpretrain"`: without the products
                of attention, but with 2 for each value that goes through a
                norm and 1 for each value that a convolution gives (its bias;
                the counter of mmcv).

        Returns:
            Number of MACs for one image.

        Raises:
            ValueError: If the convention is unknown.
        """
        if convention not in _WEIGHTS:
            raise ValueError(
                f"`convention` must be one of {sorted(_WEIGHTS)}. Received: "
                f"convention={convention!r}"
            )
        attention, norm, convolution = _WEIGHTS[convention]
        return (
            self.macs_projections
            + attention * self.macs_attention
            + norm * self.norm_elements
            + convolution * self.convolution_outputs
        )


# Factors of attention products, norm elements and convolution outputs.
_WEIGHTS: Mapping[str, tuple[int, int, int]] = {
    "products": (1, 0, 0),
    "readme": (0, 0, 0),
    "timm": (1, 5, 0),
    "mmpretrain": (0, 2, 1),
}
