"""OpenVINO engines: what they answer, what they refuse, and what really runs."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from jouleforge import runners
from jouleforge.checkpoint import Checkpoint
from jouleforge.converters import calibration, interpreter, parity
from jouleforge.converters.export import export
from jouleforge.converters.precision import quantize_static
from jouleforge.converters.precision.qdq import quantized_tensors
from jouleforge.engine import Engine
from jouleforge.errors import GateError, InputError
from jouleforge.modeling import load_model
from jouleforge.recipe import Recipe

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
pytest.importorskip("openvino", reason="needs the package openvino")

from jouleforge.converters.targets import ov  # noqa: E402 - needs OpenVINO

pytestmark = pytest.mark.openvino

MakeEngine = Callable[..., Engine]
MakeCheckpoint = Callable[..., Path]

# Sizes of the tiny checkpoints: layers, hidden width, inner width.
LAYERS, HIDDEN, INNER = 2, 32, 64
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
# A processor may lack instructions for a precision; these tests look at what is said then.
ANYTHING = ("precision-not-honoured",)
FORMATS = {"f32": "fp32", "bf16": "bf16", "f16": "fp16"}


def batch(rows: int, length: int) -> parity.Inputs:
    rng = np.random.default_rng(rows)
    mask = np.ones((rows, length), np.int64)
    mask[0, length // 2 :] = 0
    ids = rng.integers(4, 60, (rows, length))
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


@pytest.fixture(scope="module")
def graph(make_checkpoint: MakeCheckpoint) -> onnx.ModelProto:
    model = load_model(Checkpoint.load(make_checkpoint("bert")), attention="eager")
    return export(model, flavour="plain", inputs=INPUTS, max_length=64)


@pytest.mark.parametrize("family", ["bert", "roberta", "electra"])
def test_float32_engine_answers_as_the_module(make_engine: MakeEngine, family: str) -> None:
    engine = make_engine(family, target="ov")
    last = engine.manifest.parity[-1]
    assert last.decisions_equal == last.rows
    assert last.max_abs_error < 1e-4
    assert engine.name == "ov plain fp32"
    assert set(engine.manifest.files) >= {"model.xml", "model.bin"}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_harness_answers_as_the_python_interface(make_engine: MakeEngine, precision: str) -> None:
    engine = make_engine("bert", target="ov", precision=precision, allow=ANYTHING)
    answer = ov.answer(engine.path, engine.manifest.recipe)
    inputs = [batch(3, 9), batch(1, 1), batch(2, 64)]
    outputs = [np.full((len(case["input_ids"]), 3), np.nan, np.float32) for case in inputs]
    runner = runners.load(engine, threads=1).prepare(inputs, outputs)
    for index, case in enumerate(inputs):
        runner.run(index)
        runner.run(index)
        np.testing.assert_allclose(outputs[index], answer(case), rtol=1e-4, atol=1e-5)


def test_evidence_counts_every_product(make_engine: MakeEngine) -> None:
    engine = make_engine("bert", target="ov")
    found = ov.evidence(engine.path, engine.manifest.recipe, batch(3, 8))
    assert found.fused_attentions == LAYERS
    assert found.shares() == {"fp32": 1.0}
    weighted = [product.multiply_adds for product in found.products if product.weighted]
    others = [product.multiply_adds for product in found.products if not product.weighted]
    # Of the last layer, keys and values are those of all tokens, the rest that of the first one.
    body = 3 * (8 + 1) * (4 * HIDDEN**2 + 2 * HIDDEN * INNER) + 3 * 7 * 2 * HIDDEN**2
    assert sum(weighted) == body + 3 * (HIDDEN**2 + HIDDEN * 3)
    assert others == [3 * 8 * 8 * HIDDEN] * 2 + [3 * 8 * HIDDEN] * 2
    assert found.operators["FullyConnected"] == len(weighted) == 6 * LAYERS + 2
    assert found.operators["Subgraph"] == LAYERS


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_evidence_says_what_the_processor_made_of_a_precision(
    make_engine: MakeEngine, precision: str
) -> None:
    engine = make_engine("bert", target="ov", precision=precision, allow=ANYTHING)
    session = runners.load(engine, threads=1)
    reported = session._runner.get_property("INFERENCE_PRECISION_HINT")  # type: ignore[attr-defined]
    found = ov.evidence(engine.path, engine.manifest.recipe, batch(3, 8))
    assert found.shares() == {FORMATS[reported]: 1.0}
    assert ("instead of" in session.runtime) == (FORMATS[reported] != precision)


def test_float_graph_is_not_taken_for_int8(graph: onnx.ModelProto, tmp_path: Path) -> None:
    recipe = Recipe(target="ov", precision="int8")
    ov.write(graph, recipe, tmp_path)
    assert ov.evidence(tmp_path, recipe, batch(3, 8)).shares() == {"fp32": 1.0}


def test_mask_of_an_int8_engine_is_not_taken_for_a_quantised_tensor(
    graph: onnx.ModelProto, tmp_path: Path
) -> None:
    rows = [batch(2, 9)]
    seen = calibration.observe(graph, quantized_tensors(ir.from_proto(graph).graph), rows)
    ranges = calibration.ranges(seen, "minmax")
    recipe = Recipe(target="ov", precision="int8")
    ov.write(quantize_static(graph, ranges, profile="x86"), recipe, tmp_path)
    found = ov.evidence(tmp_path, recipe, batch(3, 8))
    assert found.shares(weighted=True)["int8"] > 0.95
    compiled = ov.openvino.Core().compile_model(tmp_path / "model.xml", "CPU")
    ports = [
        port.get_source_output().get_node().get_rt_info()["outputPrecisions"].value
        for node in compiled.get_runtime_model().get_ops()
        if node.get_rt_info()["layerType"].value == "Subgraph"
        for port in node.inputs()
    ]
    assert len(ports) == 4 * LAYERS
    assert "u8" not in ports


def test_product_that_is_not_accounted_for_is_an_error(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make_engine("bert", target="ov")
    monkeypatch.setattr(ov, "_products_inside", lambda *_: [])
    with pytest.raises(GateError, match="accounts for 14 of the 18 matrix products"):
        ov.evidence(engine.path, engine.manifest.recipe, batch(3, 8))


def test_nncf_makes_an_int8_graph_that_answers_alike(
    graph: onnx.ModelProto, tmp_path: Path
) -> None:
    pytest.importorskip("nncf", reason="needs the package nncf")
    from jouleforge.converters import nncf_quantizer

    before = graph.SerializeToString()
    quantized = nncf_quantizer.quantize(graph, (batch(2, length) for length in (5, 9, 12)))
    assert graph.SerializeToString() == before
    recipe = Recipe(target="ov", precision="int8", quantizer="nncf")
    ov.write(quantized, recipe, tmp_path)
    found = ov.evidence(tmp_path, recipe, batch(3, 8))
    assert found.shares(weighted=True)["int8"] > 0.95
    case = batch(3, 8)
    want = interpreter.answer(graph)(case)
    error = np.sqrt(np.mean((ov.answer(tmp_path, recipe)(case) - want) ** 2))
    assert 0 < error < 0.25 * want.std()


def test_nncf_without_rows_is_one_clear_error(graph: onnx.ModelProto) -> None:
    pytest.importorskip("nncf", reason="needs the package nncf")
    from jouleforge.converters import nncf_quantizer

    with pytest.raises(InputError, match="NNCF needs calibration rows"):
        nncf_quantizer.quantize(graph, [])


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"compiled": True}, "no choice `compiled`"),
        ({"precision": "int8", "quantizer": "nncf", "smoothquant": 0.5}, "choose smoothquant"),
        ({"precision": "int8", "quantizer": "nncf", "keep_float": "auto"}, "choose keep_float"),
        ({"precision": "int8", "quantizer": "nncf", "calibrator": "mse"}, "choose calibrator"),
    ],
)
def test_combinations_that_cannot_be_are_named(choices: dict[str, object], message: str) -> None:
    recipe = Recipe.model_validate({"target": "ov", **choices})
    assert message in (ov.refusal(recipe) or "")
    assert ov.refusal(Recipe(target="ov", precision="int8", quantizer="own")) is None


def test_graph_that_openvino_cannot_read_is_one_clear_error(tmp_path: Path) -> None:
    node = onnx.helper.make_node("NoSuchOperator", ["x"], ["y"])
    value = [onnx.helper.make_tensor_value_info(name, 1, [1]) for name in "xy"]
    strange = onnx.helper.make_model(onnx.helper.make_graph([node], "g", value[:1], value[1:]))
    with pytest.raises(GateError, match="OpenVINO does not read the graph"):
        ov.write(strange, Recipe(target="ov"), tmp_path)


def test_openvino_is_imported_without_its_telemetry() -> None:
    code = (
        "import sys, jouleforge.converters.targets.ov\n"
        "assert 'openvino' in sys.modules\n"
        "assert not any(name.startswith('openvino_telemetry.') for name in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
