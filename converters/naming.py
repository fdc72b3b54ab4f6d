"""Names: every node of an exported graph is called after the module it was traced from.

`bert.encoder.layer.0.output.dense/MatMul` is the product in that module. The part before the slash
is the *region* a recipe can keep in floating point, and the name a runtime's own reports show.
"""

import ast
from collections import Counter

import onnx_ir as ir

from jouleforge.converters.graph import constant

# Written by torch's exporter: the modules around a node, outermost first, and the traced operation.
_TRACES = "pkg.torch."
_SCOPES = f"{_TRACES}onnx.name_scopes"
# The attribute of our own wrapper that holds the model.
_WRAPPER = "model."


def name_nodes(graph: ir.Graph) -> None:
    """Name every node `module/operator`, with a number from the second of one module on.

    What else the exporter wrote about its origin is taken out: it holds the paths of this
    installation, and a graph's digest must not depend on them.
    """
    seen: Counter[str] = Counter()
    for node in graph:
        module = _module(node) or "graph"
        name = f"{module}/{node.op_type}"
        seen[name] += 1
        node.name = name if seen[name] == 1 else f"{name}.{seen[name] - 1}"
        for key in [key for key in node.metadata_props if key.startswith(_TRACES)]:
            del node.metadata_props[key]


def region(node: ir.Node) -> str:
    """Return the module a node was traced from."""
    return (node.name or "").partition("/")[0]


def encoder_products(graph: ir.Graph) -> list[ir.Node]:
    """Return the products of the encoder's layers with a constant weight, in order.

    The head's are Gemm nodes, for they see one row of each example; they are few and decide all.
    """
    return [
        node
        for node in graph
        if node.op_type == "MatMul"
        and (weight := constant(node.inputs[1])) is not None
        and weight.ndim == 2
    ]


def _module(node: ir.Node) -> str:
    written = node.metadata_props.get(_SCOPES)
    scopes = ast.literal_eval(written) if written else []
    modules = [scope for scope in scopes[:-1] if scope.startswith(_WRAPPER)]
    return modules[-1].removeprefix(_WRAPPER) if modules else ""
