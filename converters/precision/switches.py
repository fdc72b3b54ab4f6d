"""Switches: a quantised graph whose regions can each be put back to float while it runs.

One session then tells what each region's rounding does to the answers, where building a graph for
each would take minutes.
"""

import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common

from jouleforge.converters.graph import add_constant
from jouleforge.converters.naming import region

INPUT = "quantized"
"""Extra input, float32 of shape (regions,): 1 where a region is quantised, 0 where it is not."""


def switchable(
    plain: onnx.ModelProto, quantized: onnx.ModelProto
) -> tuple[onnx.ModelProto, list[str]]:
    """Return the quantised graph with switches, and its regions in the order of the input.

    Each rounded tensor y of a tensor x becomes x + switch * (y - x) at every node that reads it.

    Args:
        plain: The graph before quantisation, for its weights.
        quantized: The same graph with Q/DQ nodes.
    """
    weights = {tensor.name: tensor for tensor in plain.graph.initializer}
    model = ir.from_proto(quantized)
    graph = model.graph
    readers = [
        node
        for node in graph
        if node.op_type in ("MatMul", "Add") and any(_is_rounded(value) for value in node.inputs)
    ]
    regions = list(dict.fromkeys(region(node) for node in readers))
    switches = ir.Value(
        name=INPUT, type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([len(regions)])
    )
    graph.inputs.append(switches)
    for node in readers:
        place = add_constant(graph, f"{node.name}_place", np.array(regions.index(region(node))))
        switch = ir.Node("", "Gather", [switches, place], name=f"{node.name}/switch")
        switch.outputs[0].name = f"{node.name}/switch"
        graph.insert_before(node, switch)
        for index, value in enumerate(node.inputs):
            if value is not None and _is_rounded(value):
                exact = _exact(graph, value, weights)
                mixed = _mixed(graph, node, exact, value, switch.outputs[0])
                mixed.name = f"{node.name}/mixed.{index}"
                node.replace_input_with(index, mixed)
    common.TopologicalSortPass()(model)
    return ir.to_proto(model), regions


def _is_rounded(value: ir.Value | None) -> bool:
    producer = None if value is None else value.producer()
    return producer is not None and producer.op_type == "DequantizeLinear"


def _exact(graph: ir.Graph, rounded: ir.Value, weights: dict[str, onnx.TensorProto]) -> ir.Value:
    """Return what was rounded: the input of the quantisation, or the weight it replaced."""
    dequantize = rounded.producer()
    assert dequantize is not None
    assert dequantize.inputs[0] is not None
    quantize = dequantize.inputs[0].producer()
    if quantize is not None:
        assert quantize.inputs[0] is not None
        return quantize.inputs[0]
    name = str(rounded.name).removesuffix("_dq")
    if name in graph.initializers:
        return graph.initializers[name]
    return add_constant(graph, name, onnx.numpy_helper.to_array(weights[name]))


def _mixed(
    graph: ir.Graph, node: ir.Node, exact: ir.Value, rounded: ir.Value, switch: ir.Value
) -> ir.Value:
    error = ir.Node("", "Sub", [rounded, exact])
    part = ir.Node("", "Mul", [switch, error.outputs[0]])
    mixed = ir.Node("", "Add", [exact, part.outputs[0]])
    for made, what in ((error, "error"), (part, "part")):
        made.outputs[0].name = f"{node.name}/{what} of {rounded.name}"
    graph.insert_before(node, [error, part, mixed])
    return mixed.outputs[0]
