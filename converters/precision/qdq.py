"""Static INT8 and FP8: Q/DQ nodes with calibrated ranges, in the profile a runtime is fast with.

One set of ranges serves both profiles: a range is what the values of a tensor keep to, and how it
becomes a scale is the profile's affair (ONNX `QuantizeLinear`; NVIDIA's "Explicit quantization").
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common
from numpy.typing import NDArray

from jouleforge.converters.graph import add_constant, constant
from jouleforge.converters.naming import encoder_products, region
from jouleforge.converters.precision.weights import quantize_weight

Profile = Literal["x86", "trt", "trt-fp8"]

# Largest finite value of FLOAT8E4M3FN (OCP 8-bit floating point specification, table 2).
_FP8_MAX = 448.0


@dataclass(frozen=True, slots=True)
class Range:
    """What the values of a tensor are to keep to; values outside are clipped."""

    low: float
    high: float

    @property
    def bound(self) -> float:
        """Return the largest magnitude."""
        return max(abs(self.low), abs(self.high))


def quantize_static(
    proto: onnx.ModelProto,
    ranges: Mapping[str, Range],
    *,
    profile: Profile,
    keep_float: Collection[str] = (),
) -> onnx.ModelProto:
    """Return a plain graph with Q/DQ nodes around the products of the encoder's layers.

    * `x86`: activations unsigned with a zero point, one scale per tensor; weights signed and
      symmetric, one scale per output channel. Only that reaches the fast kernels of
      ONNX Runtime (VNNI, AMX).
    * `trt`: everything signed with zero point 0, and both inputs of a residual addition quantised
      too, so that the tensor between two kernels can be INT8; biases stay in float.
    * `trt-fp8`: the same placement in FLOAT8E4M3FN, with one scale per tensor for weights too.

    Products of two activations, embeddings, LayerNorm, softmax, GELU and the head stay in float.

    Args:
        proto: Plain graph in float32, its nodes named by `naming.name_nodes`.
        ranges: Range of each tensor that `quantized_tensors` names.
        profile: Form of the nodes.
        keep_float: Regions that stay in float; `*` stands for any text.
    """
    model = ir.from_proto(proto)
    writer = _Writer(model.graph, ranges, profile)
    for node in encoder_products(model.graph):
        if not is_kept(node, keep_float):
            writer.quantize_product(node)
    if profile != "x86":
        for node in residual_additions(model.graph):
            if not is_kept(node, keep_float):
                writer.quantize_addition(node)
    common.RemoveUnusedNodesPass()(model)
    common.TopologicalSortPass()(model)
    return ir.to_proto(model)


def is_kept(node: ir.Node, keep_float: Collection[str]) -> bool:
    """Return whether a node's region is among those that stay in float."""
    return any(fnmatchcase(region(node), pattern) for pattern in keep_float)


def residual_additions(graph: ir.Graph) -> list[ir.Node]:
    """Return the additions of two computed tensors that a LayerNorm follows."""
    return [
        node
        for node in graph
        if node.op_type == "Add"
        and all(constant(value) is None for value in node.inputs)
        and any(user.op_type == "LayerNormalization" for user, _ in node.outputs[0].uses())
        and not any(_is_embedding(value) for value in node.inputs)
    ]


def quantized_tensors(graph: ir.Graph) -> list[str]:
    """Return the names of all activations that some profile quantises, each once."""
    products = [node.inputs[0] for node in encoder_products(graph)]
    residuals = [value for node in residual_additions(graph) for value in node.inputs]
    return list(dict.fromkeys(str(value.name) for value in products + residuals if value))


def _is_embedding(value: ir.Value | None) -> bool:
    """Return whether a value is a sum of rows of tables."""
    producer = None if value is None else value.producer()
    if producer is None:
        return False
    if producer.op_type == "Add":
        return any(_is_embedding(term) for term in producer.inputs)
    return producer.op_type == "Gather"


