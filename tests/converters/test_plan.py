"""Plans: real builds with TensorRT-RTX, which needs no GPU, and what is read off them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import pytest

from jouleforge import cuda, nvinfer
from jouleforge.checkpoint import Checkpoint
from jouleforge.converters import audit, convert
from jouleforge.converters.evidence import Evidence
from jouleforge.converters.export import export
from jouleforge.converters.plan import build as builds
from jouleforge.converters.plan import inspection, products, profiles, timing, watching
from jouleforge.converters.precision import Range, quantize_static, to_float
from jouleforge.converters.precision.qdq import quantized_tensors
from jouleforge.converters.targets import trt
from jouleforge.cuda import Gpu
from jouleforge.errors import GateError, InputError, MissingError
from jouleforge.modeling import load_model
from jouleforge.nvinfer import Library, Log, Message
from jouleforge.nvinfer import record as records
from jouleforge.recipe import Recipe

MakeCheckpoint = Callable[..., Path]
MakeGraph = Callable[[str], onnx.ModelProto]
LAYERS = 2
FAMILIES = ("bert", "distilbert", "roberta")
# Fused attention kernels want a head of at least 16.
WIDE = {"hidden_size": 64, "num_attention_heads": 2}
WIDE_DISTIL = {"dim": 64, "n_heads": 2}
FLOATS = ("fp32", "fp16", "bf16")
SMALL = [(precision, rest) for precision in ("int8", "fp8") for rest in ("fp16", "bf16", "fp32")]


@pytest.fixture(scope="module")
def rtx() -> Library:
    try:
        return nvinfer.load(nvinfer.RTX)
    except MissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def make_graph(make_checkpoint: MakeCheckpoint) -> MakeGraph:
    """A function that exports a plain graph, once per family."""
    made: dict[str, onnx.ModelProto] = {}

    def make(family: str) -> onnx.ModelProto:
        if family not in made:
            sizes = WIDE_DISTIL if family == "distilbert" else WIDE
            checkpoint = Checkpoint.load(make_checkpoint(family, **sizes))
            names: tuple[str, ...] = ("input_ids", "attention_mask")
            names += ("token_type_ids",) * checkpoint.has_token_types
            model = load_model(checkpoint, attention="eager")
            made[family] = export(model, flavour="plain", inputs=names, max_length=64)
        return made[family]

    return make


def quantized(graph: onnx.ModelProto, kind: str, rest: str) -> onnx.ModelProto:
    """Return the graph with ranges that were made up: nothing here is about accuracy."""
    names = quantized_tensors(onnx_ir.from_proto(graph).graph)
    ranges = {name: Range(-4, 4) for name in names}
    form = trt.profile(recipe(precision=kind))
    return typed(quantize_static(graph, ranges, profile=form), rest)


def typed(graph: onnx.ModelProto, kind: str) -> onnx.ModelProto:
    return graph if kind == "fp32" else to_float(graph, kind)  # type: ignore[arg-type]


def recipe(**choices: object) -> Recipe:
    usual = {"target": "trt", "flavour": "plain", "max_length": 64, "max_batch": 8}
    return Recipe.model_validate({**usual, "buckets": (64,), **choices})


def evidence_of(graph: onnx.ModelProto, library: Library, **choices: object) -> Evidence:
    record = builds.build(graph, recipe(**choices), library).record
    assert record.attention_recognised
    return inspection.evidence(record, {"input_ids": np.ones((8, 40), np.int64)})


@pytest.mark.tensorrt
@pytest.mark.parametrize("precision", FLOATS)
@pytest.mark.parametrize("family", FAMILIES)
def test_float_graph_compiles_and_computes_in_its_own_types(
    make_graph: MakeGraph, rtx: Library, family: str, precision: str
) -> None:
    found = evidence_of(typed(make_graph(family), precision), rtx)
    assert found.shares()[precision] > 0.97, "all but the head"
    # TensorRT has no fused kernel for float32, although it recognises the pattern.
    assert found.fused_attentions == (0 if precision == "fp32" else LAYERS)
    assert found.source == f"the build log of tensorrt-rtx {rtx.version}"


@pytest.mark.tensorrt
@pytest.mark.parametrize(("precision", "rest"), SMALL)
def test_quantised_graph_computes_every_weighted_product_in_small_numbers(
    make_graph: MakeGraph, rtx: Library, precision: str, rest: str
) -> None:
    graph = quantized(make_graph("bert"), precision, rest)
    found = evidence_of(graph, rtx, precision=precision, rest=rest)
    assert found.shares(weighted=True)[precision] > 0.97, "all but the head"
    assert found.shares(weighted=False) == {rest: 1.0}
    assert found.fused_attentions == (0 if rest == "fp32" else LAYERS)


@pytest.mark.tensorrt
@pytest.mark.parametrize("family", ["distilbert", "roberta"])
def test_quantised_graph_of_other_families_compiles_too(
    make_graph: MakeGraph, rtx: Library, family: str
) -> None:
    found = evidence_of(quantized(make_graph(family), "int8", "fp16"), rtx)
    assert found.shares(weighted=True)["int8"] > 0.97
    assert found.fused_attentions == LAYERS


@pytest.mark.tensorrt
def test_every_bucket_gets_its_own_profile_and_fused_attention(
    make_graph: MakeGraph, rtx: Library
) -> None:
    graph = typed(make_graph("bert"), "fp16")
    record = builds.build(graph, recipe(buckets=(16, 48, 64)), rtx).record
    assert [profile.largest for profile in record.profiles] == [(8, 16), (8, 48), (8, 64)]
    for tokens in (1, 16, 17, 48, 64):
        found = inspection.evidence(record, {"input_ids": np.ones((1, tokens), np.int64)})
        assert found.fused_attentions == LAYERS
        assert found.shares()["fp16"] > 0.9, "all but the head, which is much of one token"
    with pytest.raises(InputError, match="up to 8 rows and 64 tokens"):
        record.profile_of(9, 16)


@pytest.mark.tensorrt
@pytest.mark.parametrize("kind", ["fp32", "fp16", "int8"])
def test_audit_is_satisfied_with_what_tensorrt_can_do(
    make_graph: MakeGraph, rtx: Library, kind: str
) -> None:
    plain = make_graph("bert")
    graph = quantized(plain, kind, "fp16") if kind == "int8" else typed(plain, kind)
    choices = {"precision": kind, "rest": "fp16" if kind == "int8" else "none"}
    found = evidence_of(graph, rtx, **choices)
    assert audit.judge(found, recipe(**choices), layers=LAYERS).allowed == {}


@pytest.mark.tensorrt
def test_watched_graph_compiles_with_its_inner_tensors_as_outputs(
    make_graph: MakeGraph, rtx: Library
) -> None:
    graph = quantized(make_graph("bert"), "int8", "fp16")
    ends = [node.output[0] for node in graph.graph.node if node.op_type == "LayerNormalization"]
    watched, outputs = watching.with_outputs(graph, [*ends, "not there"])
    assert list(outputs) == ends
    assert {output.name for output in watched.graph.output} == {"logits", *outputs.values()}
    assert builds.build(watched, recipe(), rtx).data


@pytest.mark.tensorrt
@pytest.mark.parametrize("asked", [False, True])
def test_tf32_is_off_unless_asked_for(make_graph: MakeGraph, rtx: Library, asked: bool) -> None:
    found = evidence_of(make_graph("bert"), rtx, tf32=asked)
    assert found.tf32 is asked
    assert found.shares() == {"tf32" if asked else "fp32": 1.0}


@pytest.mark.tensorrt
def test_build_beside_another_object_of_tensorrts_keeps_its_own_log(
    make_graph: MakeGraph, rtx: Library
) -> None:
    other = Log(most=2)
    alive = rtx.api.Builder(other.logger(rtx))
    record = builds.build(typed(make_graph("bert"), "fp16"), recipe(), rtx).record
    assert record.attention_recognised
    assert record.layers
    assert all(message.severity <= 2 for message in other.messages)
    del alive


@pytest.mark.tensorrt
def test_unknown_operator_is_an_error_with_the_node_s_name(
    make_graph: MakeGraph, rtx: Library
) -> None:
    graph = onnx.ModelProto()
    graph.CopyFrom(make_graph("bert"))
    node = next(node for node in graph.graph.node if node.op_type == "Gelu")
    node.op_type, node.domain = "BiasGelu", "com.microsoft"
    graph.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    with pytest.raises(GateError, match=rf"does not understand the graph: BiasGelu '{node.name}'"):
        builds.build(graph, recipe(), rtx)


@pytest.mark.tensorrt
def test_graph_that_cannot_be_compiled_is_an_error_with_the_log(
    make_graph: MakeGraph, rtx: Library
) -> None:
    # The position table has 64 rows.
    with pytest.raises(GateError, match=r"TensorRT cannot compile the graph: \w+"):
        builds.build(make_graph("bert"), recipe(max_length=100, buckets=(100,)), rtx)


def test_products_name_what_their_size_depends_on(make_graph: MakeGraph) -> None:
    found = {product.name: product for product in products.of(make_graph("bert"))}
    assert len(found) == LAYERS * 8 + 2
    scores = [product for product in found.values() if not product.weighted]
    assert len(scores) == LAYERS * 2
    assert all(product.factors.count("sequence") == 2 for product in scores)
    hidden = [product for product in found.values() if "sequence" in product.factors]
    assert len(hidden) == LAYERS * 8, "the head sees one token of each row"


def test_default_buckets_reach_the_longest_sequence_in_steps_of_at_most_half() -> None:
    assert profiles.lengths(recipe(buckets=(), max_length=100)) == (16, 24, 32, 48, 64, 96, 100)
    assert profiles.lengths(recipe(buckets=(), max_length=9)) == (9,)
    made = profiles.make(recipe(buckets=(), max_length=64))
    for tokens in range(1, 65):
        assert any(profile.takes(1, tokens) for profile in made)


TEXT_10 = json.dumps(
    {
        "Layers": [
            {
                "Name": "_gemm_mha_v2_myl1_7",
                "LayerType": "kgen",
                "Inputs": [{"Name": "q [profile 1]", "Format/Datatype": "Half"}],
                "TacticName": "_gemm_mha_v2_0xab",
                "Metadata": "[ONNX Layer: a]\u001e[ONNX Layer: b]",
            },
            {"Name": "reformat", "LayerType": "NoOp", "Inputs": [], "Metadata": ""},
        ],
        "Bindings": ["input_ids", "logits"],
    }
)


def test_inspector_of_tensorrt_10_is_understood_too() -> None:
    fused, other = inspection.layers_of_json(TEXT_10)
    assert (fused.formats, fused.nodes, fused.profile) == (("Half",), ("a", "b"), 1)
    assert (other.kind, other.profile) == ("NoOp", 0)


def test_product_that_reads_other_factors_than_the_graph_has_is_told_apart() -> None:
    line = (
        "Name: {0}, LayerType: gemm, Inputs: [ {{ Name: x, Dimensions: [-1,64], Datatype: {1} }}], "
        "Outputs: [], TacticName: t, StreamId: 0, Metadata: [ONNX Layer: {0}]"
    )
    log = Log(
        messages=[Message(4, line.format("kept", "Int8") + "\n" + line.format("lost", "Half"))]
    )
    product = records.ProductRecord(name="", precision="int8", weighted=True, factors=("batch", 2))
    record = records.BuildRecord(
        library="tensorrt", version="11.4", gpu=None, compute_capability=None, driver=None,
        tf32=False, version_compatible=False, lean=False, inputs=("input_ids",),
        profiles=profiles.make(recipe()), attention_recognised=False,
        products=tuple(product.model_copy(update={"name": name}) for name in ("kept", "lost")),
        layers=inspection.layers_of_log(log), layers_from="build log", log=(),
    )  # fmt: skip
    found = inspection.evidence(record, {"input_ids": np.ones((3, 4), np.int64)})
    assert [one.precision for one in found.products] == ["int8", "fp16"]
    assert [one.multiply_adds for one in found.products] == [6, 6]


def test_timings_are_kept_per_version_gpu_and_driver(
    rtx: Library, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    gpu = Gpu("NVIDIA H100 80GB", (9, 0), cuda="13.2", driver="580.1")
    other = Gpu("NVIDIA H100 80GB", (9, 0), cuda="13.2", driver="590.1")
    path = timing.file(rtx, gpu)
    assert path.parent == tmp_path / "jouleforge" / "tensorrt"
    assert path.name == f"{rtx.version}_NVIDIA-H100-80GB_sm90_580.1.timing"
    assert timing.file(rtx, other) != path


class CacheConfig:
    """The part of a builder's configuration that is about timings."""

    def __init__(self) -> None:
        self.content = b""

    def create_timing_cache(self, serialized_timing_cache: bytes) -> bytes:
        return serialized_timing_cache

    def set_timing_cache(self, cache: bytes, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        self.content = cache + b"+"
        return True

    def get_timing_cache(self) -> "CacheConfig":
        return self

    def serialize(self) -> bytes:
        return self.content


def test_next_build_starts_with_the_timings_of_the_last(tmp_path: Path) -> None:
    cache = timing.Cache(tmp_path / "new" / "one.timing")
    for expected in (b"+", b"++"):
        config = CacheConfig()
        cache.use(config)  # type: ignore[arg-type]
        cache.keep(config)  # type: ignore[arg-type]
        assert (tmp_path / "new" / "one.timing").read_bytes() == expected
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["one.timing"]


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        ({"lean": True}, "version_compatible too"),
        ({"tf32": True, "precision": "fp16"}, "tf32 is a way to compute fp32"),
        ({"buckets": (16, 32)}, "the longest of buckets is 32"),
    ],
)
def test_recipe_that_contradicts_itself_is_refused(choices: dict[str, object], reason: str) -> None:
    assert reason in (trt.refusal(recipe(**choices)) or "")


