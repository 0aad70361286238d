"""Counts over the layers of a functional model."""

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import keras

from keras_twins.flops.costs import Cost
from keras_twins.flops.costs import Shape
from keras_twins.flops.costs import layer_cost
from keras_twins.flops.results import FlopCount
from keras_twins.flops.results import LayerCount


def count_flops(
    model: keras.Model, input_shape: Sequence[int] | None = None
) -> FlopCount:
    """Counts the products and parameters of a model, from shapes alone.

    Nothing is run, no weight is made and the model is left as it is.

    Args:
        model: A functional or sequential model, nested ones included. If it
            has `layers_beside_graph()`, as `MaskRCNN` has, which returns
            layers and the shapes of their inputs, these are counted too.
        input_shape: Shape of one image, `(height, width, channels)`. Needed
            where the model's own shape has `None`.

    Returns:
        A `FlopCount`.

    Raises:
        ValueError: If the model is not functional, or `input_shape` is
            missing or does not fit the model.

    Example:

    ```python
    model = keras_twins.TwinsBackbone(keras_twins.VARIANTS["svt_small"])
    count = keras_twins.count_flops(model, (224, 224, 3))
    print(f"{count.total_macs / 1e9:.2f} GMACs")
    ```
    """
    _require_functional(model)
    shapes = _input_shapes(model, input_shape)
    rows = (
        *_rows(model, shapes, prefix="", seen=set()),
        *_rows_beside(model),
    )
    total = sum((row.cost or Cost() for row in rows), start=Cost())
    images = tuple(shape[1:] for shape in shapes)
    return FlopCount(
        input_shape=images[0] if len(images) == 1 else images,
        macs_projections=total.projections,
        macs_attention=total.attention,
        norm_elements=total.norm_elements,
        convolution_outputs=total.convolution_outputs,
        parameters=model.count_params(),
        by_layer=rows,
        uncounted=tuple(row.name for row in rows if row.cost is None),
    )


def _require_functional(model: keras.Model) -> None:
    if not isinstance(model, keras.Model) or not _is_graph(model):
        raise ValueError(
            "`model` must be a functional or a built sequential `keras.Model`; "
            "other models do not tell which layers they use. Received: "
            f"model={model!r}"
        )


def _is_graph(layer: keras.layers.Layer) -> bool:
    """Returns whether a layer is a model that knows its graph."""
    return isinstance(layer, keras.Model) and bool(
        getattr(layer, "inputs", None)
    )


def _input_shapes(
    model: keras.Model, input_shape: Sequence[int] | None
) -> list[Shape]:
    shapes = [tuple(tensor.shape) for tensor in model.inputs]
    if input_shape is not None:
        _check_fit(shapes, tuple(input_shape))
        return [(shapes[0][0], *input_shape)]
    if any(None in shape[1:] for shape in shapes):
        raise ValueError(
            "`input_shape` is needed, since the model's own has unknown "
            "sizes. Expected a tuple such as (224, 224, 3). Received: "
            f"input_shape=None, inputs of shape {shapes}"
        )
    return shapes


def _check_fit(shapes: list[Shape], given: tuple[Any, ...]) -> None:
    own = shapes[0][1:]
    fits = len(shapes) == 1 and len(own) == len(given)
    for size, new in zip(own, given, strict=False):
        fits = fits and isinstance(new, int) and new > 0
        fits = fits and size in (None, new)
    if not fits:
        raise ValueError(
            "`input_shape` must be the shape of one image, without the batch, "
            "and fit the model, which must have one input. Received: "
            f"input_shape={given}, inputs of shape {shapes}"
        )


class _Probe(keras.Operation):
    """Stands for an operation and notes the shapes that go through it."""

    def __init__(self, operation: keras.Operation, visits: list) -> None:
        super().__init__()
        self.operation = operation
        self.visits = visits

    def compute_output_spec(self, *args, **kwargs):
        output = self.operation.compute_output_spec(*args, **kwargs)
        shapes = [
            [tuple(tensor.shape) for tensor in keras.tree.flatten(tensors)]
            for tensors in (_tensors((args, kwargs)), output)
        ]
        self.visits.append((self.operation, *shapes))
        return output


def _tensors(arguments: Any) -> list[keras.KerasTensor]:
    return [
        argument
        for argument in keras.tree.flatten(arguments)
        if isinstance(argument, keras.KerasTensor)
    ]


def _visits(model: keras.Model, shapes: list[Shape]) -> list:
    """Returns each operation of a graph with input and output shapes."""
    visits = []
    # A twin over the same graph: cloning would compile a compiled model.
    twin = keras.Model(model.inputs, model.outputs, name=model.name)
    keras.models.clone_model(
        twin,
        input_tensors=[
            keras.Input(batch_shape=shape, dtype=own.dtype, name=own.name)
            for shape, own in zip(shapes, model.inputs, strict=True)
        ],
        clone_function=lambda layer: layer,
        # The layers themselves are not called: that would add to their graph.
        call_function=lambda operation, *args, **kwargs: _Probe(
            operation, visits
        )(*args, **kwargs),
    )
    return visits


def _rows(
    model: keras.Model, shapes: list[Shape], prefix: str, seen: set[int]
) -> Iterator[LayerCount]:
    for layer, inputs, outputs in _visits(model, shapes):
        if not isinstance(layer, keras.layers.Layer):
            continue
        if _is_graph(layer):
            yield from _rows(layer, inputs, f"{prefix}{layer.name}/", seen)
            continue
        yield LayerCount(
            name=prefix + layer.name,
            kind=type(layer).__name__,
            output_shape=outputs[0],
            parameters=0 if id(layer) in seen else layer.count_params(),
            cost=layer_cost(layer, *inputs),
        )
        seen.add(id(layer))


def _rows_beside(model: keras.Model) -> Iterator[LayerCount]:
    """Yields what a model computes that its graph does not show."""
    for layer, shape in getattr(model, "layers_beside_graph", list)():
        output = layer.compute_output_shape(shape)
        several = isinstance(output[0], tuple)
        yield LayerCount(
            name=layer.name,
            kind=type(layer).__name__,
            output_shape=output[0] if several else output,
            parameters=layer.count_params(),
            cost=layer_cost(layer, shape),
        )
