"""Fusion: ONNX Runtime's transformer operators in place of the exported ones.

The exporter writes attention as one operator already. Here its three projections are packed into
it (`Attention`), and residual additions (`SkipLayerNormalization`), bias additions before GELU
(`BiasGelu`) and the embedding sum (`EmbedLayerNormalization`) become one operator each. The
operators are specified in onnxruntime's docs/ContribOperators.md.

Our own passes rather than `onnxruntime.transformers.optimizer`: that one does not find attention in
graphs of torch's current exporter, and by default turns the mask into lengths, which is wrong for
left padding.
"""

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as common

from jouleforge.converters.graph import add_constant, constant, replace

_DOMAIN = "com.microsoft"
_INT32 = int(ir.DataType.INT32)


def fuse(model: ir.Model, *, residuals: bool) -> None:
    """Fuse all that is found, in place.

    Args:
        model: Graph with attention as one operator.
        residuals: Make residual additions and LayerNorm one operator too, which CUDA gains by and
            the CPU loses by (`ort_options`).
    """
    model.opset_imports.setdefault(_DOMAIN, 1)
    for number, node in enumerate(_nodes(model, "MultiHeadAttention")):
        _pack_attention(model.graph, node, number)
    for node in _nodes(model, "LayerNormalization"):
        if not _fuse_embedding(model.graph, node) and residuals:
            _fuse_residual(model.graph, node)
    for node in _nodes(model, "Gelu"):
        _fuse_bias_gelu(model.graph, node)
    common.RemoveUnusedNodesPass()(model)
    common.TopologicalSortPass()(model)


def _nodes(model: ir.Model, operator: str) -> list[ir.Node]:
    return [node for node in model.graph if node.op_type == operator]


def _contrib(
    operator: str, inputs: list[ir.Value | None], *, like: ir.Node, attributes: list[ir.Attr]
) -> ir.Node:
    """Return an operator that will take the place of `like`."""
    return ir.Node(_DOMAIN, operator, inputs, attributes, num_outputs=1, name=like.name)


def _producer(value: ir.Value | None, operator: str) -> ir.Node | None:
    """Return the node that makes this value if it is of that operator."""
    node = None if value is None else value.producer()
    return node if node is not None and node.op_type == operator else None


def _is_used_once(value: ir.Value) -> bool:
    return len(value.uses()) == 1 and not value.is_graph_output()


def _split_bias(value: ir.Value | None) -> tuple[ir.Value, ir.Value] | None:
    """Return (x, b) where the value is x + b with b a constant vector."""
    add = _producer(value, "Add")
    if add is None:
        return None
    for x, b in (add.inputs, reversed(add.inputs)):
        array = constant(b)
        if x is not None and b is not None and array is not None and array.ndim == 1:
            return x, b
    return None


def _pack_attention(graph: ir.Graph, node: ir.Node, number: int) -> None:
    """Make `MultiHeadAttention(xWq+bq, xWk+bk, xWv+bv)` one `Attention(x, [Wq|Wk|Wv], [b…])`."""
    source: ir.Value | None = None
    weights, biases = [], []
    for projected in node.inputs[:3]:
        value = projected
        while (reshape := _producer(value, "Reshape")) is not None:
            value = reshape.inputs[0]
        split = _split_bias(value)
        product = None if split is None else _producer(split[0], "MatMul")
        if split is None or product is None or source not in (None, product.inputs[0]):
            return
        weight, bias = constant(product.inputs[1]), constant(split[1])
        if weight is None or bias is None:
            return
        source = product.inputs[0]
        weights.append(weight)
        biases.append(bias)
    weight_value = add_constant(graph, f"qkv_weight_{number}", np.concatenate(weights, axis=1))
    bias_value = add_constant(graph, f"qkv_bias_{number}", np.concatenate(biases))
    attention = _contrib(
        "Attention",
        [source, weight_value, bias_value, node.inputs[4]],
        like=node,
        attributes=[node.attributes[key] for key in ("num_heads", "scale", "mask_filter_value")],
    )
    replace(graph, node, [attention])
    _drop_reshape_to_same(graph, attention.outputs[0])