def test_precision_that_the_gpu_lacks_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvinfer, "load_full", lambda: None)
    monkeypatch.setattr(cuda, "gpu", lambda: Gpu("NVIDIA A100", (8, 0), "13.2", None))
    assert trt.refusal(recipe(precision="bf16")) is None
    with pytest.raises(MissingError, match=r"fp8 needs .* 8.9; this is NVIDIA A100"):
        trt.refusal(recipe(precision="fp8"))


@pytest.mark.skipif(cuda.problem() is None, reason="this machine has a GPU")
def test_conversion_without_a_gpu_is_refused_at_once_and_writes_nothing(
    make_checkpoint: MakeCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "jouleforge.converters.conversion.load_model", lambda *_, **__: pytest.fail("late")
    )
    with pytest.raises(MissingError, match=r"^unavailable: "):
        convert(make_checkpoint("bert"), Recipe(target="trt"), tmp_path / "engine")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.tensorrt
@pytest.mark.usefixtures("rtx")
@pytest.mark.skipif(cuda.problem() is None, reason="this machine has a GPU")
def test_plan_of_tensorrt_rtx_never_becomes_an_engine(
    make_graph: MakeGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda, "require", lambda *_: None)
    with pytest.raises(MissingError, match="TensorRT cannot be imported"):
        trt.write(make_graph("bert"), recipe(), tmp_path)
    assert list(tmp_path.iterdir()) == []
