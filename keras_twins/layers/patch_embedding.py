"""From an image or a map to a coarser map."""

from typing import Any

import keras

from keras_twins import ops
from keras_twins.config import PatchPadding
from keras_twins.config import check_choice
from keras_twins.layers.composite import CompositeLayer
from keras_twins.layers.convolution import patch_convolution
from keras_twins.layers.normalization import norm_part
from keras_twins.ops import Shape
from keras_twins.ops import Tensor


@keras.saving.register_keras_serializable(package="keras_twins")
class PatchEmbedding(CompositeLayer):
    """Merges patches that do not overlap: a strided convolution and a norm.

    Args:
        embed_dim: Number of output channels.
        patch_size: Side of a patch in positions.
        patch_padding: `"valid"` drops the rows and columns that do not fill
            a patch, `"corner"` fills them with zeros at the bottom and right.
        epsilon: Epsilon of the LayerNorm.
        **kwargs: Keywords of `keras.layers.Layer`.

    Call arguments:
        inputs: Map of shape `(batch, height, width, channels)`.

    Call returns:
        Map of shape `(batch, height / p, width / p, embed_dim)`, `p` being
        the patch size; rounded down for `"valid"`, up for `"corner"`.

    Raises:
        ValueError: If the map is smaller than a patch.

    Reference:
        - [Twins](https://arxiv.org/abs/2104.13840), Section 3

    Example:

    ```python
    images = keras.random.normal((2, 224, 224, 3))
    x = keras_twins.layers.PatchEmbedding(embed_dim=64, patch_size=4)(images)
    ```
    """

    def __init__(
        self,
        embed_dim: int,
        patch_size: int,
        patch_padding: PatchPadding = "valid",
        # Not the 1e-6 of the blocks: the originals use torch's default here.
        epsilon: float = 1e-5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_choice("patch_padding", patch_padding)
        self.embed_dim = embed_dim
        self.patch_size = patch_size
        self.patch_padding = patch_padding
        self.epsilon = epsilon
        self.projection = patch_convolution(
            embed_dim, patch_size, self.dtype_policy, "projection"
        )
        self.norm = norm_part(self, epsilon, "norm")

    def build(self, input_shape: Shape) -> None:
        self._check_size(input_shape)
        self.projection.build(input_shape)
        self.norm.build(self.compute_output_shape(input_shape))

    def _check_size(self, shape: Shape) -> None:
        if len(shape) != 4:
            raise ValueError(
                "PatchEmbedding needs maps of shape (batch, height, width, "
                f"channels). Received: shape={tuple(shape)}"
            )
        if self.patch_padding == "valid":
            ops.check_min_size(
                shape[1], shape[2], self.patch_size, "PatchEmbedding"
            )

    def call(self, inputs: Tensor) -> Tensor:
        if self.patch_padding == "corner":
            x = ops.pad_to_multiple(inputs, self.patch_size)
        else:
            x = ops.require_min_size(inputs, self.patch_size, "PatchEmbedding")
        return self.norm(self.projection(x))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self._check_size(input_shape)
        extra = self.patch_size - 1 if self.patch_padding == "corner" else 0
        height, width = (
            None if size is None else (size + extra) // self.patch_size
            for size in input_shape[1:3]
        )
        return (input_shape[0], height, width, self.embed_dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "embed_dim": self.embed_dim,
            "patch_size": self.patch_size,
            "patch_padding": self.patch_padding,
            "epsilon": self.epsilon,
        }
