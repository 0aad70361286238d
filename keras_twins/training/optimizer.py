"""AdamW, and which weights it does not decay."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_twins.layers import PositionEncodingGenerator

# Where Keras has a faster class for a backend, as on PyTorch, it makes one of
# those in place of `AdamW`, but not in place of a subclass of it.
_FastAdamW: Any = type(keras.optimizers.AdamW.__new__(keras.optimizers.AdamW))


@keras.saving.register_keras_serializable(package="keras_twins")
class ResumableAdamW(_FastAdamW):
    """AdamW that trains alike in one call of `fit` and in many.

    Is `keras.optimizers.AdamW` but for two things. After `fit`, the weights
    are as the last step left them, not their moving average: `fit` can be
    called again. With `gradient_accumulation_steps`, the moving average takes
    in the weights when they change, not after each part of a batch.

    Args:
        *args: As for `keras.optimizers.AdamW`.
        **kwargs: As for `keras.optimizers.AdamW`.

    Example:

    ```python
    from keras_twins.training import ResumableAdamW
    from keras_twins.training import averaged_weights

    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    model.compile(ResumableAdamW(1e-3, use_ema=True, ema_momentum=0.9), "mse")
    for _ in range(2):
        model.fit(keras.ops.ones((4, 8)), keras.ops.ones((4, 2)), verbose=0)
    with averaged_weights(model):
        smooth = model(keras.ops.ones((1, 8)))
    ```
    """

    def finalize_variable_values(self, var_list: Sequence[Any]) -> None:
        """Leaves the weights alone.

        Args:
            var_list: The weights.
        """

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        decayed = [v for v in variables if self._use_weight_decay(v)]
        # PyTorch refuses an empty list.
        if decayed:
            super()._apply_weight_decay(decayed)

    def _update_model_variables_moving_average(
        self, trainable_variables: Sequence[keras.Variable]
    ) -> None:
        steps = self.gradient_accumulation_steps
        if not steps:
            super()._update_model_variables_moving_average(trainable_variables)
            return
        changed = ops.equal((self._iterations + 1) % steps, 0)
        momentum = ops.where(changed, self.ema_momentum, 1.0)
        # Until the first change there is no average.
        momentum = ops.where(self._iterations < steps, 0.0, momentum)
        averages = self._model_variables_moving_average
        for variable, average in zip(
            trainable_variables, averages, strict=True
        ):
            if average is not None:
                share = ops.cast(momentum, variable.dtype)
                average.assign(share * average + (1 - share) * variable)


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
    return list(_of_layers(model, kinds).values())


def without_decay_imagenet(model: keras.Model) -> list[keras.Variable]:
    """Returns the weights that the recipe for ImageNet does not decay.

    These are all vectors, which are biases and the scales and shifts of
    norms, and the position encodings with their kernels.

    Args:
        model: A built model.

    Returns:
        Trainable variables, each once.

    Example:

    ```python
    from keras_twins.training import adamw
    from keras_twins.training import without_decay_imagenet

    backbone = keras_twins.TwinsBackbone(keras_twins.VARIANTS["svt_small"])
    optimizer = adamw(1e-3, 0.05, without_decay_imagenet(backbone))
    ```
    """
    encodings = _of_layers(model, (PositionEncodingGenerator,))
    return [
        variable
        for variable in model.trainable_variables
        if len(variable.shape) <= 1 or id(variable) in encodings
    ]


def _of_layers(
    model: keras.Model, kinds: tuple[type[keras.layers.Layer], ...]
) -> dict[int, keras.Variable]:
    """Returns the trainable variables of some kinds of layers, by `id`."""
    return {
        id(variable): variable
        for layer in model._flatten_layers()
        if isinstance(layer, kinds)
        for variable in layer.trainable_variables
    }


def adamw(
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
    weight_decay: float,
    exempt: list[keras.Variable] | None = None,
    **kwargs: Any,
) -> ResumableAdamW:
    """Returns AdamW with exemptions from the decay.

    Its steps are PyTorch's, but that epsilon is added to the root of the
    running mean of squares before this is corrected for its start at zero,
    and not after: a difference where gradients are tiny in the first steps.

    Keras does not save exemptions: a model that was loaded with its optimizer
    decays everything until `exempt_from_decay` renews them.

    Args:
        learning_rate: The rate, or a schedule.
        weight_decay: Share of the rate that each step takes off the weights.
        exempt: Variables that it does not take anything off.
        **kwargs: Arguments of `ResumableAdamW`.

    Returns:
        The optimizer, not yet built.
    """
    # Keras's default epsilon is 1e-7; the recipes have PyTorch's.
    kwargs = {"epsilon": 1e-8, **kwargs}
    optimizer = ResumableAdamW(
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
