"""Architecture as data: what a Twins network is, and the published six.

`TwinsConfig` names every choice of the architecture and every published
ablation; `VARIANTS` holds the six published rows; `DIALECTS` holds what the
code bases that train Twins disagree about. No number of a variant stands
anywhere else in the package.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any
from typing import Literal

AttentionKind = Literal["local", "global"]
"""LSA (attention within windows) or GSA (attention to a sub-sampled map)."""

WindowPadding = Literal["zero", "masked", "masked_legacy"]
PatchPadding = Literal["valid", "corner"]
Reduction = Literal["conv", "depthwise_conv", "average_pool"]
PositionEncoding = Literal["peg", "none"]

NUM_STAGES = 4

_LETTERS: dict[str, AttentionKind] = {"L": "local", "G": "global"}
_CHOICES = {
    "window_padding": ("zero", "masked", "masked_legacy"),
    "patch_padding": ("valid", "corner"),
    "reduction": ("conv", "depthwise_conv", "average_pool"),
    "position_encoding": ("peg", "none"),
}
_PER_STAGE = (
    "embed_dims",
    "depths",
    "num_heads",
    "mlp_ratios",
    "patch_sizes",
    "sr_ratios",
    "window_sizes",
    "attention_pattern",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwinsConfig:
    """The architecture of a Twins network, four stages long.

    Args:
        embed_dims: Channels of each stage.
        depths: Number of blocks of each stage.
        num_heads: Attention heads of each stage; must divide `embed_dims`.
        mlp_ratios: Hidden width of the MLP over the embedding width.
        attention_pattern: One string per stage, repeated over its blocks:
            `"L"` is locally-grouped attention (LSA), `"G"` global sub-sampled
            attention (GSA). `"LG"` is Twins-SVT, `"G"` is Twins-PCPVT,
            `"LLG"` and `"L"` are ablations of the paper.
        patch_sizes: Side in pixels (first stage) or positions of the patches
            that are merged at the start of each stage.
        sr_ratios: Sub-sampling ratio of GSA's keys and values, per stage.
        window_sizes: Side in positions of LSA's windows, per stage.
        reduction: Sub-sampling function of GSA: `"conv"` (strided
            convolution), `"depthwise_conv"` or `"average_pool"`.
        position_encoding: `"peg"` (conditional position encoding after the
            first block of each stage) or `"none"`.
        window_padding: What happens to the positions that fill up the last
            windows. `"zero"`: they take part as zeros (timm). `"masked"`:
            they are masked out. `"masked_legacy"`: masked out only where both
            height and width are padded (the official segmentation code).
        patch_padding: `"valid"` drops the rows and columns that do not fill a
            patch; `"corner"` pads them with zeros (OpenMMLab).
        layer_norm_epsilon: Epsilon of the norms in blocks, of output norms
            and of the final norm.
        patch_norm_epsilon: Epsilon of the norm after each patch embedding.
        reduction_norm_epsilon: Epsilon of the norm after GSA's sub-sampling.
        output_norms: Whether each stage ends with a LayerNorm whose result is
            both the stage's output and the next stage's input (dense
            Twins-SVT of the official code).

    Raises:
        ValueError: If a field has the wrong length, value or type.

    Reference:
        - [Twins](https://arxiv.org/abs/2104.13840), Tables 1, 7 and 9.

    Example:

    ```python
    config = keras_twins.VARIANTS["svt_small"]
    all_local = dataclasses.replace(config, attention_pattern=("L",) * 4)
    ```
    """

    embed_dims: tuple[int, ...]
    depths: tuple[int, ...]
    num_heads: tuple[int, ...]
    mlp_ratios: tuple[float, ...]
    attention_pattern: tuple[str, ...]
    patch_sizes: tuple[int, ...] = (4, 2, 2, 2)
    sr_ratios: tuple[int, ...] = (8, 4, 2, 1)
    window_sizes: tuple[int, ...] = (7, 7, 7, 7)
    reduction: Reduction = "conv"
    position_encoding: PositionEncoding = "peg"
    window_padding: WindowPadding = "zero"
    patch_padding: PatchPadding = "valid"
    layer_norm_epsilon: float = 1e-6
    patch_norm_epsilon: float = 1e-5
    reduction_norm_epsilon: float = 1e-5
    output_norms: bool = False

    def __post_init__(self):
        for field in _PER_STAGE:
            # JSON turns tuples into lists; equality and hashing need tuples.
            object.__setattr__(self, field, tuple(getattr(self, field)))
            _check_per_stage(field, getattr(self, field))
        for field in _CHOICES:
            check_choice(field, getattr(self, field))
        for dim, heads in zip(self.embed_dims, self.num_heads, strict=True):
            if dim % heads:
                raise ValueError(
                    "`embed_dims` must be divisible by `num_heads` in every "
                    f"stage. Received: embed_dims={self.embed_dims}, "
                    f"num_heads={self.num_heads}"
                )

    def block_kinds(self, stage: int) -> tuple[AttentionKind, ...]:
        """Returns the kind of attention of each block of a stage.

        Args:
            stage: Index of the stage, 0 to 3.

        Returns:
            A tuple of `"local"` and `"global"`, `depths[stage]` long.
        """
        pattern = self.attention_pattern[stage]
        return tuple(
            _LETTERS[pattern[block % len(pattern)]]
            for block in range(self.depths[stage])
        )

    def drop_path_rates(self, rate: float) -> tuple[tuple[float, ...], ...]:
        """Returns the stochastic-depth rate of each block of each stage.

        Args:
            rate: Rate of the last block; the rates rise linearly from 0.

        Returns:
            A tuple of rates for each stage.
        """
        last = max(sum(self.depths) - 1, 1)
        rates, first = [], 0
        for depth in self.depths:
            rates.append(tuple(rate * (first + i) / last for i in range(depth)))
            first += depth
        return tuple(rates)

    def min_size(self) -> int:
        """Returns the smallest image side in pixels.

        Below it, a patch embedding or GSA's sub-sampling has no output.
        """
        stride, sizes = 1, []
        for stage in range(NUM_STAGES):
            stride *= self.patch_sizes[stage]
            subsampled = "global" in self.block_kinds(stage)
            sizes.append(stride * (self.sr_ratios[stage] if subsampled else 1))
        return max(sizes)

    def with_dialect(self, dialect: str) -> "TwinsConfig":
        """Returns the config with the numeric details of a code base.

        Args:
            dialect: A key of `keras_twins.config.DIALECTS`.

        Returns:
            A new `TwinsConfig`.

        Raises:
            ValueError: If the dialect is unknown.
        """
        if dialect not in DIALECTS:
            raise ValueError(
                f"`dialect` must be one of {sorted(DIALECTS)}. Received: "
                f"dialect={dialect!r}"
            )
        return dataclasses.replace(self, **DIALECTS[dialect])

    def to_dict(self) -> dict[str, Any]:
        """Returns the config as a dictionary that JSON can hold."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in dataclasses.asdict(self).items()
        }


