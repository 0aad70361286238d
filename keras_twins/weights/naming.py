"""Which tensor of a checkpoint fills which weight of a model, as tables.

Names are those of the official code, which timm shares. `{s}` is the stage,
`{b}` the block. Which rows a model has follows from its config alone.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np

from keras_twins.config import NUM_STAGES
from keras_twins.config import TwinsConfig


@dataclasses.dataclass(frozen=True)
class Transform:
    """How an array of torch becomes one of Keras, and back.

    Args:
        axes: Permutation of the axes from torch to Keras.
    """

    axes: tuple[int, ...] | None = None

    def to_keras(self, array: np.ndarray) -> np.ndarray:
        """Returns a view of the array in Keras' layout."""
        return array if self.axes is None else np.transpose(array, self.axes)

    def to_torch(self, array: np.ndarray) -> np.ndarray:
        """Returns a view of the array in torch's layout."""
        if self.axes is None:
            return array
        return np.transpose(array, np.argsort(self.axes))

    def keras_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the shape in Keras of a shape in torch."""
        if self.axes is None or len(shape) != len(self.axes):
            return shape
        return tuple(shape[axis] for axis in self.axes)


@dataclasses.dataclass(frozen=True)
class FlattenedTransform(Transform):
    """A matrix whose inputs are the values of a map, one after the other.

    Torch counts channels, rows, columns; Keras rows, columns, channels.

    Args:
        axes: Permutation of outputs and inputs from torch to Keras.
        side: Height and width of the map.
    """

    axes: tuple[int, ...] | None = (1, 0)
    side: int = 7

    def to_keras(self, array: np.ndarray) -> np.ndarray:
        """Returns the array in Keras' layout."""
        maps = array.reshape(len(array), -1, self.side, self.side)
        return maps.transpose(2, 3, 1, 0).reshape(-1, len(array))

    def to_torch(self, array: np.ndarray) -> np.ndarray:
        """Returns the array in torch's layout."""
        outputs = array.shape[1]
        maps = array.reshape(self.side, self.side, -1, outputs)
        return maps.transpose(3, 2, 0, 1).reshape(outputs, -1)


@dataclasses.dataclass(frozen=True)
class Pair:
    """One tensor of a checkpoint and the weight that it fills.

    Args:
        source: Name in the checkpoint.
        path: `path` of the Keras variable.
        transform: From the checkpoint's layout to Keras'.
    """

    source: str
    path: str
    transform: Transform


SAME = Transform()
LINEAR = Transform((1, 0))
CONVOLUTION = Transform((2, 3, 1, 0))
# Torch has inputs before outputs there, and Keras outputs before inputs.
TRANSPOSED_CONVOLUTION = Transform((2, 3, 1, 0))
DEPTHWISE = Transform((2, 3, 0, 1))
# The first dense layer after regions pooled to 7 x 7.
FLATTENED_REGION = FlattenedTransform()

STEM = "patch_embeds.0.proj.weight"

# The parameters of a module: name in torch, name in Keras, transform.
Parts = tuple[tuple[str, str, Transform], ...]
# Modules: name in torch, path in Keras, parameters.
Rows = tuple[tuple[str, str, Parts], ...]

# fmt: off
DENSE: Parts  = (("weight", "kernel", LINEAR),      ("bias", "bias", SAME))
CONV: Parts   = (("weight", "kernel", CONVOLUTION), ("bias", "bias", SAME))
_DEPTH: Parts = (("weight", "kernel", DEPTHWISE),   ("bias", "bias", SAME))
_NORM: Parts  = (("weight", "gamma",  SAME),        ("bias", "beta", SAME))

_P = "stage{s}_patch_embedding"
_B = "stage{s}_block{b}"
PATCH: Rows = (
    ("patch_embeds.{s}.proj",       _P + "/projection",                CONV),
    ("patch_embeds.{s}.norm",       _P + "/norm",                      _NORM),
)
PEG: Rows = (
    ("pos_block.{s}.proj.0",        "stage{s}_peg/depthwise",          _DEPTH),
)
BLOCK: Rows = (
    ("blocks.{s}.{b}.norm1",        _B + "/norm1",                     _NORM),
    ("blocks.{s}.{b}.norm2",        _B + "/norm2",                     _NORM),
    ("blocks.{s}.{b}.attn.proj",    _B + "/attention/projection",      DENSE),
    ("blocks.{s}.{b}.mlp.fc1",      _B + "/mlp/fc1",                   DENSE),
    ("blocks.{s}.{b}.mlp.fc2",      _B + "/mlp/fc2",                   DENSE),
)
LOCAL: Rows = (
    ("blocks.{s}.{b}.attn.qkv",     _B + "/attention/qkv",             DENSE),
)
GLOBAL: Rows = (
    ("blocks.{s}.{b}.attn.q",       _B + "/attention/q",               DENSE),
    ("blocks.{s}.{b}.attn.kv",      _B + "/attention/kv",              DENSE),
)
REDUCTION_NORM: Rows = (
    ("blocks.{s}.{b}.attn.norm",    _B + "/attention/reduction_norm",  _NORM),
)
REDUCTION: dict[str, Rows] = {
    "conv": REDUCTION_NORM + (
    ("blocks.{s}.{b}.attn.sr",      _B + "/attention/reduction",       CONV),
    ),
    "depthwise_conv": REDUCTION_NORM + (
    ("blocks.{s}.{b}.attn.sr",      _B + "/attention/reduction",       _DEPTH),
    ),
    "average_pool": REDUCTION_NORM,
}
OUTPUT_NORM: Rows = (
    ("norm_list.{s}",               "stage{s}_output_norm",            _NORM),
)
FINAL_NORM: Rows = (
    ("norm",                        "norm",                            _NORM),
)
HEAD: Rows = (
    ("head",                        "predictions",                     DENSE),
)
# fmt: on


def expected_pairs(
    config: TwinsConfig, *, include_top: bool = True, final_norm: bool = True
) -> list[Pair]:
    """Returns every pair of tensor and weight that a model has.

    Args:
        config: The architecture.
        include_top: Whether the model has the classifier.
        final_norm: Whether the model has the final LayerNorm.

    Returns:
        A list of `Pair`s, in the order of the network.

    Example:
    ```python
    from keras_twins.weights import expected_pairs

    pairs = expected_pairs(keras_twins.VARIANTS["svt_small"])
    ```
    """
    pairs = []
    for stage in range(NUM_STAGES):
        pairs += _expand(PATCH, stage)
        if config.position_encoding == "peg":
            pairs += _expand(PEG, stage)
        for block in range(config.depths[stage]):
            pairs += _expand(_block_rows(config, stage, block), stage, block)
        if config.output_norms:
            pairs += _expand(OUTPUT_NORM, stage)
    if final_norm:
        pairs += _expand(FINAL_NORM)
    if include_top:
        pairs += _expand(HEAD)
    return pairs


def _block_rows(config: TwinsConfig, stage: int, block: int) -> Rows:
    if config.block_kinds(stage)[block] == "local":
        return BLOCK + LOCAL
    if config.sr_ratios[stage] == 1:
        return BLOCK + GLOBAL
    return BLOCK + GLOBAL + REDUCTION[config.reduction]


def _expand(rows: Rows, stage: int = 0, block: int = 0) -> Iterator[Pair]:
    for source, path, parts in rows:
        source = source.format(s=stage, b=block)
        path = path.format(s=stage, b=block)
        for torch_name, keras_name, transform in parts:
            yield Pair(
                f"{source}.{torch_name}", f"{path}/{keras_name}", transform
            )
