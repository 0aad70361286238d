"""ONNX graphs made lean: a layer norm is one node.

From TensorFlow it comes as a dozen element-wise nodes, each of which walks
through the map. Runtimes have one kernel for it, if it is written as one.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_twins.export.plan import INPUT_NAME

OUTPUT_NAME = "output_{}"
"""Names of a file's outputs, by their number."""


def tidy(model: Any) -> Any:
    """Makes a graph lean and takes out what is not for others to read.

    Args:
        model: An `onnx.ModelProto`; it is changed.

    Returns:
        The same model: with layer norms as one node, with outputs named
        `output_0`, `output_1`, ..., and without the paths of this machine
        that converters leave in its metadata.
    """
    _fuse_layer_norms(model)
    _drop_unused(model)
    _rename(model.graph)
    _drop_metadata(model)
    return model


class _Reader:
    """What makes which value of a graph."""

    def __init__(self, graph: Any):
        self.nodes = {out: node for node in graph.node for out in node.output}
        self.constants = {x.name: x for x in graph.initializer}

    def node(self, name: str, kind: str) -> Any:
        """Returns the node of one kind that makes a value, or `None`."""
        node = self.nodes.get(name)
        return node if node is not None and node.op_type == kind else None

    def array(self, name: str) -> np.ndarray | None:
        """Returns the value of a constant, or `None`."""
        from onnx import numpy_helper

        constant = self.constants.get(name)
        return None if constant is None else numpy_helper.to_array(constant)

    def either(self, node: Any, kind: str) -> tuple[Any, str] | None:
        """Returns the input that a kind of node makes, and the other one."""
        if node is None or len(node.input) != 2:
            return None
        for one, other in (node.input, node.input[::-1]):
            made = self.node(one, kind)
            if made is not None:
                return made, other
        return None


def _fuse_layer_norms(model: Any) -> None:
    reader = _Reader(model.graph)
    nodes, constants = [], []
    for node in model.graph.node:
        fused, used = _match_layer_norm(reader, node) or (node, [])
        nodes.append(fused)
        constants += used
    _replace(model.graph.node, nodes)
    model.graph.initializer.extend(constants)


def _match_layer_norm(
    reader: _Reader, node: Any
) -> tuple[Any, list[Any]] | None:
    """Returns what takes the place of `x * scale + (beta - mean * scale)`.

    Args:
        reader: The graph.
        node: The node that adds.

    Returns:
        One node and its constants, or `None` if it is no layer norm.
    """
    from onnx import helper

    if node.op_type != "Add" or len(node.input) != 2:
        return None
    for one, other in (node.input, node.input[::-1]):
        product, shift = reader.node(one, "Mul"), reader.node(other, "Add")
        found = reader.either(shift, "Mul")
        if product is None or found is None:
            continue
        for x, scale in (product.input, product.input[::-1]):
            parts = _layer_norm_parts(reader, x, scale, found)
            if parts is None:
                continue
            gamma, beta, epsilon = parts
            prefix = node.output[0]
            constants = [
                _constant(f"{prefix}/gamma", gamma),
                _constant(f"{prefix}/beta", beta),
            ]
            fused = helper.make_node(
                "LayerNormalization",
                [x, *(c.name for c in constants)],
                list(node.output),
                name=node.name,
                axis=-1,
                epsilon=epsilon,
            )
            return fused, constants
    return None


def _layer_norm_parts(
    reader: _Reader, x: str, scale: str, shift: tuple[Any, str]
) -> tuple[np.ndarray, np.ndarray, float] | None:
    """Returns gamma, beta and epsilon, if it is a layer norm of `x`."""
    shifted, beta = shift
    negated = reader.either(shifted, "Neg")
    scaled = reader.either(reader.node(scale, "Mul"), "Reciprocal")
    if negated is None or scaled is None or negated[1] != scale:
        return None
    mean = negated[0].input[0]
    root = reader.node(scaled[0].input[0], "Sqrt")
    total = reader.node(root.input[0], "Add") if root is not None else None
    spread = reader.either(total, "ReduceMean")
    if spread is None or not _is_mean(reader, mean, x):
        return None
    square = reader.node(spread[0].input[0], "Mul")
    gamma, beta_value = reader.array(scaled[1]), reader.array(beta)
    epsilon = reader.array(spread[1])
    if square is None or gamma is None or beta_value is None or epsilon is None:
        return None
    centred = reader.node(square.input[0], "Sub")
    if (
        square.input[0] != square.input[1]
        or centred is None
        or list(centred.input) != [x, mean]
        or not _is_mean(reader, spread[0].output[0], square.output[0])
        or gamma.shape[-1:] != (gamma.size,)
        or gamma.shape != beta_value.shape
    ):
        return None
    return gamma.ravel(), beta_value.ravel(), float(epsilon)


def _is_mean(reader: _Reader, name: str, of: str) -> bool:
    """Whether a value is the mean over the last axis of another."""
    node = reader.node(name, "ReduceMean")
    if node is None or node.input[0] != of or len(node.input) != 2:
        return False
    axes = reader.array(node.input[1])
    kept = [x.i for x in node.attribute if x.name == "keepdims"]
    return axes is not None and axes.tolist() == [-1] and kept in ([], [1])


def _constant(name: str, value: np.ndarray) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.ascontiguousarray(value), name)


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


def _replace(field: Any, values: Iterator[Any] | list[Any]) -> None:
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