def check_choice(field: str, value: object) -> None:
    """Raises if a value is none of those that a field may have.

    Args:
        field: Name of the field.
        value: Its value.

    Raises:
        ValueError: If the value is unknown.
    """
    choices = _CHOICES[field]
    if value not in choices:
        raise ValueError(
            f"`{field}` must be one of {choices}. Received: {field}={value!r}"
        )


def _check_per_stage(field: str, values: tuple[Any, ...]) -> None:
    if len(values) != NUM_STAGES:
        raise ValueError(
            f"`{field}` must have one entry for each of the {NUM_STAGES} "
            f"stages. Received: {field}={values}"
        )
    for value in values:
        if field == "attention_pattern":
            valid = isinstance(value, str) and value and set(value) <= {*"LG"}
            expected = "non-empty strings of 'L' (local) and 'G' (global)"
        elif field == "mlp_ratios":
            valid = isinstance(value, int | float) and value > 0
            expected = "positive numbers"
        else:
            valid = isinstance(value, int) and value > 0
            expected = "positive integers"
        if not valid:
            raise ValueError(
                f"`{field}` must hold {expected}. Received: {field}={values}"
            )


def variant_config(variant: str) -> TwinsConfig:
    """Returns the config of a published variant.

    Args:
        variant: A key of `keras_twins.VARIANTS`, such as `"svt_base"`.

    Returns:
        A `TwinsConfig`.

    Raises:
        ValueError: If the variant is unknown.
    """
    if not isinstance(variant, str) or variant not in VARIANTS:
        raise ValueError(
            f"`variant` must be one of {sorted(VARIANTS)}. Received: "
            f"variant={variant!r}"
        )
    return VARIANTS[variant]


