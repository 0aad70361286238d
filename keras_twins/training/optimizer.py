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

    Keras does not save exemptions: a model that was loaded with its optimizer
    decays everything until `exempt_from_decay` renews them.

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


def exempt_from_decay(
    model: keras.Model, exempt: list[keras.Variable] | None = None
) -> None:
    """Renews the exemptions of a model that was loaded with its optimizer.

    The model gets an optimizer of the same configuration and state with these
    exemptions and no others.

    Args:
        model: A compiled model.
        exempt: Variables of the model that are not decayed; by default those
            of `without_decay`, as in the recipe of UPerNet.

    Raises:
        ValueError: If the model has no optimizer.

    Example:

    ```python
    from keras_twins.training import adamw
    from keras_twins.training import exempt_from_decay

    model = keras.Sequential(
        [keras.Input((8,)), keras.layers.Dense(4), keras.layers.Dense(2)]
    )
    model.compile(adamw(1e-3, 0.05, [model.layers[0].bias]), "mse")
    model.fit(keras.ops.ones((2, 8)), keras.ops.ones((2, 2)), verbose=0)
    model.save("model.keras")

    model = keras.saving.load_model("model.keras")
    exempt_from_decay(model, [model.layers[0].bias])
    ```
    """
    old = getattr(model, "optimizer", None)
    if old is None:
        raise ValueError(
            "`model` must be compiled with an optimizer, or loaded with one. "
            f"Received: model={model.name} without an optimizer"
        )
    # Keras documents that exemptions are set before an optimizer is built, and
    # that of a loaded model is.
    new = type(old).from_config(old.get_config())
    # The optimizer of mixed_float16 holds the one that decays.
    inner = getattr(new, "inner_optimizer", new)
    chosen = without_decay(model) if exempt is None else exempt
    inner.exclude_from_weight_decay(var_list=chosen)
    if old.built:
        new.build(model.trainable_variables)
        for variable, value in zip(new.variables, old.variables, strict=True):
            variable.assign(value)
    model.optimizer = new
    # The compiled step holds the old one.
    model.train_function = None
