"""Everything that a training changes exists before its first step."""

from collections.abc import Callable
from typing import Any

import keras


def check_model(model: keras.Model, steps_per_epoch: int) -> None:
    """Raises an error if a model cannot be trained and resumed.

    Args:
        model: The model.
        steps_per_epoch: Number of steps of an epoch.

    Raises:
        ValueError: If it is not built or compiled, if its optimizer puts
            moving averages in the place of the weights, or if its groups of
            steps do not fill an epoch.
    """
    optimizer = getattr(model, "optimizer", None)
    if not model.built or optimizer is None:
        raise ValueError(
            "`model` must be built and compiled with an optimizer. Received: "
            f"model={model.name}, built={model.built}, optimizer={optimizer}"
        )
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if inner.use_ema and _overwrites_weights(inner):
        raise ValueError(
            f"`fit` would overwrite the weights of {type(inner).__name__} with "
            "their moving average whenever it ends, and a resumed training "
            "could not go on. Use `keras_twins.training.adamw(..., "
            f"use_ema=True)`. Received: {inner.use_ema=}"
        )
    group = model.steps_per_execution
    if steps_per_epoch % group:
        raise ValueError(
            "`steps_per_epoch` must be a multiple of the model's "
            f"`steps_per_execution`. Received: {steps_per_epoch=}, "
            f"steps_per_execution={group}"
        )


def build_for_training(
    model: keras.Model, batches: Callable[[int], Any]
) -> None:
    """Creates the variables of the optimizer and of the metrics.

    TensorFlow would create them in the first step, which is too late for the
    values of a checkpoint.

    Args:
        model: A built and compiled model.
        batches: As for `fit_resumable`.
    """
    parts = (model._compile_metrics, model._compile_loss)
    if not all(part is None or part.built for part in parts):
        model._symbolic_build(data_batch=_batch_of_symbols(batches))
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def _overwrites_weights(optimizer: keras.optimizers.Optimizer) -> bool:
    base = keras.optimizers.Optimizer
    mine = type(optimizer).finalize_variable_values
    return mine is base.finalize_variable_values


def _batch_of_symbols(batches: Callable[[int], Any]) -> Any:
    dataset = batches(0)
    # A pipeline takes seconds for its first batch.
    spec = getattr(dataset, "element_spec", None)
    if spec is None:
        spec = next(iter(dataset))
    return keras.tree.map_structure(_symbol, spec)


def _symbol(value: Any) -> keras.KerasTensor:
    dtype = keras.backend.standardize_dtype(value.dtype)
    return keras.KerasTensor(tuple(value.shape), dtype)
