"""Narrowing: the last layer computes what the head reads, and every value stays the same."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from jouleforge.checkpoint import Checkpoint
from jouleforge.converters import interpreter, narrowing, parity
from jouleforge.converters.export import export
from jouleforge.modeling import load_model
from jouleforge.recipe import Flavour

MakeCheckpoint = Callable[..., Path]
SIZES = [(3, 9), (1, 1), (2, 64), (4, 1)]


def batch(names: tuple[str, ...], rows: int, length: int) -> parity.Inputs:
    rng = np.random.default_rng(length)
    mask = np.ones((rows, length), np.int64)
    mask[0, length // 2 + 1 :] = 0
    mask[-1, : length // 3] = 0
    arrays = {
        "input_ids": rng.integers(4, 60, (rows, length)),
        "attention_mask": mask,
        "token_type_ids": np.zeros_like(mask),
    }
    return {name: arrays[name] for name in names}


@pytest.mark.parametrize(
    ("family", "flavour"),
    [("bert", "plain"), ("bert", "fused"), ("distilbert", "plain"), ("roberta", "plain")],
)
def test_narrowed_graph_answers_as_the_whole_one(
    make_checkpoint: MakeCheckpoint, family: str, flavour: Flavour
) -> None:
    checkpoint = Checkpoint.load(make_checkpoint(family))
    names = ("input_ids", "attention_mask") + ("token_type_ids",) * checkpoint.has_token_types
    model = load_model(checkpoint, attention="eager")
    whole, narrowed = (
        export(model, flavour=flavour, inputs=names, max_length=64, narrow=narrow)
        for narrow in (False, True)
    )
    wanted, answer = interpreter.answer(whole), interpreter.answer(narrowed)
    for rows, length in SIZES:
        case = batch(names, rows, length)
        np.testing.assert_allclose(answer(case), wanted(case), rtol=1e-5, atol=1e-6)
    ends = [node for node in narrowed.graph.node if node.op_type == "LayerNormalization"]
    case = batch(names, 3, 9)
    watched = [node.output[0] for node in ends[-3:]]
    shapes = [value.shape[:2] for value in interpreter.watch(narrowed, watched)(case)]
    assert shapes == [(3, 9), (3, 1), (3, 1)]


def test_queries_of_the_last_layer_are_one_row_and_keys_are_all(
    make_checkpoint: MakeCheckpoint,
) -> None:
    names = ("input_ids", "attention_mask", "token_type_ids")
    model = load_model(Checkpoint.load(make_checkpoint("bert")), attention="eager")
    graph = export(model, flavour="plain", inputs=names, max_length=64, narrow=True)
    scores = [node.output[0] for node in graph.graph.node if node.op_type == "Softmax"]
    shapes = [value.shape[2:] for value in interpreter.watch(graph, scores)(batch(names, 3, 9))]
    assert shapes == [(9, 9), (1, 9)]


def small(body: str) -> ir.Model:
    return ir.from_onnx_text(
        f"""<ir_version: 10, opset_import: ["" : 20]>
        small (float[b, s, 4] x) => (float[b, 4] logits)
        <int64 first = {{0}}, float[1, 5, 4] places = {{{", ".join(map(str, range(20)))}}},
         float[4, 4] weight = {{{", ".join(map(str, range(16)))}}}>
        {{ {body} }}"""
    )


def rows_of(model: ir.Model, name: str) -> int:
    case = {"x": np.arange(40, dtype=np.float32).reshape(2, 5, 4)}
    proto = ir.to_proto(model)
    return int(interpreter.watch(proto, [name])(case)[0].shape[1])  # type: ignore[arg-type]


def infer(model: ir.Model) -> ir.Model:
    return ir.from_proto(onnx.shape_inference.infer_shapes(ir.to_proto(model)))


PRODUCT = "y = MatMul(x, weight)\n z = Add(y, y)\n logits = Gather<axis = 1>(z, first)"


def test_product_is_cut_to_the_row_that_is_read() -> None:
    model = infer(small(PRODUCT))
    assert rows_of(model, "y") == 5
    narrowing.narrow(model)
    assert rows_of(model, "y") == 1


@pytest.mark.parametrize(
    "body",
    [
        PRODUCT.replace("Add(y, y)", "Add(y, places)"),
        PRODUCT.replace("Add(y, y)", "CumSum(y, one)").replace(
            "y = M", "one = Constant<value = int64 {1}>()\n y = M"
        ),
        PRODUCT.replace("z = Add(y, y)", "t = Softmax<axis = 1>(y)\n z = Add(t, t)"),
    ],
    ids=["rows meet different values", "unknown operator", "softmax over rows"],
)
def test_value_whose_rows_depend_on_each_other_is_computed_whole(body: str) -> None:
    model = infer(small(body))
    case = {"x": np.linspace(0, 1, 40, dtype=np.float32).reshape(2, 5, 4)}
    wanted = interpreter.watch(ir.to_proto(model), ["logits"])(case)[0]  # type: ignore[arg-type]
    narrowing.narrow(model)
    found = interpreter.watch(ir.to_proto(model), ["logits"])(case)[0]  # type: ignore[arg-type]
    assert rows_of(model, "y") == 5
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_value_that_something_else_reads_is_computed_whole() -> None:
    body = PRODUCT.replace("logits =", "top = ") + "\n all = ReduceMax(y)\n logits = Add(top, all)"
    model = infer(small(body))
    narrowing.narrow(model)
    assert rows_of(model, "y") == 5
    assert rows_of(model, "z") == 1
