"""Audit: what an engine consists of, read from what was written rather than from what was asked."""

from collections import Counter

import onnx

from jouleforge.engine import Audit
from jouleforge.errors import GateError
from jouleforge.recipe import Recipe

_FUSED_ATTENTION = ("Attention", "QAttention", "MultiHeadAttention")
_INT8_MATMULS = ("DynamicQuantizeMatMul", "QAttention", "MatMulInteger")
_FLOAT_MATMULS = ("MatMul", "Gemm", "Attention")


def audit_graph(graph: onnx.ModelProto, recipe: Recipe, *, layers: int) -> Audit:
    """Return what the graph consists of.

    Raises:
        GateError: The graph is not what the recipe asks for: an attention that was not fused, or
            a precision that reached no layer.
    """
    operators = Counter(node.op_type for node in graph.graph.node)
    fused = sum(operators[name] for name in _FUSED_ATTENTION)
    softmax = operators["Softmax"]
    int8 = sum(operators[name] for name in _INT8_MATMULS)
    if recipe.flavour == "fused" and fused != layers:
        raise GateError(
            f"{fused} of {layers} attentions were fused; use --flavour plain for this architecture"
        )
    if recipe.precision == "int8-dynamic" and int8 < layers:
        raise GateError(f"only {int8} matrix products of {layers} layers became INT8")
    names = [name for name in _FUSED_ATTENTION if operators[name]]
    return Audit(
        operators=dict(sorted(operators.items())),
        attention=" + ".join(names) if names else "MatMul-Softmax-MatMul",
        attention_layers=fused or softmax,
        int8_matmuls=int8,
        float_matmuls=sum(operators[name] for name in _FLOAT_MATMULS),
    )


def audit_module(attention: str, *, layers: int) -> Audit:
    """Return what a PyTorch module computes its attention with."""
    return Audit(
        operators={},
        attention=attention,
        attention_layers=layers,
        int8_matmuls=0,
        float_matmuls=0,
    )
