"""AdamW, and which weights it does not decay."""

from typing import Any

import keras

from keras_twins.layers import PositionEncodingGenerator


def without_decay(model: keras.Model) -> list[keras.Variable]:
    """Returns the weights that the recipes for dense models do not decay.

    These are the position encodings and the layer norms, scale and shift. The
    official configurations name them by `pos_block` and `norm`, which leaves
    batch norms (`bn`) and other biases to the decay.

    Args:
        model: A built model.

    Returns:
        Trainable variables, each once.

    Example:

    ```python
    from keras_twins.training import without_decay

    backbone = keras_twins.TwinsBackbone(keras_twins.VARIANTS["svt_small"])
    names = [variable.path for variable in without_decay(backbone)]
    ```
    """
    kinds = (PositionEncodingGenerator, keras.layers.LayerNormalization)
    found = {
        id(variable): variable
        for layer in model._flatten_layers()
        if isinstance(layer, kinds)
        for variable in layer.trainable_variables
    }
    return list(found.values())


def adamw(
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
    weight_decay: float,
    exempt: list[keras.Variable] | None = None,
    **kwargs: Any,
) -> keras.optimizers.AdamW:
    """Returns AdamW with exemptions from the decay.

    Args:
        learning_rate: The rate, or a schedule.
        weight_decay: Share of the rate that each step takes off the weights.
        exempt: Variables that it does not take anything off.
        **kwargs: Arguments of `keras.optimizers.AdamW`.

    Returns:
        The optimizer, not yet built.
    """
    # Keras's default epsilon is 1e-7; the recipes have PyTorch's.
    kwargs = {"epsilon": 1e-8, **kwargs}
    optimizer = keras.optimizers.AdamW(
        learning_rate, weight_decay=weight_decay, **kwargs
    )
    if exempt:
        optimizer.exclude_from_weight_decay(var_list=exempt)
    return optimizer
