"""Batches, outputs and variables as one process sees them."""

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


def predict_all(model: keras.Model, dataset: Any, num_batches: Any) -> Any:
    """Returns the outputs of a model for a finite data set.

    Args:
        model: A built model.
        dataset: What the model's `predict` takes.
        num_batches: How many batches that makes; negative if it is not known.

    Returns:
        What `keras.Model.predict` returns.
    """
    steps = int(num_batches)
    with warnings.catch_warnings():
        # Keras says so at the end of every data set of unknown length.
        warnings.filterwarnings("ignore", "Your input ran out of data")
        return model.predict(
            dataset, steps=steps if steps >= 0 else None, verbose=0
        )


def local_batch_size(dataset: Any, num_devices: int) -> int:
    """Returns the size of a process's batches, if it can be cut.

    Args:
        dataset: A `tf.data.Dataset` of batches of static size.
        num_devices: Into how many equal parts a batch is cut.

    Returns:
        The size.

    Raises:
        ValueError: If the size is not static, or cannot be cut.
    """
    specs = keras.tree.flatten(dataset.element_spec)
    sizes = {spec.shape[0] if spec.shape.rank else None for spec in specs}
    size = sizes.pop() if len(sizes) == 1 else None
    if size is None:
        raise ValueError(
            "`dataset` must have batches of static size, such as those of "
            "`batch(size, drop_remainder=True)`. Received: "
            f"element_spec={dataset.element_spec}"
        )
    if size % num_devices:
        raise ValueError(
            "The batch of a process must be a multiple of the number of its "
            f"devices that share it. Received: batches of {size} for "
            f"{num_devices} devices"
        )
    return size


def copy_values(variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    """Returns the values of variables, in memory of their own.

    Args:
        variables: Variables that this process can read.

    Returns:
        Their values.
    """
    # On PyTorch, Keras may return the memory that training changes.
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]
