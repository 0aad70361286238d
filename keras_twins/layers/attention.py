"""The two attentions of Twins: local within windows, global to few keys."""

from typing import Any

import keras

from keras_twins import ops
from keras_twins.config import Reduction
from keras_twins.config import WindowPadding
from keras_twins.config import check_choice
from keras_twins.layers.composite import CompositeLayer
from keras_twins.layers.convolution import patch_convolution
from keras_twins.layers.initializers import ConvolutionNormal
from keras_twins.layers.normalization import norm_part
from keras_twins.layers.projection import dense_part
from keras_twins.ops import Shape
from keras_twins.ops import Tensor


@keras.saving.register_keras_serializable(package="keras_twins")
class LocallyGroupedAttention(CompositeLayer):
    """LSA: self-attention within windows that do not overlap.

    Maps whose height or width is not a multiple of the window are filled up
    with zeros at the bottom and right, and cropped again.

    Args:
        num_heads: Number of heads; must divide the channels.
        window_size: Side of a window in positions.
        window_padding: Part that the filled-up positions take. `"zero"`:
            they are zero maps that the others attend to (timm, official
            detection). `"masked"`: nobody attends to them.
            `"masked_legacy"`: as `"masked"` where both height and width are
            filled up, else as `"zero"` (official segmentation, OpenMMLab).
        dropout_rate: Dropout after the output projection.
        attention_dropout_rate: Dropout of the attention weights.
        **kwargs: Keywords of `keras.layers.Layer`.

    Call arguments:
        inputs: Map of shape `(batch, height, width, channels)`.
        training: Whether dropout is active.

    Call returns:
        Map of the shape of `inputs`.

    Raises:
        ValueError: If `window_padding` is unknown, or `num_heads` does not
            divide the channels.

    Reference:
        - [Twins](https://arxiv.org/abs/2104.13840), Section 3.2 (LSA)

    Example:

    ```python
    x = keras.random.normal((2, 30, 41, 64))
    lsa = keras_twins.layers.LocallyGroupedAttention(
        num_heads=2, window_size=7, window_padding="masked"
    )
    y = lsa(x)
    ```
    """

    def __init__(
        self,
        num_heads: int,
        window_size: int,
        window_padding: WindowPadding = "zero",
        dropout_rate: float = 0.0,
        attention_dropout_rate: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_choice("window_padding", window_padding)
        self.num_heads = num_heads
        self.window_size = window_size
        self.window_padding = window_padding
        self.dropout_rate = dropout_rate
        self.attention_dropout_rate = attention_dropout_rate
        self.dropout = _dropout(self, dropout_rate, "dropout")
        self.attention_dropout = _dropout(
            self, attention_dropout_rate, "attention_dropout"
        )

    def build(self, input_shape: Shape) -> None:
        channels = _require_heads(self, input_shape)
        self.qkv = dense_part(self, 3 * channels, "qkv")
        self.projection = dense_part(self, channels, "projection")
        self.qkv.build(input_shape)
        self.projection.build(input_shape)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        height, width = ops.spatial_size(inputs)
        x_BHWC = ops.pad_to_multiple(inputs, self.window_size)
        padded_height, padded_width = ops.spatial_size(x_BHWC)
        qkv_GLK = ops.partition_windows(self.qkv(x_BHWC), self.window_size)
        x_GLC = ops.attend(
            *keras.ops.split(qkv_GLK, 3, axis=-1),
            num_heads=self.num_heads,
            key_mask_BM=self._mask(inputs),
            dropout=_applied(self.attention_dropout, training),
        )
        x_BHWC = ops.merge_windows(
            x_GLC, self.window_size, padded_height, padded_width
        )
        x_BHWC = self.projection(ops.crop(x_BHWC, height, width))
        return self.dropout(x_BHWC, training=training)

    def _mask(self, inputs: Tensor) -> Tensor | None:
        """Returns which keys take part, `(windows, tokens)`, if not all."""
        if self.window_padding == "zero":
            return None
        height, width = ops.spatial_size(inputs)
        bottom, right = (-size % self.window_size for size in (height, width))
        if isinstance(bottom, int) and isinstance(right, int):
            legacy = self.window_padding == "masked_legacy"
            padded = (bottom and right) if legacy else (bottom or right)
            if not padded:
                return None
        mask_BHWC = ops.pad_to_multiple(
            keras.ops.ones_like(inputs[..., :1]), self.window_size
        )
        mask_GL = ops.partition_windows(mask_BHWC, self.window_size)[..., 0]
        if self.window_padding == "masked":
            return mask_GL
        # The official slices `mask[:, -pad:]` take the whole axis when the
        # pad is 0, which makes all positions alike: nothing is masked then.
        one_sided = keras.ops.logical_or(
            keras.ops.equal(bottom, 0), keras.ops.equal(right, 0)
        )
        return keras.ops.maximum(
            mask_GL, keras.ops.cast(one_sided, mask_GL.dtype)
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "window_size": self.window_size,
            "window_padding": self.window_padding,
            "dropout_rate": self.dropout_rate,
            "attention_dropout_rate": self.attention_dropout_rate,
        }


@keras.saving.register_keras_serializable(package="keras_twins")
class GlobalSubsampledAttention(CompositeLayer):
    """GSA: every position attends to a sub-sampled copy of the map.

    Args:
        num_heads: Number of heads; must divide the channels.
        sr_ratio: Side of the square of positions that one key stands for.
            With 1, the map is not sub-sampled.
        reduction: Sub-sampling function: `"conv"` (strided convolution),
            `"depthwise_conv"` or `"average_pool"`, each followed by a
            LayerNorm.
        epsilon: Epsilon of that LayerNorm.
        dropout_rate: Dropout after the output projection.
        attention_dropout_rate: Dropout of the attention weights.
        **kwargs: Keywords of `keras.layers.Layer`.

    Call arguments:
        inputs: Map of shape `(batch, height, width, channels)`, at least
            `sr_ratio` high and wide.
        training: Whether dropout is active.

    Call returns:
        Map of the shape of `inputs`.

    Raises:
        ValueError: If `reduction` is unknown, `num_heads` does not divide
            the channels, or the map is smaller than `sr_ratio`.

    Reference:
        - [Twins](https://arxiv.org/abs/2104.13840), Section 3.2 (GSA) and
          Table 9 (sub-sampling functions)

    Example:

    ```python
    x = keras.random.normal((2, 30, 41, 64))
    y = keras_twins.layers.GlobalSubsampledAttention(num_heads=2, sr_ratio=4)(x)
    ```
    """

    def __init__(
        self,
        num_heads: int,
        sr_ratio: int = 1,
        reduction: Reduction = "conv",
        # Not the 1e-6 of the blocks: the originals use torch's default here.
        epsilon: float = 1e-5,
        dropout_rate: float = 0.0,
        attention_dropout_rate: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_choice("reduction", reduction)
        self.num_heads = num_heads
        self.sr_ratio = sr_ratio
        self.reduction_method = reduction
        self.epsilon = epsilon
        self.dropout_rate = dropout_rate
        self.attention_dropout_rate = attention_dropout_rate
        self.dropout = _dropout(self, dropout_rate, "dropout")
        self.attention_dropout = _dropout(
            self, attention_dropout_rate, "attention_dropout"
        )

    def build(self, input_shape: Shape) -> None:
        channels = _require_heads(self, input_shape)
        owner = f"GlobalSubsampledAttention(sr_ratio={self.sr_ratio})"
        ops.check_min_size(input_shape[1], input_shape[2], self.sr_ratio, owner)
        self.q = dense_part(self, channels, "q")
        self.kv = dense_part(self, 2 * channels, "kv")
        self.projection = dense_part(self, channels, "projection")
        self.q.build(input_shape)
        if self.sr_ratio > 1:
            self._build_reduction(input_shape)
        self.kv.build(input_shape)
        self.projection.build(input_shape)

    def _build_reduction(self, input_shape: Shape) -> None:
        self.reduction = _reduction_layer(self, input_shape[-1])
        self.reduction_norm = norm_part(self, self.epsilon, "reduction_norm")
        self.reduction.build(input_shape)
        self.reduction_norm.build(input_shape)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        keys_BHWC = inputs
        if self.sr_ratio > 1:
            keys_BHWC = ops.require_min_size(
                inputs, self.sr_ratio, "GlobalSubsampledAttention"
            )
            keys_BHWC = self.reduction_norm(self.reduction(keys_BHWC))
        kv_BMK = _flatten(self.kv(keys_BHWC))
        x_BLC = ops.attend(
            _flatten(self.q(inputs)),
            *keras.ops.split(kv_BMK, 2, axis=-1),
            num_heads=self.num_heads,
            dropout=_applied(self.attention_dropout, training),
        )
        x_BHWC = keras.ops.reshape(x_BLC, keras.ops.shape(inputs))
        return self.dropout(self.projection(x_BHWC), training=training)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "sr_ratio": self.sr_ratio,
            "reduction": self.reduction_method,
            "epsilon": self.epsilon,
            "dropout_rate": self.dropout_rate,
            "attention_dropout_rate": self.attention_dropout_rate,
        }


def _flatten(x_BHWC: Tensor) -> Tensor:
    height, width = ops.spatial_size(x_BHWC)
    return keras.ops.reshape(x_BHWC, (-1, height * width, x_BHWC.shape[-1]))


def _dropout(
    owner: keras.layers.Layer, rate: float, name: str
) -> keras.layers.Dropout:
    return keras.layers.Dropout(rate, dtype=owner.dtype_policy, name=name)


def _applied(dropout: keras.layers.Dropout, training: bool | None):
    """Returns the dropout as a function of one tensor, if it is active."""
    if not training or dropout.rate == 0:
        return None
    return lambda weights: dropout(weights, training=True)


def _reduction_layer(
    owner: GlobalSubsampledAttention, channels: int
) -> keras.layers.Layer:
    if owner.reduction_method == "conv":
        return patch_convolution(
            channels, owner.sr_ratio, owner.dtype_policy, "reduction"
        )
    if owner.reduction_method == "depthwise_conv":
        return keras.layers.DepthwiseConv2D(
            owner.sr_ratio,
            strides=owner.sr_ratio,
            data_format="channels_last",
            depthwise_initializer=ConvolutionNormal(),
            dtype=owner.dtype_policy,
            name="reduction",
        )
    return keras.layers.AveragePooling2D(
        owner.sr_ratio,
        data_format="channels_last",
        dtype=owner.dtype_policy,
        name="reduction",
    )


def _require_heads(owner: keras.layers.Layer, input_shape: Shape) -> int:
    """Returns the channels of the input, if the heads divide them."""
    channels = input_shape[-1]
    if len(input_shape) != 4 or channels is None:
        raise ValueError(
            f"{type(owner).__name__} needs maps of shape (batch, height, "
            "width, channels) with known channels. Received: "
            f"shape={tuple(input_shape)}"
        )
    if channels % owner.num_heads:
        raise ValueError(
            "`num_heads` must divide the channels. Received: "
            f"num_heads={owner.num_heads}, channels={channels}"
        )
    return channels
