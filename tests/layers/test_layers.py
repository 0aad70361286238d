"""The behaviour that all layers share."""

import pytest

from keras_twins import layers
from tests.testers import check_layer
from tests.tiny import images

C = 8


def _block(attention, **fixed):
    return lambda **kw: layers.TwinsBlock(attention, 2, **fixed, **kw)


CASES = {
    # name: (constructor, input, output, number of weights)
    "patch_embedding": (
        lambda **kw: layers.PatchEmbedding(12, 4, **kw),
        (2, 18, 27, C),
        (2, 4, 6, 12),
        4,
    ),
    "patch_embedding_corner": (
        lambda **kw: layers.PatchEmbedding(12, 4, patch_padding="corner", **kw),
        (2, 18, 27, C),
        (2, 5, 7, 12),
        4,
    ),
    "peg": (
        layers.PositionEncodingGenerator,
        (2, 5, 6, C),
        (2, 5, 6, C),
        2,
    ),
    "mlp": (
        lambda **kw: layers.MLP(16, dropout_rate=0.1, **kw),
        (2, 5, 6, C),
        (2, 5, 6, C),
        4,
    ),
    "drop_path": (
        lambda **kw: layers.DropPath(0.3, **kw),
        (2, 5, 6, C),
        (2, 5, 6, C),
        0,
    ),
    "local_zero": (
        lambda **kw: layers.LocallyGroupedAttention(2, 4, **kw),
        (2, 6, 9, C),
        (2, 6, 9, C),
        4,
    ),
    "local_masked": (
        lambda **kw: layers.LocallyGroupedAttention(2, 4, "masked", **kw),
        (2, 6, 9, C),
        (2, 6, 9, C),
        4,
    ),
    "local_masked_legacy": (
        lambda **kw: layers.LocallyGroupedAttention(
            2, 4, "masked_legacy", 0.1, 0.1, **kw
        ),
        (2, 6, 8, C),
        (2, 6, 8, C),
        4,
    ),
    "global_plain": (
        lambda **kw: layers.GlobalSubsampledAttention(2, **kw),
        (2, 5, 6, C),
        (2, 5, 6, C),
        6,
    ),
    "global_conv": (
        lambda **kw: layers.GlobalSubsampledAttention(2, 2, **kw),
        (2, 5, 7, C),
        (2, 5, 7, C),
        10,
    ),
    "global_depthwise": (
        lambda **kw: layers.GlobalSubsampledAttention(
            2, 2, "depthwise_conv", **kw
        ),
        (2, 5, 7, C),
        (2, 5, 7, C),
        10,
    ),
    "global_pool": (
        lambda **kw: layers.GlobalSubsampledAttention(
            2, 2, "average_pool", **kw
        ),
        (2, 5, 7, C),
        (2, 5, 7, C),
        8,
    ),
    "block_local": (
        _block("local", window_size=3, drop_path_rate=0.2),
        (2, 5, 7, C),
        (2, 5, 7, C),
        12,
    ),
    "block_global": (
        _block("global", sr_ratio=2, gradient_checkpointing=True),
        (2, 5, 7, C),
        (2, 5, 7, C),
        18,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_layer(name):
    build, input_shape, output_shape, num_weights = CASES[name]
    check_layer(build, images(*input_shape), output_shape, num_weights)