def _pcpvt(
    depths: tuple[int, ...], mlp_ratios: tuple[int, ...] = (8, 8, 4, 4)
) -> TwinsConfig:
    return TwinsConfig(
        embed_dims=(64, 128, 320, 512),
        depths=depths,
        num_heads=(1, 2, 5, 8),
        mlp_ratios=mlp_ratios,
        attention_pattern=("G", "G", "G", "G"),
    )


def _svt(width: int, heads: int, depths: tuple[int, ...]) -> TwinsConfig:
    return TwinsConfig(
        embed_dims=(width, 2 * width, 4 * width, 8 * width),
        depths=depths,
        num_heads=(heads, 2 * heads, 4 * heads, 8 * heads),
        mlp_ratios=(4, 4, 4, 4),
        attention_pattern=("LG", "LG", "LG", "LG"),
    )


# Tables 7 and 8 of https://arxiv.org/abs/2104.13840. The last stage of SVT
# alternates too: the table shows GSA only, code and weights do not.
VARIANTS: Mapping[str, TwinsConfig] = {
    "pcpvt_small": _pcpvt((3, 4, 6, 3)),
    "pcpvt_base": _pcpvt((3, 4, 18, 3)),
    "pcpvt_large": _pcpvt((3, 8, 27, 3)),
    "svt_small": _svt(64, 2, (2, 2, 10, 4)),
    "svt_base": _svt(96, 3, (2, 2, 18, 2)),
    "svt_large": _svt(128, 4, (2, 2, 18, 2)),
}

_ORIGINAL = {
    "layer_norm_epsilon": 1e-6,
    "patch_norm_epsilon": 1e-5,
    "reduction_norm_epsilon": 1e-5,
    "window_padding": "zero",
    "patch_padding": "valid",
}
_OPENMMLAB = {
    "layer_norm_epsilon": 1e-5,
    "patch_norm_epsilon": 1e-5,
    "reduction_norm_epsilon": 1e-5,
    "window_padding": "masked_legacy",
    "patch_padding": "corner",
}

DIALECTS: Mapping[str, Mapping[str, Any]] = {
    "timm": _ORIGINAL,
    "official": _ORIGINAL,
    "official_detection": _ORIGINAL,
    "official_segmentation": _ORIGINAL | {"window_padding": "masked_legacy"},
    "mmsegmentation": _OPENMMLAB,
    "mmpretrain_svt": _OPENMMLAB,
    "mmpretrain_pcpvt": _OPENMMLAB
    | {"layer_norm_epsilon": 1e-6, "reduction_norm_epsilon": 1e-6},
}
"""What the code bases that train Twins set differently, by name."""


def read_config(
    config: TwinsConfig | Mapping[str, Any], by_name: str
) -> TwinsConfig:
    """Returns the architecture that an argument `config` stands for.

    Args:
        config: A `TwinsConfig`, or its fields.
        by_name: What builds a backbone from a name, for the error.

    Returns:
        A `TwinsConfig`.

    Raises:
        ValueError: If it is neither.
    """
    if isinstance(config, TwinsConfig):
        return config
    if isinstance(config, Mapping):
        return TwinsConfig(**config)
    raise ValueError(
        "`config` must be a `keras_twins.TwinsConfig`, such as "
        '`keras_twins.VARIANTS["svt_small"]`, or its dictionary; by name, '
        f"`{by_name}` builds a backbone. Received: config={config!r}"
    )