class _Writer:
    """Writes Q/DQ pairs, one for each tensor and weight."""

    def __init__(self, graph: ir.Graph, ranges: Mapping[str, Range], profile: Profile) -> None:
        self._graph = graph
        self._ranges = ranges
        self._profile = profile
        self._pairs: dict[str, ir.Value] = {}

    def quantize_product(self, node: ir.Node) -> None:
        activation, weight = node.inputs[0], node.inputs[1]
        assert activation is not None
        assert weight is not None
        node.replace_input_with(0, self._activation(activation))
        node.replace_input_with(1, self._weight(weight, before=node))

    def quantize_addition(self, node: ir.Node) -> None:
        for index, value in enumerate(node.inputs):
            assert value is not None
            node.replace_input_with(index, self._activation(value))

    def _activation(self, value: ir.Value) -> ir.Value:
        name = str(value.name)
        if name not in self._pairs:
            scale, zero = self._scale(self._ranges[name])
            producer = value.producer()
            assert producer is not None, "activations are computed"
            constants = [
                add_constant(self._graph, f"{name}_scale", scale),
                add_constant(self._graph, f"{name}_zero_point", zero),
            ]
            quantize = _node("QuantizeLinear", f"{name}_q", [value, *constants])
            dequantize = _node("DequantizeLinear", f"{name}_dq", [quantize.outputs[0], *constants])
            quantize.outputs[0].dtype = ir.DataType.from_numpy(zero.dtype)
            dequantize.outputs[0].type = value.type
            for made in (quantize, dequantize):
                made.outputs[0].shape = value.shape
            self._graph.insert_after(producer, [quantize, dequantize])
            self._pairs[name] = dequantize.outputs[0]
        return self._pairs[name]

    def _scale(self, found: Range) -> tuple[NDArray[np.float32], NDArray[np.generic]]:
        if self._profile == "x86":
            # Zero is in the range, so that padding and zeros stay exact.
            low, high = min(found.low, 0.0), max(found.high, 0.0)
            scale = np.float32((high - low) / 255)
            return np.array(scale), np.array(np.clip(np.rint(-low / scale), 0, 255), np.uint8)
        if self._profile == "trt":
            return np.array(found.bound / 127, np.float32), np.array(0, np.int8)
        return np.array(found.bound / _FP8_MAX, np.float32), np.array(0, ml_dtypes.float8_e4m3fn)

    def _weight(self, weight: ir.Value, *, before: ir.Node) -> ir.Value:
        name = str(weight.name)
        if name not in self._pairs:
            array = constant(weight)
            assert array is not None, "the weights of products are constants"
            stored, scale = self._stored(array)
            inputs = [
                add_constant(self._graph, f"{name}_q", stored),
                add_constant(self._graph, f"{name}_scale", scale),
                add_constant(
                    self._graph, f"{name}_zero_point", np.zeros(scale.shape, stored.dtype)
                ),
            ]
            axis = [ir.AttrInt64("axis", 1)] if scale.ndim else []
            dequantize = _node("DequantizeLinear", f"{name}_dq", inputs, axis)
            dequantize.outputs[0].type, dequantize.outputs[0].shape = weight.type, weight.shape
            self._graph.insert_before(before, dequantize)
            self._pairs[name] = dequantize.outputs[0]
        return self._pairs[name]

    def _stored(
        self, array: NDArray[np.floating]
    ) -> tuple[NDArray[np.generic], NDArray[np.float32]]:
        if self._profile != "trt-fp8":
            return quantize_weight(array)
        scale = np.array(np.abs(array).max() / _FP8_MAX or 1.0, np.float32)
        return (array / scale).astype(ml_dtypes.float8_e4m3fn), scale


def _node(
    operator: str, name: str, inputs: list[ir.Value], attributes: list[ir.Attr] | None = None
) -> ir.Node:
    node = ir.Node("", operator, inputs, attributes or [], name=f"{name}/{operator}")
    node.outputs[0].name = name
    return node
