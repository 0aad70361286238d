"""ONNX graphs made lean, and fit to be read by others."""

from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

from keras_twins.export.onnx_patterns import Reader
from keras_twins.export.onnx_patterns import Rewrite
from keras_twins.export.onnx_patterns import match_gelu
from keras_twins.export.onnx_patterns import match_layer_norm
from keras_twins.export.plan import INPUT_NAME

OUTPUT_NAME = "output_{}"
"""Names of a file's outputs, by their number."""


def tidy(model: Any) -> Any:
    """Makes a graph lean and takes out what is not for others to read.

    Args:
        model: An `onnx.ModelProto`; it is changed.

    Returns:
        The same model: with layer norms and GELUs as runtimes know them,
        with outputs named `output_0`, `output_1`, ..., and without the paths
        of this machine that converters leave in its metadata.
    """
    _rewrite(model, match_layer_norm)
    _rewrite(model, match_gelu)
    _drop_unused(model)
    _rename(model.graph)
    _drop_metadata(model)
    return model


def _rewrite(
    model: Any, match: Callable[[Reader, Any], Rewrite | None]
) -> None:
    reader = Reader(model.graph)
    nodes, constants = [], []
    for node in model.graph.node:
        found, used = match(reader, node) or ([node], [])
        nodes += found
        constants += used
    _replace(model.graph.node, nodes)
    model.graph.initializer.extend(constants)


def _drop_unused(model: Any) -> None:
    """Removes nodes, constants and operator sets that nothing reads."""
    graph = model.graph
    needed = {output.name for output in graph.output}
    nodes = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            nodes.append(node)
            needed.update(node.input)
    constants = [x for x in graph.initializer if x.name in needed]
    domains = {node.domain for node in nodes}
    opsets = [x for x in model.opset_import if x.domain in domains]
    _replace(graph.node, reversed(nodes))
    _replace(graph.initializer, constants)
    _replace(model.opset_import, opsets)


def _replace(field: Any, values: Iterable[Any]) -> None:
    values = list(values)
    del field[:]
    field.extend(values)


def _rename(graph: Any) -> None:
    """Names what users see: the inputs and outputs."""
    names = {graph.input[0].name: INPUT_NAME}
    for number, output in enumerate(graph.output):
        names[output.name] = OUTPUT_NAME.format(number)
    for node in graph.node:
        _replace(node.input, [names.get(x, x) for x in node.input])
        _replace(node.output, [names.get(x, x) for x in node.output])
    for value in (*graph.input, *graph.output):
        value.name = names[value.name]


def _drop_metadata(model: Any) -> None:
    graph = model.graph
    del graph.value_info[:]
    described = [
        model,
        graph,
        *graph.node,
        *graph.input,
        *graph.output,
        *graph.initializer,
    ]
    for item in described:
        item.doc_string = ""
        del item.metadata_props[:]