def _drop_reshape_to_same(graph: ir.Graph, value: ir.Value) -> None:
    """Remove the reshape that the module asks of attention and that changes nothing."""
    for user, _ in list(value.uses()):
        if user.op_type == "Reshape" and user.outputs[0].shape == value.shape:
            ir.convenience.replace_all_uses_with(user.outputs[0], value)
            graph.remove(user, safe=True)


def _fuse_residual(graph: ir.Graph, node: ir.Node) -> bool:
    """Make `LayerNormalization(x + bias + skip)` one `SkipLayerNormalization`."""
    add = _producer(node.inputs[0], "Add")
    if add is None or not _is_used_once(add.outputs[0]) or len(node.inputs) < 3:
        return False
    x, skip = add.inputs
    if constant(x) is not None or constant(skip) is not None:
        return False
    if _split_bias(x) is None and _split_bias(skip) is not None:
        x, skip = skip, x
    bias: ir.Value | None = None
    if (split := _split_bias(x)) is not None and x is not None and _is_used_once(x):
        x, bias = split
    fused = _contrib(
        "SkipLayerNormalization",
        [x, skip, node.inputs[1], node.inputs[2], bias],
        like=node,
        attributes=[node.attributes["epsilon"]],
    )
    replace(graph, node, [fused])
    return True


def _fuse_bias_gelu(graph: ir.Graph, node: ir.Node) -> None:
    """Make `Gelu(x + bias)` one `BiasGelu` (erf form) or `FastGelu` (tanh form)."""
    split = _split_bias(node.inputs[0])
    if split is None or not _is_used_once(node.inputs[0]):  # type: ignore[arg-type]
        return
    approximate = node.attributes.get("approximate")
    tanh = approximate is not None and approximate.as_string() == "tanh"
    operator = "FastGelu" if tanh else "BiasGelu"
    replace(graph, node, [_contrib(operator, list(split), like=node, attributes=[])])


def _fuse_embedding(graph: ir.Graph, node: ir.Node) -> bool:
    """Make the normalised sum of word, position and token-type embeddings one operator."""
    gathers = _summed_gathers(node.inputs[0])
    tables: dict[str, ir.Node] = {}
    for gather in gathers or []:
        tables[_index_kind(gather.inputs[1])] = gather
    if gathers is None or len(tables) != len(gathers) or "other" in tables:
        return False
    if not {"input_ids", "positions"} <= tables.keys() or len(node.inputs) < 3:
        return False
    casts = {
        kind: ir.Node("", "Cast", [tables[kind].inputs[1]], [ir.AttrInt64("to", _INT32)])
        for kind in ("input_ids", "token_type_ids")
        if kind in tables
    }
    types = tables.get("token_type_ids")
    fused = _contrib(
        "EmbedLayerNormalization",
        [
            casts["input_ids"].outputs[0],
            casts["token_type_ids"].outputs[0] if types else None,
            tables["input_ids"].inputs[0],
            tables["positions"].inputs[0],
            types.inputs[0] if types else None,
            node.inputs[1],
            node.inputs[2],
        ],
        like=node,
        attributes=[node.attributes["epsilon"]],
    )
    fused.resize_outputs(2)
    replace(graph, node, [*casts.values(), fused])
    return True


def _summed_gathers(value: ir.Value | None) -> list[ir.Node] | None:
    """Return the Gather nodes that a tree of additions sums, or None if it sums anything else."""
    if (gather := _producer(value, "Gather")) is not None:
        return [gather] if constant(gather.inputs[0]) is not None else None
    add = _producer(value, "Add")
    if add is None:
        return None
    left, right = (_summed_gathers(term) for term in add.inputs)
    return None if left is None or right is None else left + right


def _index_kind(value: ir.Value | None) -> str:
    """Return what a Gather is indexed by: an input, `positions` (0, 1, 2, …) or `other`."""
    if value is None:
        return "other"
    if value.is_graph_input():
        return str(value.name)
    sliced = _producer(value, "Slice")
    table = None if sliced is None else constant(sliced.inputs[0])
    starts = None if sliced is None else constant(sliced.inputs[1])
    if table is None or starts is None or np.any(starts != 0):
        return "other"
    return "positions" if np.array_equal(table.ravel(), np.arange(table.size)) else "other"
