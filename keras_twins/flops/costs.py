"""What one layer costs for an image, from its configuration and its input.

One small function for each kind of layer, found by the layer's class. None
of them runs a layer or reads the value of a weight. The batch is left out.
"""

import dataclasses
import math
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import keras

from keras_twins.layers import MLP
from keras_twins.layers import GlobalSubsampledAttention
from keras_twins.layers import LocallyGroupedAttention
from keras_twins.layers import PatchEmbedding
from keras_twins.layers import PositionEncodingGenerator
from keras_twins.layers import TwinsBlock
from keras_twins.layers.composite import AssembledLayer

Shape = tuple[Any, ...]
"""Shape of a tensor, with the batch; only the batch may be `None`."""


@dataclasses.dataclass(frozen=True)
class Cost:
    """What is computed for one image.

    Args:
        projections: Multiply-accumulates of convolutions and dense products.
        attention: Multiply-accumulates of queries with keys and of attention
            weights with values.
        norm_elements: Values that go through normalisations.
        convolution_outputs: Values that convolutions give, which is also the
            number of their bias additions.
    """

    projections: int = 0
    attention: int = 0
    norm_elements: int = 0
    convolution_outputs: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.projections + other.projections,
            self.attention + other.attention,
            self.norm_elements + other.norm_elements,
            self.convolution_outputs + other.convolution_outputs,
        )


def layer_cost(layer: keras.layers.Layer, *shapes: Shape) -> Cost | None:
    """Returns what a layer costs, or `None` if that is not known.

    Args:
        layer: A built layer that is not a model.
        *shapes: Shapes of its inputs.

    Returns:
        A `Cost`; `None` for a layer of unknown class that has weights or is
        made of products, or whose input has unknown sizes.
    """
    shape = shapes[0]
    known = all(None not in shape[1:] for shape in shapes)
    if isinstance(layer, AssembledLayer) and known:
        whole = shape if len(shapes) == 1 else list(shapes)
        parts = layer.part_calls(whole)
        return sum((_part(part, x) for part, x in parts), start=Cost())
    for cls in type(layer).__mro__:
        if cls in _COSTS:
            return _COSTS[cls](layer, shape) if known else None
    if layer.weights or isinstance(layer, _PRODUCTS_WITHOUT_WEIGHTS):
        return None
    return Cost()


def _part(layer: keras.layers.Layer, shape: Shape) -> Cost:
    """Returns the cost of a layer within one of ours."""
    cost = layer_cost(layer, shape)
    if cost is None:
        raise NotImplementedError(
            f"No cost is known for {type(layer).__name__} '{layer.path}'."
        )
    return cost


def _size(shape: Shape) -> int:
    return math.prod(shape[1:])


def _channels(layer: Any, shape: Shape) -> int:
    first = layer.data_format == "channels_first"
    return shape[1 if first else -1]


def _convolution(layer: Any, shape: Shape) -> Cost:
    outputs = _size(layer.compute_output_shape(shape))
    taps = math.prod(layer.kernel_size)
    taps *= _channels(layer, shape) // layer.groups
    return Cost(projections=outputs * taps, convolution_outputs=outputs)


def _depthwise_convolution(layer: Any, shape: Shape) -> Cost:
    outputs = _size(layer.compute_output_shape(shape))
    taps = math.prod(layer.kernel_size)
    return Cost(projections=outputs * taps, convolution_outputs=outputs)


def _separable_convolution(layer: Any, shape: Shape) -> Cost:
    outputs = _size(layer.compute_output_shape(shape))
    wide = _channels(layer, shape) * layer.depth_multiplier
    depthwise = outputs // layer.filters * wide * math.prod(layer.kernel_size)
    return Cost(
        projections=depthwise + outputs * wide, convolution_outputs=outputs
    )


def _transposed_convolution(layer: Any, shape: Shape) -> Cost:
    # Every input value is spread over the kernel, for every filter.
    taps = math.prod(layer.kernel_size) * layer.filters
    outputs = _size(layer.compute_output_shape(shape))
    return Cost(projections=_size(shape) * taps, convolution_outputs=outputs)


def _dense(layer: Any, shape: Shape) -> Cost:
    return Cost(projections=_size(shape) * layer.units)


