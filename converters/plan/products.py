"""Products: the matrix products of a graph, with the format its types give to each."""

import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common

from jouleforge.errors import GateError
from jouleforge.nvinfer.record import ProductRecord

_FORMATS = {
    ir.DataType.FLOAT: "fp32",
    ir.DataType.FLOAT16: "fp16",
    ir.DataType.BFLOAT16: "bf16",
    ir.DataType.INT8: "int8",
    ir.DataType.FLOAT8E4M3FN: "fp8",
}
# What a weight may pass through on its way to its product.
_CARRIERS = ("DequantizeLinear", "QuantizeLinear", "Cast", "Transpose", "Reshape", "Identity")


def of(graph: onnx.ModelProto) -> tuple[ProductRecord, ...]:
    """Return the graph's matrix products, in its order.

    Raises:
        GateError: The size of one is not known in terms of the graph's inputs; whatever edited the
            graph lost the shapes that the exporter had written.
    """
    model = ir.from_proto(graph)
    common.ShapeInferencePass(strict_mode=False, check_type=False)(model)
    known = {size for value in model.graph.inputs for size in _sizes(value)}
    found = tuple(_record(node) for node in model.graph if node.op_type in ("MatMul", "Gemm"))
    for product in found:
        if strange := [
            size for size in product.factors if isinstance(size, str) and size not in known
        ]:
            raise GateError(
                f"the matrix product {product.name} has the size {strange[0]}, and the inputs only "
                f"{', '.join(map(str, sorted(known, key=str)))}"
            )
    return found


def _record(node: ir.Node) -> ProductRecord:
    left, right = node.inputs[0], node.inputs[1]
    assert left is not None, "a product has two factors"
    assert right is not None, "a product has two factors"
    transposed = node.op_type == "Gemm" and node.attributes.get_int("transA", 0) == 1
    inner = _sizes(left)[0 if transposed else -1]
    formats = {_format(left), _format(right)}
    return ProductRecord(
        name=node.name or "",
        # A product runs in integers only if both factors are.
        precision=formats.pop() if len(formats) == 1 else _format_of_type(left),
        weighted=_is_weight(left) or _is_weight(right),
        factors=(*_sizes(node.outputs[0]), inner),
    )


def _sizes(value: ir.Value) -> tuple[int | str, ...]:
    assert value.shape is not None, f"shape inference gives every tensor a shape: {value.name}"
    return tuple(size if isinstance(size, int) else str(size.value or "?") for size in value.shape)


def _format(value: ir.Value) -> str:
    """Return the format a factor is stored in before it is dequantised."""
    producer = value.producer()
    if producer is None or producer.op_type not in ("DequantizeLinear", "Transpose"):
        return _format_of_type(value)
    before = producer.inputs[0]
    assert before is not None
    return _format_of_type(before) if producer.op_type == "DequantizeLinear" else _format(before)


def _format_of_type(value: ir.Value) -> str:
    return _FORMATS.get(value.dtype, str(value.dtype)) if value.dtype else "unknown"


def _is_weight(value: ir.Value) -> bool:
    if value.const_value is not None:
        return True
    producer = value.producer()
    return (
        producer is not None
        and producer.op_type in _CARRIERS
        and producer.inputs[0] is not None
        and _is_weight(producer.inputs[0])
    )
