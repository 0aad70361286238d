"""The moving average of the weights in place of the weights."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras


@contextlib.contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Puts the moving average of the weights into a model for a while.

    The average is that of the model's optimizer, which keeps one with
    `use_ema=True`. Where there is none, or no step has been made, the model
    stays as it is, and nothing is copied.

    Args:
        model: A compiled model.

    Yields:
        Nothing. Afterwards the weights are what they were.

    Example:

    ```python
    from keras_twins.training import adamw
    from keras_twins.training import averaged_weights

    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    model.compile(adamw(1e-3, 0.05, use_ema=True, ema_momentum=0.9), "mse")
    model.fit(keras.ops.ones((2, 8)), keras.ops.ones((2, 2)), verbose=0)
    with averaged_weights(model):
        model.save("average.keras")
    ```
    """
    pairs = _averages(model)
    # A copy: PyTorch and TensorFlow assign in place.
    kept = [keras.ops.copy(variable.value) for variable, _ in pairs]
    try:
        for variable, average in pairs:
            # A copy: `predict` on JAX gives away what it computes with.
            variable.assign(keras.ops.copy(average.value))
        yield
    finally:
        for (variable, _), value in zip(pairs, kept, strict=True):
            variable.assign(value)


def _averages(
    model: keras.Model,
) -> list[tuple[keras.Variable, keras.Variable]]:
    """Returns the weights that have an average, each with it."""
    optimizer: Any = getattr(model, "optimizer", None)
    # The optimizer of mixed_float16 holds the one that keeps averages.
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    if not getattr(optimizer, "use_ema", False) or not optimizer.built:
        return []
    # Averages are zeros until the first step. With accumulated gradients,
    # `iterations` would not count parts of it.
    if not int(keras.ops.convert_to_numpy(optimizer._iterations)):
        return []
    pairs = zip(
        optimizer._trainable_variables,
        optimizer._model_variables_moving_average,
        strict=True,
    )
    return [pair for pair in pairs if pair[1] is not None]
