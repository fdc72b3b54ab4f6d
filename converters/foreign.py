"""Foreign graphs: what an ONNX graph that somebody else made is, read from the graph itself."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import onnx
import onnx_ir as ir

from jouleforge.engine import TensorSpec
from jouleforge.errors import InputError
from jouleforge.recipe import Precision

_FED = ("input_ids", "attention_mask", "token_type_ids")

# Operators that multiply by a weight -> the places of the activation and of the weight.
_PRODUCTS = {
    "MatMul": (0, 1),
    "Gemm": (0, 1),
    "FusedMatMul": (0, 1),
    "FusedGemm": (0, 1),
    "Attention": (0, 1),
    "MatMulInteger": (0, 1),
    "MatMulIntegerToFloat": (0, 1),
    "DynamicQuantizeMatMul": (0, 1),
    "QAttention": (0, 1),
    "QLinearMatMul": (0, 3),
    "QGemm": (0, 3),
}
_INTEGER = ("MatMulInteger", "MatMulIntegerToFloat", "QAttention", "QLinearMatMul", "QGemm")
# Their formats have no name here, and calling them by another would be a false label.
_REFUSED = ("MatMulNBits", "MatMulBnb4", "MatMulFpQ4", "QOrderedMatMul", "QOrderedAttention")
_FLOATS: dict[ir.DataType, Precision] = {
    ir.DataType.FLOAT: "fp32",
    ir.DataType.FLOAT16: "fp16",
    ir.DataType.BFLOAT16: "bf16",
}
_BYTES: dict[ir.DataType, Precision] = {
    ir.DataType.INT8: "int8",
    ir.DataType.UINT8: "int8",
    ir.DataType.FLOAT8E4M3FN: "fp8",
}
# What a constant passes through on its way into a product without becoming another number.
_PASSED = ("DequantizeLinear", "Transpose", "Cast", "Identity", "Reshape")
# Place of the mask among the inputs of each attention operator of ONNX Runtime.
_MASKS = {"Attention": 3, "QAttention": 5, "MultiHeadAttention": 4}


@dataclass(frozen=True, slots=True)
class Found:
    """What a graph says of itself."""

    proto: onnx.ModelProto
    """The graph; weights in files of their own are not loaded."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    precision: Precision
    """Format in which most of the weighted multiply-adds are done."""
    parameters: int
    """Elements of its floating-point and 8-bit constants."""
    producer: str | None
    data_files: tuple[str, ...]
    """Files of weights beside the graph, as it names them."""
    mask_is_lengths: bool
    """Whether attention sees the length of each row instead of its mask."""


def read(file: Path, *, labels: int) -> Found:
    """Return what a graph is, after checking that it answers as a sequence classifier.

    Args:
        file: The ONNX file.
        labels: Outputs of the head, as its configuration says.

    Raises:
        InputError: It cannot be read; its inputs or outputs are not those of an encoder with a
            classification head; its weights are in a format that has no name here, or lie outside.
    """
    try:
        proto = onnx.load(file, load_external_data=False)
        model = ir.from_proto(proto)
    # Protobuf's exceptions and onnx_ir's have no common base but Exception itself.
    except Exception as error:
        raise InputError(f"{file} cannot be read as an ONNX graph: {error}") from error
    return Found(
        proto=proto,
        inputs=_inputs(file, model.graph),
        outputs=_outputs(file, model.graph, labels),
        precision=_precision(file, model.graph),
        parameters=sum(
            value.const_value.size
            for value in model.graph.initializers.values()
            if value.const_value is not None
            and value.const_value.dtype in (_FLOATS.keys() | _BYTES.keys())
        ),
        producer=f"{proto.producer_name} {proto.producer_version}".strip() or None,
        data_files=_data_files(file, model.graph),
        mask_is_lengths=any(_sees_lengths(node) for node in model.graph.all_nodes()),
    )


def _inputs(file: Path, graph: ir.Graph) -> tuple[TensorSpec, ...]:
    given = [value for value in graph.inputs if value.name not in graph.initializers]
    names = [str(value.name) for value in given]
    if any("past" in name or name.startswith("decoder") for name in names):
        raise InputError(f"{file} is a decoder (it takes {', '.join(names)}); expected an encoder")
    if strange := [name for name in names if name not in _FED]:
        raise InputError(
            f"{file} takes the input {strange[0]!r}; expected no others than {', '.join(_FED)}. "
            "Export it again as a text classifier"
        )
    if missing := [name for name in _FED[:2] if name not in names]:
        raise InputError(f"{file} has no input {missing[0]!r}; export it again with its inputs")
    specs = [_spec(file, value, rank=2) for value in given]
    for spec in specs:
        if spec.dtype != "int64":
            raise InputError(f"{file}: {spec.name} is {spec.dtype}; expected int64")
        if any(isinstance(size, int) for size in spec.shape):
            raise InputError(
                f"{file}: {spec.name} has the fixed shape {spec.shape}; expected a dynamic batch "
                "and a dynamic sequence: export it again with dynamic axes"
            )
    return tuple(specs)


