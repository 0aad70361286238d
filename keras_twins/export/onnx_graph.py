"""ONNX graphs made lean, and fit to be read by others."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from keras_twins.export.onnx_patterns import Reader
from keras_twins.export.onnx_patterns import Rewrite
from keras_twins.export.onnx_patterns import match_gelu
from keras_twins.export.onnx_patterns import match_layer_norm
from keras_twins.export.plan import INPUT_NAME
from keras_twins.export.plan import OUTPUT_NAME


def tidy(model: Any, names: Sequence[str] | None = None) -> Any:
    """Makes a graph lean and takes out what is not for others to read.

    Args:
        model: An `onnx.ModelProto`; it is changed.
        names: Names of the outputs in order, by default `output_0`,
            `output_1`, ...

    Returns:
        The same model: with layer norms and GELUs as runtimes know them,
        with named outputs, and without the paths of this machine that
        converters leave in its metadata.
    """
    _rewrite(model, match_layer_norm)
    _rewrite(model, match_gelu)
    _drop_unused(model)
    _rename(model.graph, names)
    _drop_metadata(model)
    _drop_metadata_of(model.graph)
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
            needed.update(_read_by(node))
    constants = [x for x in graph.initializer if x.name in needed]
    domains = {node.domain for node in _nested(nodes)}
    opsets = [x for x in model.opset_import if x.domain in domains]
    _replace(graph.node, reversed(nodes))
    _replace(graph.initializer, constants)
    _replace(model.opset_import, opsets)


def _replace(field: Any, values: Iterable[Any]) -> None:
    values = list(values)
    del field[:]
    field.extend(values)


def _bodies(node: Any) -> list[Any]:
    """Returns the graphs of a loop or a branch."""
    return [x.g for x in node.attribute if x.HasField("g")]


def _nested(nodes: Iterable[Any]) -> Iterator[Any]:
    """Yields nodes, and those of the loops and branches among them."""
    for node in nodes:
        yield node
        for body in _bodies(node):
            yield from _nested(body.node)


def _read_by(node: Any) -> set[str]:
    """Returns the values that a node reads, by itself or in its bodies.

    What a body makes itself is among them; its names are unique.
    """
    names = {name for inner in _nested([node]) for name in inner.input}
    for body in _bodies(node):
        names.update(output.name for output in body.output)
    return names


def _rename(graph: Any, wanted: Sequence[str] | None) -> None:
    """Names what users see: the inputs and outputs."""
    if wanted is None:
        wanted = [OUTPUT_NAME.format(n) for n in range(len(graph.output))]
    names = {graph.input[0].name: INPUT_NAME}
    for name, output in zip(wanted, graph.output, strict=True):
        names[output.name] = name
    for node in _nested(graph.node):
        _rename_within(node, names)
    for value in (*graph.input, *graph.output):
        value.name = names[value.name]


def _rename_within(node: Any, names: Mapping[str, str]) -> None:
    _replace(node.input, [names.get(x, x) for x in node.input])
    _replace(node.output, [names.get(x, x) for x in node.output])
    for body in _bodies(node):
        for value in body.output:
            value.name = names.get(value.name, value.name)


def _drop_metadata(item: Any) -> None:
    item.doc_string = ""
    del item.metadata_props[:]


def _drop_metadata_of(graph: Any) -> None:
    """Takes out what converters note, here and in loops and branches."""
    del graph.value_info[:]
    described = (graph.node, graph.input, graph.output, graph.initializer)
    for item in (graph, *(x for field in described for x in field)):
        _drop_metadata(item)
    for node in graph.node:
        for body in _bodies(node):
            _drop_metadata_of(body)
