"""What functional models have in common: their keywords, what is frozen."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras


def check_model_keywords(kind: type, keywords: Mapping[str, Any]) -> None:
    """Raises for keywords that a functional model would drop in silence.

    Args:
        kind: The class of the model.
        keywords: What it hands on to `keras.Model`.

    Raises:
        TypeError: If there is one beside `trainable`.
    """
    unknown = sorted(set(keywords) - {"trainable"})
    if unknown:
        raise TypeError(
            f"{kind.__name__} has no such keyword. Check the spelling. "
            f"Received: {', '.join(unknown)}"
        )


def frozen_layers(model: keras.Model) -> list[str]:
    """Returns the names of the layers that are not trained.

    Args:
        model: A model.

    Returns:
        Names among `model.layers`.
    """
    return [layer.name for layer in model.layers if not layer.trainable]


def restore_trainable(
    model: keras.Model, trainable: bool, frozen: Sequence[str] | None
) -> None:
    """Freezes what was frozen in a model of the same configuration.

    What is frozen within the layers, as those of a backbone that came back
    from its own configuration, stays so.

    Args:
        model: A model.
        trainable: The model's own `trainable`.
        frozen: What `frozen_layers` returned; `None` in files that are older.
    """
    # Not if it is true: that would thaw every layer.
    if not trainable:
        model.trainable = False
    if frozen is None:
        return
    for layer in model.layers:
        wanted = layer.name not in frozen
        if layer.trainable != wanted:
            layer.trainable = wanted


def freeze_stages(backbone: keras.Model, count: int) -> None:
    """Keeps the first stages of a backbone from being trained.

    The norms of their outputs are the head's, and no published weights have
    them: they stay trainable.

    Args:
        backbone: A `TwinsBackbone`.
        count: Number of stages, from 0 to 4.

    Raises:
        ValueError: If there are not as many stages.
    """
    stages = {layer.name.split("_")[0] for layer in backbone.layers}
    frozen = {f"stage{stage}" for stage in range(count)}
    if count < 0 or not frozen <= stages:
        raise ValueError(
            "`frozen_stages` must be from 0 to 4. Received: "
            f"frozen_stages={count}"
        )
    for layer in backbone.layers:
        stage, _, part = layer.name.partition("_")
        if stage in frozen and part != "output_norm":
            layer.trainable = False
