"""Which layers of a model low-rank updates belong to, and their state."""

from collections.abc import Collection
from collections.abc import Iterator
from typing import Any

import keras

_KINDS = (keras.layers.Dense, keras.layers.EinsumDense)


def find_targets(model: keras.Model, targets: Collection[str]) -> list[Any]:
    """Returns the layers to update.

    Args:
        model: A model.
        targets: Names of dense layers.

    Returns:
        Each once.

    Raises:
        ValueError: If there are none, or they have updates already.
    """
    found = [
        layer
        for layer in _layers(model)
        if isinstance(layer, _KINDS) and layer.name in targets
    ]
    if not found:
        raise ValueError(
            "`targets` must name dense layers of the model. Received: "
            f"targets={sorted(targets)} for {model.name}, whose dense layers "
            f"are {sorted({x.name for x in dense_layers(model)})[:10]}"
        )
    if any(layer.lora_enabled for layer in found):
        raise ValueError(
            f"`model` has low-rank updates already. Received: {model.name}. "
            "Add them to the kernels with `merge_lora` first."
        )
    return found


def find_heads(model: keras.Model, head: Collection[str]) -> list[Any]:
    """Returns the layers that are trained as usual.

    Args:
        model: A model.
        head: Names of layers.

    Returns:
        Each once.

    Raises:
        ValueError: If a name is that of no layer.
    """
    found = [layer for layer in _layers(model) if layer.name in head]
    missing = set(head) - {layer.name for layer in found}
    if missing:
        raise ValueError(
            "`head` must name layers of the model, or be empty. Received: "
            f"{sorted(missing)}; the last layers of {model.name} are "
            f"{[layer.name for layer in model.layers[-4:]]}"
        )
    return found


def _layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields every layer once, however often it is used."""
    seen = set()
    for layer in model._flatten_layers():
        if id(layer) not in seen:
            seen.add(id(layer))
            yield layer


def dense_layers(model: keras.Model) -> list[Any]:
    """Returns the layers that can have updates.

    Args:
        model: A model.

    Returns:
        Each dense layer once.
    """
    return [layer for layer in _layers(model) if isinstance(layer, _KINDS)]


def lora_layers(model: keras.Model) -> list[Any]:
    """Returns the layers that have updates.

    Args:
        model: A model.

    Returns:
        Each once; none if the model has no updates.
    """
    return [layer for layer in dense_layers(model) if layer.lora_enabled]


def require_layers(model: keras.Model) -> list[Any]:
    """Returns the layers that have updates, of which there are some.

    Args:
        model: A model.

    Returns:
        Each once.

    Raises:
        ValueError: If there are none.
    """
    if found := lora_layers(model):
        return found
    raise ValueError(
        "`model` must have low-rank updates. Add them with `enable_lora` or "
        f"`load_lora`. Received: {model.name} without updates"
    )


def owned_trainable(layer: keras.layers.Layer) -> Iterator[keras.Variable]:
    """Yields what a layer and its parts can train, frozen or not.

    Args:
        layer: A layer or a model.

    Yields:
        keras.Variable: One of them.
    """
    for part in layer._flatten_layers():
        yield from part._trainable_variables


def check_optimizer(model: keras.Model) -> None:
    """Raises an error if the model is being trained already.

    Args:
        model: A model.

    Raises:
        ValueError: If its optimizer has a state.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None and optimizer.built:
        raise ValueError(
            "The optimizer of `model` holds the state of weights that will be "
            "frozen. Enable LoRA before `compile`, or on a model that was "
            f"built anew. Received: {model.name}, compiled and trained"
        )


def forget_programs(model: keras.Model) -> None:
    """Drops compiled functions: they have the layers as they were.

    Args:
        model: A model.
    """
    model.train_function = None
    model.test_function = None
    model.predict_function = None


def prefix_of(layer: Any) -> str:
    """Returns the path of a dense layer, which its variables begin with.

    Args:
        layer: A built layer.

    Returns:
        Its path in the model that built it.
    """
    return layer._kernel.path.rpartition("/")[0]
