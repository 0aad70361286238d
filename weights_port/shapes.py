"""The names and shapes that an architecture has in the official code."""

from keras_twins import TwinsConfig

Shape = tuple[int, ...]


def expected_shapes(
    config: TwinsConfig,
    *,
    channels: int = 3,
    classes: int | None = 1000,
    final_norm: bool = True,
) -> dict[str, Shape]:
    """Returns the tensors of a state in the official naming.

    Args:
        config: The architecture.
        channels: Channels of the images.
        classes: Classes of the classifier, `None` without one.
        final_norm: Whether there is a norm after the last stage.

    Returns:
        Shapes in torch's layout, by name.
    """
    shapes: dict[str, Shape] = {}
    inputs = channels
    for stage, width in enumerate(config.embed_dims):
        side = config.patch_sizes[stage]
        root = f"patch_embeds.{stage}"
        shapes |= _layer(f"{root}.proj", width, inputs, side, side)
        shapes |= _layer(f"{root}.norm", width)
        if config.position_encoding == "peg":
            shapes |= _layer(f"pos_block.{stage}.proj.0", width, 1, 3, 3)
        for block in range(config.depths[stage]):
            shapes |= _block(config, stage, block)
        if config.output_norms:
            shapes |= _layer(f"norm_list.{stage}", width)
        inputs = width
    if final_norm:
        shapes |= _layer("norm", inputs)
    if classes is not None:
        shapes |= _layer("head", classes, inputs)
    return shapes


def _layer(name: str, outputs: int, *rest: int) -> dict[str, Shape]:
    return {f"{name}.weight": (outputs, *rest), f"{name}.bias": (outputs,)}


def _block(config: TwinsConfig, stage: int, block: int) -> dict[str, Shape]:
    width = config.embed_dims[stage]
    hidden = int(width * config.mlp_ratios[stage])
    root = f"blocks.{stage}.{block}"
    if config.block_kinds(stage)[block] == "local":
        attention = _layer(f"{root}.attn.qkv", 3 * width, width)
    else:
        attention = _global_attention(config, stage, f"{root}.attn")
    return (
        _layer(f"{root}.norm1", width)
        | attention
        | _layer(f"{root}.attn.proj", width, width)
        | _layer(f"{root}.norm2", width)
        | _layer(f"{root}.mlp.fc1", hidden, width)
        | _layer(f"{root}.mlp.fc2", width, hidden)
    )


def _global_attention(
    config: TwinsConfig, stage: int, root: str
) -> dict[str, Shape]:
    width, ratio = config.embed_dims[stage], config.sr_ratios[stage]
    shapes = _layer(f"{root}.q", width, width)
    shapes |= _layer(f"{root}.kv", 2 * width, width)
    if ratio == 1:
        return shapes
    if config.reduction != "average_pool":
        inputs = width if config.reduction == "conv" else 1
        shapes |= _layer(f"{root}.sr", width, inputs, ratio, ratio)
    shapes |= _layer(f"{root}.norm", width)
    return shapes
