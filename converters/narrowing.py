"""Narrowing: what only the first token's answer needs is computed for the first token alone.

A classifier's head reads one row of the last hidden state. Keys and values of the last layer are
still those of every token; its queries, its scores and all that follows them are then one row of
each example. Every value that is computed stays the same.
"""

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as common

from jouleforge.converters.graph import add_constant, constant
from jouleforge.converters.naming import region

# One value of the result needs one value of each operand of the same shape.
_POINTWISE = frozenset(
    {"Add", "Sub", "Mul", "Div", "Gelu", "Relu", "Tanh", "Sigmoid", "Erf", "BiasGelu", "FastGelu",
     "SkipLayerNormalization"}
)  # fmt: skip
# One row of the result needs the same row of the first operand.
_BY_ROW = frozenset({"LayerNormalization", "Softmax"})


def narrow(model: ir.Model) -> None:
    """Cut the rows that nothing reads, in place; a graph whose head reads more is left as it is."""
    graph = model.graph
    for head in [node for node in graph if _reads_first_token(node)]:
        needed = _needed(graph, head)
        if len(needed) > 1:
            _narrow(graph, needed)
    common.RemoveUnusedNodesPass()(model)
    common.TopologicalSortPass()(model)


def _reads_first_token(node: ir.Node) -> bool:
    index = constant(node.inputs[1]) if node.op_type == "Gather" else None
    if index is None or index.shape or index != 0 or constant(node.inputs[0]) is not None:
        return False
    return _rank(node.inputs[0]) == 3 and node.attributes["axis"].as_int() == 1


def _needed(graph: ir.Graph, head: ir.Node) -> dict[ir.Node, dict[int, int]]:
    """Return the nodes of which the head needs one row, the last first.

    With each go its operands of which one row is enough, and the axis the rows are along.
    """
    needed = {head: {0: 1}}
    for node in reversed(list(graph)):
        if node in needed or len(node.outputs) != 1 or node.outputs[0].is_graph_output():
            continue
        axes = {needed.get(user, {}).get(place) for user, place in node.outputs[0].uses()}
        axis = axes.pop() if len(axes) == 1 else None
        if axis is not None and (operands := _operands(node, axis)):
            needed[node] = operands
    return needed


def _operands(node: ir.Node, axis: int) -> dict[int, int]:
    """Return the operands of which one row gives one row of the result, by place, with its axis."""
    out, rank = node.outputs[0].shape, _rank(node.outputs[0])
    if out is None or rank is None:
        return {}
    if node.op_type in _POINTWISE:
        like = [place for place, value in enumerate(node.inputs) if _is_like(value, out)]
        others = [value for place, value in enumerate(node.inputs) if value and place not in like]
        repeated = all(_is_one_row(value, axis - rank) for value in others)
        return dict.fromkeys(like, axis) if repeated else {}
    first = {0: axis}
    if node.op_type == "MatMul":
        return first if axis == rank - 2 == (_rank(node.inputs[0]) or 0) - 2 else {}
    if node.op_type in _BY_ROW:
        along = node.attributes["axis"].as_int() if "axis" in node.attributes else -1
        return first if along in (-1, rank - 1) and axis != rank - 1 else {}
    if node.op_type == "Transpose":
        return {0: node.attributes["perm"].as_ints()[axis]}
    if node.op_type == "Reshape" and axis == 1:
        return first if _splits_or_joins_heads(node) else {}
    return {}


def _splits_or_joins_heads(node: ir.Node) -> bool:
    source, after = node.inputs[0], node.outputs[0].shape
    before = None if source is None else source.shape
    return (
        before is not None
        and after is not None
        and before[:2] == after[:2]
        and all(isinstance(size, int) for size in after[2:])
    )


def _narrow(graph: ir.Graph, needed: dict[ir.Node, dict[int, int]]) -> None:
    firsts: dict[ir.Value, ir.Value] = {}
    for node, operands in reversed(needed.items()):
        for place, axis in operands.items():
            value = node.inputs[place]
            assert value is not None, "an operand has a shape"
            if value.producer() in needed:
                continue
            if value not in firsts:
                firsts[value] = _first(graph, value, axis, before=node)
            node.replace_input_with(place, firsts[value])
    for node in needed:
        if node.op_type == "Reshape":
            sizes = node.outputs[0].shape
            assert sizes is not None
            shape = np.array([-1, 1, *(int(str(size)) for size in sizes[2:])], np.int64)
            node.replace_input_with(1, add_constant(graph, f"{node.outputs[0].name}_shape", shape))
    _describe(needed)


def _describe(needed: dict[ir.Node, dict[int, int]]) -> None:
    """Give the narrowed values their shapes."""
    for node, operands in needed.items():
        for place, axis in operands.items():
            value = node.inputs[place]
            if value is not None and value.shape is not None and value.producer() in needed:
                value.shape = _with_one(value.shape, axis)


def _first(graph: ir.Graph, value: ir.Value, axis: int, *, before: ir.Node) -> ir.Value:
    """Return the first row of a value."""
    name = f"{value.name}_first"
    index = add_constant(graph, f"{name}_index", np.array([0], np.int64))
    attributes = [ir.AttrInt64("axis", axis)]
    cut = ir.Node("", "Gather", [value, index], attributes, name=f"{region(before)}/Gather.first")
    made = cut.outputs[0]
    assert value.shape is not None
    made.name, made.type, made.shape = name, value.type, _with_one(value.shape, axis)
    graph.insert_before(before, cut)
    return made


def _with_one(shape: ir.Shape, axis: int) -> ir.Shape:
    return ir.Shape([1 if place == axis else size for place, size in enumerate(shape)])


def _rank(value: ir.Value | None) -> int | None:
    return None if value is None or value.shape is None else len(value.shape)


def _is_one_row(value: ir.Value, axis: int) -> bool:
    """Return whether all rows of the result meet the same values of this operand."""
    return value.shape is not None and (len(value.shape) < -axis or value.shape[axis] == 1)


def _is_like(value: ir.Value | None, shape: ir.Shape) -> bool:
    return value is not None and value.shape == shape and constant(value) is None