def _einsum_dense(layer: Any, shape: Shape) -> Cost:
    operands, _ = layer.equation.replace(" ", "").split("->")
    of_input, of_kernel = operands.split(",")
    new_axes = [
        size
        for label, size in zip(of_kernel, layer.kernel.shape, strict=True)
        if label not in of_input
    ]
    return Cost(projections=_size(shape) * math.prod(new_axes))


def _norm(layer: Any, shape: Shape) -> Cost:
    return Cost(norm_elements=_size(shape))


def _nothing(layer: Any, shape: Shape) -> Cost:
    return Cost()


def _patch_embedding(layer: PatchEmbedding, shape: Shape) -> Cost:
    output: Shape = layer.compute_output_shape(shape)
    patch = layer.patch_size
    # Seen from the output, since corner padding adds to the input.
    whole = (shape[0], output[1] * patch, output[2] * patch, shape[-1])
    return _part(layer.projection, whole) + _part(layer.norm, output)


def _position_encoding(layer: PositionEncodingGenerator, shape: Shape) -> Cost:
    return _part(layer.depthwise, shape)


def _mlp(layer: MLP, shape: Shape) -> Cost:
    hidden = (*shape[:-1], layer.hidden_dim)
    return _part(layer.fc1, shape) + _part(layer.fc2, hidden)


def _local_attention(layer: LocallyGroupedAttention, shape: Shape) -> Cost:
    batch, height, width, channels = shape
    window = layer.window_size
    # Positions that fill up the last windows are computed like the others;
    # only the output projection comes after the crop.
    padded = (batch, *(-(-s // window) * window for s in (height, width)))
    products = 2 * _size(padded) * window**2 * channels
    return (
        _part(layer.qkv, (*padded, channels))
        + _part(layer.projection, shape)
        + Cost(attention=products)
    )


def _global_attention(layer: GlobalSubsampledAttention, shape: Shape) -> Cost:
    cost = _part(layer.q, shape) + _part(layer.projection, shape)
    keys = shape
    if layer.sr_ratio > 1:
        keys = layer.reduction.compute_output_shape(shape)
        cost += _part(layer.reduction, shape)
        cost += _part(layer.reduction_norm, keys)
    products = 2 * _size(shape) * _size(keys[:-1])
    return cost + _part(layer.kv, keys) + Cost(attention=products)


def _block(layer: TwinsBlock, shape: Shape) -> Cost:
    parts = (layer.norm1, layer.attention, layer.norm2, layer.mlp)
    return sum((_part(part, shape) for part in parts), start=Cost())


_COSTS: Mapping[type, Callable[..., Cost]] = {
    PatchEmbedding: _patch_embedding,
    PositionEncodingGenerator: _position_encoding,
    TwinsBlock: _block,
    LocallyGroupedAttention: _local_attention,
    GlobalSubsampledAttention: _global_attention,
    MLP: _mlp,
    keras.layers.Dense: _dense,
    keras.layers.EinsumDense: _einsum_dense,
    keras.layers.Conv1D: _convolution,
    keras.layers.Conv2D: _convolution,
    keras.layers.Conv3D: _convolution,
    keras.layers.DepthwiseConv1D: _depthwise_convolution,
    keras.layers.DepthwiseConv2D: _depthwise_convolution,
    keras.layers.SeparableConv1D: _separable_convolution,
    keras.layers.SeparableConv2D: _separable_convolution,
    keras.layers.Conv1DTranspose: _transposed_convolution,
    keras.layers.Conv2DTranspose: _transposed_convolution,
    keras.layers.Conv3DTranspose: _transposed_convolution,
    keras.layers.BatchNormalization: _norm,
    keras.layers.GroupNormalization: _norm,
    keras.layers.LayerNormalization: _norm,
    keras.layers.RMSNormalization: _norm,
    keras.layers.Embedding: _nothing,
    keras.layers.Normalization: _nothing,
    keras.layers.PReLU: _nothing,
}

_PRODUCTS_WITHOUT_WEIGHTS = (
    keras.layers.AdditiveAttention,
    keras.layers.Attention,
    keras.layers.Dot,
)
