"""INT8 with dynamic activations: the operators ONNX Runtime is fast with, written directly."""

import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common
from numpy.typing import NDArray

from jouleforge.converters.graph import add_constant, constant, replace
from jouleforge.converters.precision.weights import quantize_weight

_DOMAIN = "com.microsoft"


def quantize_dynamic(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with INT8 weights and activations quantised at run time.

    Weights are symmetric signed INT8 with one scale per output channel; activations unsigned INT8
    with one scale and zero point per tensor, computed on each input (ONNX `DynamicQuantizeLinear`).
    On x86 only unsigned activations with signed weights reach the VNNI and AMX kernels of ONNX
    Runtime. Embeddings, LayerNorm, softmax and the head's Gemm layers stay in float32: they are
    cheap and they are where accuracy is lost.
    """
    model = ir.from_proto(proto)
    model.opset_imports.setdefault(_DOMAIN, 1)
    for node in list(model.graph):
        if node.op_type == "Attention" and node.domain == _DOMAIN:
            _quantize_attention(model.graph, node)
        elif node.op_type == "MatMul":
            _quantize_matmul(model.graph, node)
    common.RemoveUnusedNodesPass()(model)
    common.TopologicalSortPass()(model)
    return ir.to_proto(model)


def _constant_weight(value: ir.Value | None) -> NDArray[np.floating] | None:
    array = constant(value)
    if array is None:
        return None
    return array if array.ndim == 2 and np.issubdtype(array.dtype, np.floating) else None


def _stored(graph: ir.Graph, weight: ir.Value) -> tuple[ir.Value, ir.Value] | None:
    """Put the INT8 form of a constant weight beside it, once; return it and its scales."""
    array = _constant_weight(weight)
    if array is None:
        return None
    name = f"{weight.name}_int8"
    if name not in graph.initializers:
        quantized, scale = quantize_weight(array)
        add_constant(graph, name, quantized)
        add_constant(graph, f"{name}_scale", scale)
    return graph.initializers[name], graph.initializers[f"{name}_scale"]


def _quantize_matmul(graph: ir.Graph, node: ir.Node) -> None:
    weight = node.inputs[1]
    stored = None if weight is None else _stored(graph, weight)
    if stored is None:  # a product of two activations
        return
    user, bias = _added(node.outputs[0])
    inputs = [node.inputs[0], *stored, *((None, bias) if bias else ())]
    fused = ir.Node(_DOMAIN, "DynamicQuantizeMatMul", inputs, name=node.name)
    if user is None:
        replace(graph, node, [fused])
        return
    # The product adds the bias for nothing; alone, that is a pass over its result.
    made = [fused]
    if user.op_type == "BiasGelu":
        made.append(ir.Node(_DOMAIN, "Gelu", fused.outputs, name=user.name))
    replace(graph, user, made)
    graph.remove(node, safe=True)


def _added(value: ir.Value) -> tuple[ir.Node, ir.Value] | tuple[None, None]:
    """Return the node that adds a constant vector to a product, and the vector, if one does."""
    users = list(value.uses())
    if len(users) != 1 or users[0].node.op_type not in ("Add", "BiasGelu"):
        return None, None
    node = users[0].node
    (other,) = (term for term in node.inputs if term is not value)
    vector = constant(other)
    return (node, other) if vector is not None and vector.ndim == 1 and other else (None, None)


def _quantize_attention(graph: ir.Graph, node: ir.Node) -> None:
    weight = node.inputs[1]
    assert weight is not None, "Attention always has a weight"
    heads = node.attributes["num_heads"].as_int()
    array = _constant_weight(weight)
    # QAttention has no attribute for the scale and always divides by the root of the head size.
    scale = node.attributes["scale"].as_float() if "scale" in node.attributes else 0.0
    if array is None:
        return
    usual = (array.shape[1] / 3 / heads) ** -0.5
    if scale and abs(scale / usual - 1) > 1e-5:
        return
    stored = _stored(graph, weight)
    assert stored is not None
    quantize = ir.Node("", "DynamicQuantizeLinear", [node.inputs[0]], num_outputs=3)
    activation, activation_scale, zero_point = quantize.outputs
    fused = ir.Node(
        _DOMAIN,
        "QAttention",
        [
            activation,
            stored[0],
            node.inputs[2],
            activation_scale,
            stored[1],
            node.inputs[3],
            zero_point,
        ],
        [node.attributes[key] for key in ("num_heads", "mask_filter_value")],
        name=node.name,
    )
    replace(graph, node, [quantize, fused])
