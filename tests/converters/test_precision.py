"""Graphs in FP16, BF16, INT8 and FP8: what is written where, and what it computes."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from jouleforge.checkpoint import Checkpoint
from jouleforge.converters import calibration, finite, interpreter, naming
from jouleforge.converters.export import export
from jouleforge.converters.parity import Inputs
from jouleforge.converters.precision import (
    Range,
    quantize_dynamic,
    quantize_static,
    smooth,
    to_float,
)
from jouleforge.converters.precision.qdq import quantized_tensors
from jouleforge.converters.precision.switches import INPUT, switchable
from jouleforge.errors import GateError
from jouleforge.modeling import load_model

MakeCheckpoint = Callable[..., Path]


def batch(rows: int = 4, length: int = 12) -> Inputs:
    random = np.random.default_rng(0)
    ids = random.integers(5, 60, (rows, length))
    mask = np.ones_like(ids)
    mask[0, length // 2 :] = 0
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


@pytest.fixture(scope="module")
def plain(make_checkpoint: MakeCheckpoint) -> onnx.ModelProto:
    model = load_model(Checkpoint.load(make_checkpoint("bert")), attention="eager")
    return export(model, flavour="plain", inputs=tuple(batch()), max_length=64)


@pytest.fixture(scope="module")
def ranges(plain: onnx.ModelProto) -> dict[str, Range]:
    tensors = quantized_tensors(ir.from_proto(plain).graph)
    inputs = {name: array[1:] for name, array in batch().items()}
    return calibration.ranges(calibration.observe(plain, tensors, [inputs]), "minmax")


def types(graph: onnx.ModelProto) -> dict[str, int]:
    found = {value.name: value.type.tensor_type.elem_type for value in graph.graph.value_info}
    found |= {tensor.name: tensor.data_type for tensor in graph.graph.initializer}
    return found | {v.name: v.type.tensor_type.elem_type for v in graph.graph.output}


def by_operator(graph: onnx.ModelProto, operator: str) -> list[onnx.NodeProto]:
    return [node for node in graph.graph.node if node.op_type == operator]


def test_every_node_is_called_after_its_module(plain: onnx.ModelProto) -> None:
    names = [node.name for node in plain.graph.node]
    assert len(set(names)) == len(names)
    assert "bert.encoder.layer.1.attention.self.query/MatMul" in names
    assert "bert.encoder.layer.0.attention.self/Softmax" in names
    products = naming.encoder_products(ir.from_proto(plain).graph)
    assert len(products) == 2 * 6
    assert {naming.region(node).rpartition(".")[2] for node in products} == {
        "query", "key", "value", "dense",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "low"), [("fp16", TensorProto.FLOAT16),
                                           ("bf16", TensorProto.BFLOAT16)])  # fmt: skip
def test_low_precision_graph_keeps_layer_norm_head_and_outputs_in_float32(
    plain: onnx.ModelProto, name: str, low: int
) -> None:
    graph = to_float(plain, name)  # type: ignore[arg-type]
    onnx.checker.check_model(graph)
    typed = types(graph)
    for node in by_operator(graph, "MatMul") + by_operator(graph, "Softmax"):
        assert {typed[value] for value in (*node.input, *node.output)} == {low}, node.name
    for node in by_operator(graph, "LayerNormalization") + by_operator(graph, "Gemm"):
        assert {typed[value] for value in (*node.input, *node.output)} == {TensorProto.FLOAT}
    assert typed["logits"] == TensorProto.FLOAT


def test_fp16_graph_answers_nearly_as_the_float32_graph(plain: onnx.ModelProto) -> None:
    wanted = interpreter.answer(plain)(batch())
    found = interpreter.answer(to_float(plain, "fp16"))(batch())
    assert 0 < np.abs(found - wanted).max() < 0.02 * np.abs(wanted).max()


def test_weight_too_large_for_float16_is_named(plain: onnx.ModelProto) -> None:
    graph = onnx.ModelProto()
    graph.CopyFrom(plain)
    tensor = next(t for t in graph.graph.initializer if t.name.endswith("0.output.dense.bias"))
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + 1e6, tensor.name))
    with pytest.raises(GateError, match=r"0\.output\.dense\.bias holds 1e\+06.*use bf16"):
        to_float(graph, "fp16")


def test_overflow_of_float16_names_the_first_node(plain: onnx.ModelProto) -> None:
    graph = onnx.ModelProto()
    graph.CopyFrom(plain)
    tensor = next(t for t in graph.graph.initializer if t.name.endswith("1.output.dense.bias"))
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 0 + 6e4, tensor.name))
    other = next(t for t in graph.graph.initializer if t.name.endswith("0.LayerNorm.bias")
                 or t.name.endswith("1.attention.output.LayerNorm.bias"))  # fmt: skip
    other.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(other) * 0 + 6e4, other.name))
    with pytest.raises(GateError, match=r"fp16 overflows at bert\.encoder\.layer\.1"):
        finite.require_no_overflow(to_float(graph, "fp16"), [batch()])


def test_x86_profile_has_unsigned_activations_and_signed_weights_per_channel(
    plain: onnx.ModelProto, ranges: dict[str, Range]
) -> None:
    graph = quantize_static(plain, ranges, profile="x86")
    onnx.checker.check_model(graph)
    typed = types(graph)
    assert {typed[node.output[0]] for node in by_operator(graph, "QuantizeLinear")} == {
        TensorProto.UINT8
    }
    stored = [node for node in by_operator(graph, "DequantizeLinear") if node.attribute]
    assert len(stored) == 12, "one for each weight"
    assert {typed[node.input[0]] for node in stored} == {TensorProto.INT8}
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.graph.initializer}
    assert all(shapes[node.input[1]] == shapes[node.input[0]][1:] for node in stored)
    assert Counter(node.op_type for node in graph.graph.node)["QuantizeLinear"] == 8, (
        "query, key and value share one"
    )


def test_trt_profile_is_symmetric_and_quantises_residual_additions_but_no_bias(
    plain: onnx.ModelProto, ranges: dict[str, Range]
) -> None:
    graph = quantize_static(plain, ranges, profile="trt")
    constants = {t.name: numpy_helper.to_array(t) for t in graph.graph.initializer}
    pairs = by_operator(graph, "QuantizeLinear") + by_operator(graph, "DequantizeLinear")
    assert all(np.all(constants[node.input[2]] == 0) for node in pairs)
    assert {constants[node.input[2]].dtype.name for node in pairs} == {"int8"}
    made = {out: node.op_type for node in graph.graph.node for out in node.output}
    residual = [
        node
        for node in by_operator(graph, "Add")
        if all(made.get(value) == "DequantizeLinear" for value in node.input)
    ]
    assert len(residual) == 4
    assert not any(name.endswith("bias_q") for name in constants)


def test_fp8_profile_is_typed_e4m3_and_scaled_to_its_largest_number(
    plain: onnx.ModelProto, ranges: dict[str, Range]
) -> None:
    graph = quantize_static(plain, ranges, profile="trt-fp8")
    onnx.checker.check_model(graph)
    node = by_operator(graph, "QuantizeLinear")[0]
    assert types(graph)[node.output[0]] == TensorProto.FLOAT8E4M3FN
    constants = {t.name: t for t in graph.graph.initializer}
    scale = float(numpy_helper.to_array(constants[node.input[1]]))
    assert scale == pytest.approx(ranges[node.input[0]].bound / 448)


@pytest.mark.parametrize("profile", ["x86", "trt"])
def test_quantised_graph_answers_like_the_float32_graph(
    plain: onnx.ModelProto, ranges: dict[str, Range], profile: str
) -> None:
    wanted = interpreter.answer(plain)(batch())
    graph = quantize_static(plain, ranges, profile=profile)  # type: ignore[arg-type]
    found = interpreter.answer(graph)(batch())
    assert 0 < np.sqrt(np.mean((found - wanted) ** 2)) < 0.3 * wanted.std()


def test_kept_regions_stay_in_float(plain: onnx.ModelProto, ranges: dict[str, Range]) -> None:
    graph = quantize_static(plain, ranges, profile="x86", keep_float=["*.layer.1.*"])
    made = {out: node.op_type for node in graph.graph.node for out in node.output}
    rounded = [n for n in by_operator(graph, "MatMul") if made.get(n.input[1]) is not None
               and made[n.input[1]] == "DequantizeLinear"]  # fmt: skip
    assert len(rounded) == 6
    assert all("layer.0" in node.name for node in rounded)


def test_switches_turn_each_region_on_and_off(
    plain: onnx.ModelProto, ranges: dict[str, Range]
) -> None:
    quantized = quantize_static(plain, ranges, profile="trt")
    graph, regions = switchable(plain, quantized)
    assert len(regions) == len(set(regions)) == 12 + 4
    answer = interpreter.answer(graph)
    off, on = np.zeros(len(regions), np.float32), np.ones(len(regions), np.float32)
    np.testing.assert_allclose(
        answer({**batch(), INPUT: off}), interpreter.answer(plain)(batch()), atol=1e-5
    )
    np.testing.assert_allclose(
        answer({**batch(), INPUT: on}), interpreter.answer(quantized)(batch()), atol=1e-3
    )


def one_product(weight: np.ndarray) -> onnx.ModelProto:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Identity", ["input_ids"], ["hidden"], name="in/Identity"),
            helper.make_node("MatMul", ["hidden", "weight"], ["out"], name="layer/MatMul"),
        ],
        "product",
        [value("input_ids", TensorProto.FLOAT, ["rows", len(weight)])],
        [value("out", TensorProto.FLOAT, ["rows", weight.shape[1]])],
        [numpy_helper.from_array(weight, "weight")],
        value_info=[value("hidden", TensorProto.FLOAT, ["rows", len(weight)])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.mark.parametrize("outlier", [60, 1])
def test_smoothing_is_for_channels_that_stick_out_and_changes_nothing_in_float32(
    outlier: float,
) -> None:
    random = np.random.default_rng(0)
    weight = random.normal(size=(16, 8)).astype(np.float32)
    x = random.normal(size=(64, 16)).astype(np.float32)
    x[:, 3] *= outlier
    inputs: Inputs = {"input_ids": x}  # type: ignore[dict-item]
    graph = one_product(weight)
    found = smooth.search(graph, calibration.observe(graph, ["hidden"], [inputs]), None)
    if outlier == 1:
        assert found == {}
        return
    factors = found["hidden"].factors
    assert factors.argmax() == 3
    smoothed = smooth.apply(graph, found)
    onnx.checker.check_model(smoothed)
    (out,) = interpreter.watch(smoothed, ["out"])(inputs)
    np.testing.assert_allclose(out, x @ weight, rtol=1e-3, atol=1e-3)
    plain_error = smooth._error(x, weight, np.ones_like(factors))
    assert smooth._error(x, weight, factors) < 0.5 * plain_error


@pytest.mark.parametrize("flavour", ["fused", "plain"])
def test_dynamic_int8_adds_biases_inside_its_products(
    make_checkpoint: MakeCheckpoint, flavour: str
) -> None:
    model = load_model(Checkpoint.load(make_checkpoint("bert")), attention="eager")
    graph = export(model, flavour=flavour, inputs=tuple(batch()), max_length=64)  # type: ignore[arg-type]
    quantized = quantize_dynamic(graph)
    products = by_operator(quantized, "DynamicQuantizeMatMul")
    assert len(products) == (6 if flavour == "fused" else 12)
    assert all(len(node.input) == 5 for node in products)
    assert not by_operator(quantized, "BiasGelu")
    wanted, found = interpreter.answer(graph)(batch()), interpreter.answer(quantized)(batch())
    assert 0 < np.sqrt(np.mean((found - wanted) ** 2)) < 0.3 * wanted.std()


def test_residuals_are_fused_for_cuda_and_answer_the_same(
    make_checkpoint: MakeCheckpoint, plain: onnx.ModelProto
) -> None:
    model = load_model(Checkpoint.load(make_checkpoint("bert")), attention="eager")
    graph = export(
        model, flavour="fused", inputs=tuple(batch()), max_length=64, fuse_residuals=True
    )
    assert len(by_operator(graph, "SkipLayerNormalization")) == 4
    assert not by_operator(graph, "LayerNormalization")
    np.testing.assert_allclose(
        interpreter.answer(graph)(batch()), interpreter.answer(plain)(batch()), atol=1e-4
    )
