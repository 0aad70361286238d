"""Computations in an ONNX graph that have a better form.

A match takes a graph and a node. If the node is the last of what it looks
for, it returns the nodes and constants that take its place, else `None`.
"""

from typing import Any

import numpy as np

Rewrite = tuple[list[Any], list[Any]]
"""Nodes in order, the last with the output of the old one; and constants."""


class Reader:
    """What makes which value of a graph.

    Args:
        graph: An `onnx.GraphProto`.
    """

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

    def equals(self, name: str, number: float) -> bool:
        """Whether a value is one constant number, up to rounding."""
        array = self.array(name)
        if array is None or array.size != 1:
            return False
        return bool(np.isclose(array.item(), number, rtol=1e-6, atol=0))

    def either(self, node: Any, kind: str) -> tuple[Any, str] | None:
        """Returns the input that a kind of node makes, and the other one."""
        if node is None or len(node.input) != 2:
            return None
        for one, other in (node.input, node.input[::-1]):
            made = self.node(one, kind)
            if made is not None:
                return made, other
        return None


def match_layer_norm(reader: Reader, node: Any) -> Rewrite | None:
    """Matches `x * scale + (beta - mean * scale)`, a layer norm.

    From TensorFlow it comes as a dozen element-wise nodes, each of which
    walks through the map. Runtimes have one kernel for it.

    Args:
        reader: The graph.
        node: The node that may be its last.

    Returns:
        One node and its constants, if it is a layer norm.
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
            return [fused], constants
    return None


def _layer_norm_parts(
    reader: Reader, x: str, scale: str, shift: tuple[Any, str]
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


def _is_mean(reader: Reader, name: str, of: str) -> bool:
    """Whether a value is the mean over the last axis of another."""
    node = reader.node(name, "ReduceMean")
    if node is None or node.input[0] != of or len(node.input) != 2:
        return False
    axes = reader.array(node.input[1])
    kept = [x.i for x in node.attribute if x.name == "keepdims"]
    return axes is not None and axes.tolist() == [-1] and kept in ([], [1])


def match_gelu(reader: Reader, node: Any) -> Rewrite | None:
    """Matches the product of `x`, 0.5 and `1 + erf(x / sqrt(2))`.

    ONNX Runtime knows it as one operation in one form only. As an operator of
    its own, it is too new for many readers.

    Args:
        reader: The graph.
        node: The node that may be its last.

    Returns:
        That form, if it is a GELU.
    """
    from onnx import helper

    x = _gelu_argument(reader, node)
    if x is None:
        return None
    prefix = node.output[0]
    values = {"root": 2**0.5, "one": 1.0, "half": 0.5}
    constants = [
        _constant(f"{prefix}/{name}", np.array(value, "float32"))
        for name, value in values.items()
    ]
    root, one, half = (constant.name for constant in constants)
    steps = [
        ("Div", [x, root], f"{prefix}/scaled"),
        ("Erf", [f"{prefix}/scaled"], f"{prefix}/erf"),
        ("Add", [f"{prefix}/erf", one], f"{prefix}/sum"),
        ("Mul", [x, f"{prefix}/sum"], f"{prefix}/product"),
        ("Mul", [f"{prefix}/product", half], prefix),
    ]
    nodes = [
        helper.make_node(kind, inputs, [output], name=output)
        for kind, inputs, output in steps
    ]
    return nodes, constants


def _gelu_argument(reader: Reader, node: Any) -> str | None:
    if node.op_type != "Mul":
        return None
    for one, other in (node.input, node.input[::-1]):
        inner = reader.node(one, "Mul")
        if inner is None:
            continue
        factors = [*inner.input, other]
        halves = [x for x in factors if reader.equals(x, 0.5)]
        sums = [x for x in factors if _erf_argument(reader, x) is not None]
        if len(halves) != 1 or len(sums) != 1:
            continue
        (x,) = set(factors) - {halves[0], sums[0]} or {None}
        if x is not None and x == _erf_argument(reader, sums[0]):
            return x
    return None


def _erf_argument(reader: Reader, name: str) -> str | None:
    """Returns `x`, if a value is `1 + erf(x / sqrt(2))`."""
    found = reader.either(reader.node(name, "Add"), "Erf")
    if found is None or not reader.equals(found[1], 1.0):
        return None
    product = reader.node(found[0].input[0], "Mul")
    if product is not None:
        for x, scale in (product.input, product.input[::-1]):
            if reader.equals(scale, 2**-0.5):
                return x
    quotient = reader.node(found[0].input[0], "Div")
    if quotient is not None and reader.equals(quotient.input[1], 2**0.5):
        return quotient.input[0]
    return None


def _constant(name: str, value: np.ndarray) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.ascontiguousarray(value), name)
