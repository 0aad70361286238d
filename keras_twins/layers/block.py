"""The transformer block of Twins."""

from typing import Any

import keras

from keras_twins.config import AttentionKind
from keras_twins.config import Reduction
from keras_twins.config import WindowPadding
from keras_twins.layers.attention import GlobalSubsampledAttention
from keras_twins.layers.attention import LocallyGroupedAttention
from keras_twins.layers.composite import CompositeLayer
from keras_twins.layers.drop_path import DropPath
from keras_twins.layers.mlp import MLP
from keras_twins.layers.normalization import norm_part
from keras_twins.layers.rematerialize import rematerialize
from keras_twins.ops import Shape
from keras_twins.ops import Tensor


@keras.saving.register_keras_serializable(package="keras_twins")
class TwinsBlock(CompositeLayer):
    """Attention and MLP, each behind a norm and around a residual path.

    Args:
        attention: `"local"` (LSA) or `"global"` (GSA).
        num_heads: Number of attention heads.
        mlp_ratio: Hidden width of the MLP over the channels.
        window_size: Side of LSA's windows, in positions.
        window_padding: See `LocallyGroupedAttention`.
        sr_ratio: Sub-sampling ratio of GSA.
        reduction: See `GlobalSubsampledAttention`.
        epsilon: Epsilon of the norms before attention and MLP.
        reduction_epsilon: Epsilon of the norm in GSA.
        drop_path_rate: Probability to drop a residual branch of a sample.
        dropout_rate: Dropout after attention and in the MLP.
        attention_dropout_rate: Dropout of the attention weights.
        gradient_checkpointing: Whether training computes the block a second
            time in the backward pass instead of keeping what is in it.
        **kwargs: Keywords of `keras.layers.Layer`.

    Call arguments:
        inputs: Map of shape `(batch, height, width, channels)`.
        training: Whether dropout and drop path are active.

    Call returns:
        Map of the shape of `inputs`.

    Raises:
        ValueError: If `attention` is neither `"local"` nor `"global"`.

    Reference:
        - [Twins](https://arxiv.org/abs/2104.13840), Equation 1

    Example:

    ```python
    x = keras.random.normal((2, 28, 28, 64))
    y = keras_twins.layers.TwinsBlock("local", num_heads=2)(x)
    ```
    """

    def __init__(
        self,
        attention: AttentionKind,
        num_heads: int,
        mlp_ratio: float = 4.0,
        window_size: int = 7,
        window_padding: WindowPadding = "zero",
        sr_ratio: int = 1,
        reduction: Reduction = "conv",
        epsilon: float = 1e-6,
        reduction_epsilon: float = 1e-5,
        drop_path_rate: float = 0.0,
        dropout_rate: float = 0.0,
        attention_dropout_rate: float = 0.0,
        gradient_checkpointing: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if attention not in ("local", "global"):
            raise ValueError(
                "`attention` must be 'local' or 'global'. Received: "
                f"attention={attention!r}"
            )
        self.attention_kind: AttentionKind = attention
        self.num_heads = num_heads
        self.mlp_ratio = mlp_ratio
        self.window_size = window_size
        self.window_padding: WindowPadding = window_padding
        self.sr_ratio = sr_ratio
        self.reduction: Reduction = reduction
        self.epsilon = epsilon
        self.reduction_epsilon = reduction_epsilon
        self.drop_path_rate = drop_path_rate
        self.dropout_rate = dropout_rate
        self.attention_dropout_rate = attention_dropout_rate
        self.gradient_checkpointing = gradient_checkpointing

    def build(self, input_shape: Shape) -> None:
        self.norm1 = norm_part(self, self.epsilon, "norm1")
        self.attention = self._attention()
        self.norm2 = norm_part(self, self.epsilon, "norm2")
        self.mlp = MLP(
            int(input_shape[-1] * self.mlp_ratio),
            dropout_rate=self.dropout_rate,
            dtype=self.dtype_policy,
            name="mlp",
        )
        for layer in (self.norm1, self.attention, self.norm2, self.mlp):
            layer.build(input_shape)
        # One object for both branches would draw from one stream as well;
        # two keep the branches' names and seeds apart.
        self.drop_path1 = self._drop_path("drop_path1")
        self.drop_path2 = self._drop_path("drop_path2")

    def _drop_path(self, name: str) -> DropPath:
        return DropPath(self.drop_path_rate, dtype=self.dtype_policy, name=name)

    def _attention(self) -> keras.layers.Layer:
        shared = {
            "num_heads": self.num_heads,
            "dropout_rate": self.dropout_rate,
            "attention_dropout_rate": self.attention_dropout_rate,
            "dtype": self.dtype_policy,
            "name": "attention",
        }
        if self.attention_kind == "local":
            return LocallyGroupedAttention(
                window_size=self.window_size,
                window_padding=self.window_padding,
                **shared,
            )
        return GlobalSubsampledAttention(
            sr_ratio=self.sr_ratio,
            reduction=self.reduction,
            epsilon=self.reduction_epsilon,
            **shared,
        )

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if self.gradient_checkpointing and training:
            return rematerialize(self, self._forward, inputs)
        return self._forward(inputs, training=training)

    def _forward(self, x: Tensor, training: bool | None = None) -> Tensor:
        branch = self.attention(self.norm1(x), training=training)
        x = x + self.drop_path1(branch, training=training)
        branch = self.mlp(self.norm2(x), training=training)
        return x + self.drop_path2(branch, training=training)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "attention": self.attention_kind,
            "num_heads": self.num_heads,
            "mlp_ratio": self.mlp_ratio,
            "window_size": self.window_size,
            "window_padding": self.window_padding,
            "sr_ratio": self.sr_ratio,
            "reduction": self.reduction,
            "epsilon": self.epsilon,
            "reduction_epsilon": self.reduction_epsilon,
            "drop_path_rate": self.drop_path_rate,
            "dropout_rate": self.dropout_rate,
            "attention_dropout_rate": self.attention_dropout_rate,
            "gradient_checkpointing": self.gradient_checkpointing,
        }
