"""Graphs with types other than float32, as TensorRT is to be given them; scales are made up.

They show that a typed graph can be parsed and compiled, and nothing about accuracy.
"""

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TYPES = {
    "fp16": (TensorProto.FLOAT16, np.dtype(np.float16)),
    "bf16": (TensorProto.BFLOAT16, np.dtype(ml_dtypes.bfloat16)),
    "int8": (TensorProto.INT8, np.dtype(np.int8)),
    "fp8": (TensorProto.FLOAT8E4M3FN, np.dtype(ml_dtypes.float8_e4m3fn)),
}
_LARGEST = {"int8": 127.0, "fp8": 448.0}


def to_float(graph: onnx.ModelProto, precision: str) -> onnx.ModelProto:
    """Return the graph in fp16 or bf16; its logits stay float32."""
    made = onnx.ModelProto()
    made.CopyFrom(graph)
    if precision == "fp32":
        return made
    kind, dtype = TYPES[precision]
    for tensor in made.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            array = numpy_helper.to_array(tensor).astype(dtype)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for node in made.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == TensorProto.FLOAT:
                attribute.i = kind
        node.output[:] = ["typed_logits" if name == "logits" else name for name in node.output]
    made.graph.node.append(
        helper.make_node("Cast", ["typed_logits"], ["logits"], "to_float", to=TensorProto.FLOAT)
    )
    for value in made.graph.value_info:
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = kind
    return made


def quantize(graph: onnx.ModelProto, precision: str, rest: str) -> onnx.ModelProto:
    """Return the graph with int8 or fp8 Q/DQ nodes around its weighted MatMuls."""
    made = to_float(graph, rest)
    constants = {tensor.name: tensor for tensor in made.graph.initializer}
    nodes = list(made.graph.node)
    del made.graph.node[:]
    for node in nodes:
        if node.op_type == "MatMul" and node.input[1] in constants:
            weight = numpy_helper.to_array(constants[node.input[1]])
            node.input[0] = _activation(made, node, precision, weight.dtype)
            node.input[1] = _weight(made, node, precision, weight)
        made.graph.node.append(node)
    return made


def _activation(
    graph: onnx.ModelProto, node: onnx.NodeProto, precision: str, rest: np.dtype
) -> str:
    name = f"{node.name}_input"
    scale = np.array(8 / _LARGEST[precision]).astype(rest)
    _constant(graph, f"{name}_scale", scale)
    _constant(graph, f"{name}_zero", np.zeros((), TYPES[precision][1]))
    constants = [f"{name}_scale", f"{name}_zero"]
    for operator, source in (("QuantizeLinear", node.input[0]), ("DequantizeLinear", f"{name}_Q")):
        output = f"{name}_{operator[0]}"
        graph.graph.node.append(
            helper.make_node(operator, [source, *constants], [output], f"{name}_{operator}")
        )
    return f"{name}_D"


def _weight(
    graph: onnx.ModelProto, node: onnx.NodeProto, precision: str, weight: np.ndarray
) -> str:
    name = f"{node.name}_weight"
    wide = weight.astype(np.float32)
    scale = np.abs(wide).max(axis=0) / _LARGEST[precision]
    small = wide / scale
    small = np.rint(small) if precision == "int8" else small
    _constant(graph, name, small.astype(TYPES[precision][1]))
    _constant(graph, f"{name}_scale", scale.astype(weight.dtype))
    graph.graph.node.append(
        helper.make_node(
            "DequantizeLinear", [name, f"{name}_scale"], [f"{name}_D"], f"{name}_DQ", axis=1
        )
    )
    return f"{name}_D"


def _constant(graph: onnx.ModelProto, name: str, array: np.ndarray) -> None:
    graph.graph.initializer.append(numpy_helper.from_array(array, name))