def _outputs(file: Path, graph: ir.Graph, labels: int) -> tuple[TensorSpec, ...]:
    names = [str(value.name) for value in graph.outputs]
    if names != ["logits"]:
        raise InputError(
            f"{file} gives {', '.join(names)}; expected the one output 'logits', as a model for "
            "sequence classification has it"
        )
    spec = _spec(file, graph.outputs[0], rank=2)
    if spec.dtype != "float32":
        raise InputError(f"{file}: logits are {spec.dtype}; expected float32")
    if isinstance(spec.shape[1], int) and spec.shape[1] != labels:
        raise InputError(
            f"{file} gives {spec.shape[1]} logits, its config.json names {labels} labels; "
            "correct id2label"
        )
    return (TensorSpec(name="logits", dtype="float32", shape=("batch", labels)),)


def _spec(file: Path, value: ir.Value, *, rank: int) -> TensorSpec:
    if value.dtype is None or value.shape is None or len(value.shape) != rank:
        raise InputError(
            f"{file}: {value.name} has the shape {value.shape}; expected a tensor of {rank} axes"
        )
    axes = [size if isinstance(size, int) else str(size.value or "?") for size in value.shape]
    return TensorSpec(name=str(value.name), dtype=value.dtype.numpy().name, shape=tuple(axes))


def _precision(file: Path, graph: ir.Graph) -> Precision:
    work: Counter[Precision] = Counter()
    for node in graph.all_nodes():
        if node.op_type in _REFUSED:
            raise InputError(
                f"{file} multiplies by weights of less than 8 bits ({node.op_type}); expected "
                "float32, float16, bfloat16, INT8 or FP8"
            )
        if node.op_type in _PRODUCTS and (weight := _weight(node)) is not None:
            work[_format(file, node, weight)] += weight.size
    if not work:
        raise InputError(f"{file} multiplies by no weight at all; is it an encoder?")
    return work.most_common(1)[0][0]


def _weight(node: ir.Node) -> ir.TensorProtocol | None:
    """Return the constant a product multiplies by; None if it is a product of two activations."""
    place = _PRODUCTS[node.op_type][1]
    value = node.inputs[place] if place < len(node.inputs) else None
    while value is not None and (tensor := ir.convenience.get_const_tensor(value)) is None:
        node_below = value.producer()
        if node_below is None or node_below.op_type not in _PASSED:
            return None
        value = node_below.inputs[0]
    return None if value is None else tensor


def _format(file: Path, node: ir.Node, weight: ir.TensorProtocol) -> Precision:
    """Return the format a product is done in, from its operator and what makes its activation."""
    if node.op_type == "DynamicQuantizeMatMul":
        return "int8-dynamic"
    source = _producer(node.inputs[_PRODUCTS[node.op_type][0]])
    if node.op_type in _INTEGER:
        return "int8-dynamic" if source == "DynamicQuantizeLinear" else "int8"
    if weight.dtype in _BYTES:
        # Weights that are stored in bytes and activations that are not are multiplied as floats.
        if source != "DequantizeLinear":
            return "fp32"
        quantizer = _producer(node.inputs[_PRODUCTS[node.op_type][0]], depth=2)
        return "int8-dynamic" if quantizer == "DynamicQuantizeLinear" else _BYTES[weight.dtype]
    if weight.dtype not in _FLOATS:
        raise InputError(f"{file} has weights of {weight.dtype.name}, a format that has no name")
    return _FLOATS[weight.dtype]


def _producer(value: ir.Value | None, *, depth: int = 1) -> str:
    """Return the operator that makes a value, or that makes the first input of that one."""
    node = None if value is None else value.producer()
    if node is None:
        return ""
    return node.op_type if depth == 1 else _producer(node.inputs[0], depth=depth - 1)


def _sees_lengths(node: ir.Node) -> bool:
    place = _MASKS.get(node.op_type)
    if place is None or place >= len(node.inputs):
        return False
    maker = _producer(node.inputs[place])
    if maker == "Cast":
        maker = _producer(node.inputs[place], depth=2)
    return maker in ("ReduceSum", "EmbedLayerNormalization", "QEmbedLayerNormalization")


def _data_files(file: Path, graph: ir.Graph) -> tuple[str, ...]:
    """Return the files of weights, which must lie beside the graph."""
    tensors = [value.const_value for value in graph.initializers.values()]
    for node in graph.all_nodes():
        tensors += [
            attribute.value
            for attribute in node.attributes.values()
            if attribute.type == ir.AttributeType.TENSOR
        ]
    for inner in graph.subgraphs():
        tensors += [value.const_value for value in inner.initializers.values()]
    names = {str(each.location) for each in tensors if isinstance(each, ir.ExternalTensor)}
    for name in sorted(names):
        if len(PurePosixPath(name).parts) != 1 or name in ("..", file.name) or "\\" in name:
            raise InputError(
                f"{file} keeps weights in {name!r}; expected a file beside it and no other"
            )
    return tuple(sorted(names))
