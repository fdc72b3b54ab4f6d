"""FP16 and BF16: a typed graph, with casts where a precision begins or ends."""

from typing import Literal

import ml_dtypes
import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common

from jouleforge.converters.graph import add_constant, constant
from jouleforge.errors import GateError

LowPrecision = Literal["fp16", "bf16"]

_TYPES = {"fp16": ir.DataType.FLOAT16, "bf16": ir.DataType.BFLOAT16}
_ARRAYS = {"fp16": np.dtype(np.float16), "bf16": np.dtype(ml_dtypes.bfloat16)}
# LayerNorm sums squares, which overflows float16 and loses digits in bfloat16; runtimes fold the
# casts around it into its kernel. Gemm and Tanh are the head: two rows of work, all of the answer.
# Softmax stays low: fused attention kernels accumulate it in float32 anyway, and casts inside the
# pattern would hide it from TensorRT.
_KEPT = frozenset({"LayerNormalization", "Gemm", "Tanh"})


def to_float(proto: onnx.ModelProto, precision: LowPrecision) -> onnx.ModelProto:
    """Return the graph with float32 replaced by float16 or bfloat16 but for what needs float32.

    LayerNorm and the head (Gemm, Tanh) stay in float32, and so do the outputs. Q/DQ nodes take the
    precision of what is around them, as TensorRT's strong typing wants it.

    Raises:
        GateError: A weight is too large for float16; names it.
    """
    model = ir.from_proto(proto)
    caster = _Caster(model.graph, precision)
    for node in list(model.graph):
        caster.convert(node)
    caster.restore_outputs()
    common.RemoveUnusedNodesPass()(model)
    common.TopologicalSortPass()(model)
    return ir.to_proto(model)


class _Caster:
    """Converts nodes in order, and casts a value once for all who need it."""

    def __init__(self, graph: ir.Graph, precision: LowPrecision) -> None:
        self._graph = graph
        self._low = _TYPES[precision]
        self._array = _ARRAYS[precision]
        self._casts: dict[tuple[str, ir.DataType], ir.Value] = {}

    def convert(self, node: ir.Node) -> None:
        wanted = ir.DataType.FLOAT if node.op_type in _KEPT else self._low
        for index, value in enumerate(node.inputs):
            if value is not None and value.dtype in (ir.DataType.FLOAT, self._low):
                node.replace_input_with(index, self._as(value, wanted, before=node))
        if node.op_type == "Cast" and node.attributes["to"].as_int() == ir.DataType.FLOAT:
            node.attributes["to"] = ir.AttrInt64("to", int(wanted))
        for output in node.outputs:
            if output.dtype == ir.DataType.FLOAT:
                output.dtype = wanted

    def restore_outputs(self) -> None:
        """Give the graph's outputs in float32, whatever computed them."""
        for index, output in enumerate(self._graph.outputs):
            if output.dtype == self._low:
                name, output.name = output.name, f"{output.name}_low"
                cast = self._cast(output, ir.DataType.FLOAT)
                cast.outputs[0].name = name
                self._graph.append(cast)
                self._graph.outputs[index] = cast.outputs[0]

    def _as(self, value: ir.Value, wanted: ir.DataType, *, before: ir.Node) -> ir.Value:
        if value.dtype == wanted:
            return value
        key = (str(value.name), wanted)
        if key not in self._casts:
            self._casts[key] = self._stored(value, wanted) or self._inserted(value, wanted, before)
        return self._casts[key]

    def _stored(self, value: ir.Value, wanted: ir.DataType) -> ir.Value | None:
        """Return a constant in the wanted type, stored so; None for a computed value."""
        array = constant(value)
        if array is None:
            return None
        dtype = self._array if wanted == self._low else np.dtype(np.float32)
        with np.errstate(over="ignore"):
            stored = array.astype(dtype)
        if not np.isfinite(stored.astype(np.float32)).all() and np.isfinite(array).all():
            raise GateError(
                f"{value.name} holds {np.abs(array).max():.3g}, which {dtype.name} cannot hold; "
                "use bf16 or fp32"
            )
        return add_constant(self._graph, f"{value.name}_{dtype.name}", stored)

    def _inserted(self, value: ir.Value, wanted: ir.DataType, before: ir.Node) -> ir.Value:
        cast = self._cast(value, wanted)
        producer = value.producer()
        if producer is None:
            self._graph.insert_before(before, cast)
        else:
            self._graph.insert_after(producer, cast)
        return cast.outputs[0]

    @staticmethod
    def _cast(value: ir.Value, wanted: ir.DataType) -> ir.Node:
        cast = ir.Node("", "Cast", [value], [ir.AttrInt64("to", int(wanted))])
        output = cast.outputs[0]
        output.name = f"{value.name}_{wanted.name.lower()}"
        output.dtype, output.shape = wanted, value.shape
        cast.name = f"{output.name}/Cast"
        return cast
