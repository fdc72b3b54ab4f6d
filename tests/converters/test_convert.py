"""Conversion of every family, flavour and precision, and what must not come out of it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from jouleforge.checkpoint import Checkpoint
from jouleforge.converters import conversion, convert, parity
from jouleforge.converters.targets import ort
from jouleforge.engine import Engine
from jouleforge.errors import GateError, InputError
from jouleforge.recipe import Recipe

MakeCheckpoint = Callable[..., Path]
MakeEngine = Callable[..., Engine]
FAMILIES = ("bert", "distilbert", "roberta", "xlm-roberta", "electra")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("flavour", ["fused", "plain"])
def test_graph_answers_as_the_module_for_every_family(
    make_engine: MakeEngine, family: str, flavour: str
) -> None:
    engine = make_engine(family, target="ort", flavour=flavour)
    last = engine.manifest.parity[-1]
    assert last.decisions_equal == last.rows
    assert last.max_abs_error < 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_fused_graph_packs_every_attention(make_engine: MakeEngine, family: str) -> None:
    operators = make_engine(family, target="ort", flavour="fused").manifest.audit.operators
    assert operators["Attention"] == 2
    assert "SkipLayerNormalization" not in operators, "it is slower than its parts on a CPU"
    assert operators["BiasGelu"] == 2
    assert "MultiHeadAttention" not in operators
    assert "Softmax" not in operators


def test_embedding_is_fused_where_positions_count_up(make_engine: MakeEngine) -> None:
    for family in ("bert", "distilbert"):
        operators = make_engine(family, target="ort").manifest.audit.operators
        assert operators["EmbedLayerNormalization"] == 1


@pytest.mark.parametrize("flavour", ["fused", "plain"])
def test_graph_says_nothing_of_where_it_was_made(make_engine: MakeEngine, flavour: str) -> None:
    engine = make_engine("bert", target="ort", flavour=flavour)
    for package in (torch, onnx, parity):
        folder = str(Path(str(package.__file__)).parent)
        assert folder.encode() not in (engine.path / "model.onnx").read_bytes()


def test_plain_graph_holds_standard_operators_only(make_engine: MakeEngine) -> None:
    engine = make_engine("bert", target="ort", flavour="plain")
    graph = onnx.load(engine.path / "model.onnx")
    assert {node.domain for node in graph.graph.node} == {""}
    constants = [onnx.numpy_helper.to_array(tensor) for tensor in graph.graph.initializer]
    smallest = min(array.min() for array in constants if array.dtype == np.float32)
    assert smallest >= np.finfo(np.float16).min, "the mask must stay finite in float16"


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta"])
def test_int8_reaches_every_layer(make_engine: MakeEngine, family: str) -> None:
    engine = make_engine(family, target="ort", precision="int8-dynamic")
    audit = engine.manifest.audit
    assert audit.operators["QAttention"] == 2
    assert audit.operators["DynamicQuantizeMatMul"] == 6
    assert engine.manifest.parity[0].max_abs_error < engine.manifest.parity[1].max_abs_error


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_pytorch_engine_names_its_attention(make_engine: MakeEngine, attention: str) -> None:
    engine = make_engine("bert", target="pytorch", attention=attention)
    assert engine.manifest.audit.fused_attentions == (2 if attention == "sdpa" else 0)
    assert (engine.path / "model.safetensors").is_file()
    assert engine.name == f"pytorch {attention} fp32"


def test_recipe_in_the_engine_names_what_auto_chose(make_engine: MakeEngine) -> None:
    recipe = make_engine("bert", target="ort").manifest.recipe
    assert (recipe.flavour, recipe.attention, recipe.max_length) == ("fused", "none", 64)


def test_wrong_mask_fails_parity_and_writes_nothing(
    make_checkpoint: MakeCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reads_padding(*args: object, **kwargs: object) -> onnx.ModelProto:
        graph = converters_export(*args, **kwargs)  # type: ignore[arg-type]
        for node in graph.graph.node:
            for index in range(len(node.input)):
                if node.op_type == "Attention" and index == 3:
                    node.input[index] = "everything"
        everything = onnx.helper.make_node("Sub", ["attention_mask", "attention_mask"], ["nothing"])
        as_int = onnx.helper.make_node("Cast", ["nothing"], ["everything"], to=6)
        graph.graph.node.insert(0, everything)
        graph.graph.node.insert(1, as_int)
        return graph

    converters_export = conversion.export
    monkeypatch.setattr(conversion, "export", reads_padding)
    out = tmp_path / "engine"
    with pytest.raises(GateError, match=r"parity of the engine failed.*No engine"):
        convert(make_checkpoint("bert"), Recipe(target="ort"), out)
    assert list(tmp_path.iterdir()) == []


def test_graph_that_gives_nan_fails_parity() -> None:
    case = {"input_ids": np.ones((1, 3), np.int64)}
    with pytest.raises(GateError, match="NaN or infinity"):
        parity.check(
            "it",
            lambda _: np.full((1, 2), np.nan, np.float32),
            cases=[case],
            expected=[np.zeros((1, 2), np.float32)],
            bound=parity.EXACT,
            kind=None,
        )


def test_parity_inputs_cover_what_breaks_exporters(make_checkpoint: MakeCheckpoint) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(make_checkpoint("bert") / "tokenizer.json"))
    cases = parity.make_cases(tokenizer, ("input_ids", "attention_mask"), max_length=64, pad_id=0)
    masks = [case["attention_mask"] for case in cases]
    assert any(mask.shape == (1, 1) for mask in masks), "one token"
    assert any(mask.shape[0] == 1 and mask.shape[1] > 1 for mask in masks), "batch 1"
    assert any((mask[:, 0] == 0).any() for mask in masks), "left padding"
    assert any((np.diff(mask, axis=1) < 0).any() for mask in masks), "right padding"
    assert any(((np.diff(mask, axis=1) > 0) & (mask[:, 1:] == 1)).any() and mask[:, 0].all()
               for mask in masks), "holes"  # fmt: skip
    assert any(mask.shape[1] % 2 == 1 for mask in masks), "odd lengths"
    assert any(mask.shape[1] == 64 for mask in masks), "the longest sequence"


def test_interrupted_conversion_leaves_nothing(
    make_checkpoint: MakeCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ort, "write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        convert(make_checkpoint("bert"), Recipe(target="ort"), tmp_path / "engine")
    assert list(tmp_path.iterdir()) == []


def test_existing_folder_needs_force(
    make_checkpoint: MakeCheckpoint, make_engine: MakeEngine, tmp_path: Path
) -> None:
    out = tmp_path / "engine"
    shutil.copytree(make_engine("bert", target="pytorch").path, out)
    recipe = Recipe(target="pytorch", attention="eager")
    with pytest.raises(InputError, match="--force"):
        convert(make_checkpoint("bert"), recipe, out)
    assert convert(make_checkpoint("bert"), recipe, out, force=True).name == "pytorch eager fp32"


def test_force_never_removes_a_folder_that_is_no_engine(
    make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="is not an engine"):
        convert(make_checkpoint("bert"), Recipe(target="pytorch"), tmp_path, force=True)
    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"target": "tflite"}, r"no 'tflite' among targets; choose from ort, ov"),
        ({"target": "pytorch", "precision": "int8-dynamic"}, "offers fp32"),
        ({"target": "pytorch", "flavour": "fused"}, "no such choice"),
        ({"target": "ort", "attention": "sdpa"}, "no such choice"),
        ({"target": "ort", "max_length": 65}, "more than the 64 tokens"),
    ],
)
def test_recipe_that_a_target_cannot_make_is_one_clear_error(
    make_checkpoint: MakeCheckpoint, tmp_path: Path, choices: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        convert(make_checkpoint("bert"), Recipe.model_validate(choices), tmp_path / "engine")


def test_pickled_weights_are_refused_unless_allowed(
    make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    source = tmp_path / "pickled"
    shutil.copytree(make_checkpoint("bert"), source)
    weights = load_file(source / "model.safetensors")
    (source / "model.safetensors").unlink()
    torch.save(weights, source / "pytorch_model.bin")
    with pytest.raises(InputError, match="--allow-pickle"):
        convert(source, Recipe(target="pytorch"), tmp_path / "engine")
    engine = convert(source, Recipe(target="pytorch"), tmp_path / "engine", allow_pickle=True)
    assert (engine.path / "model.safetensors").is_file()


def test_pretrained_body_without_a_head_is_refused(
    make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    source = tmp_path / "headless"
    shutil.copytree(make_checkpoint("bert"), source)
    weights = load_file(source / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "classifier" not in name}
    save_file(kept, source / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"classifier.*fine-tuned, or only pre-trained"):
        convert(source, Recipe(target="pytorch"), tmp_path / "engine")


def test_architecture_without_registered_attention_is_refused(
    make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    source = make_checkpoint("deberta-v2")
    with pytest.raises(InputError, match=r"deberta-v2.*supported: bert, distilbert"):
        convert(source, Recipe(target="ort"), tmp_path / "engine")


def test_changed_file_of_an_engine_is_found(make_engine: MakeEngine, tmp_path: Path) -> None:
    out = tmp_path / "engine"
    shutil.copytree(make_engine("bert", target="ort").path, out)
    data = bytearray((out / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (out / "model.onnx").write_bytes(data)
    with pytest.raises(InputError, match=r"model.onnx was changed after the conversion"):
        Engine.open(out)


@pytest.mark.parametrize("name", ["../evil.so", "/etc/passwd", "a/../../b"])
def test_manifest_cannot_reach_outside_its_folder(
    make_engine: MakeEngine, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "engine"
    shutil.copytree(make_engine("bert", target="ort").path, out)
    manifest = json.loads((out / "engine.json").read_text())
    manifest["files"][name] = "0" * 64
    (out / "engine.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="would leave the engine's folder"):
        Engine.open(out)


def test_manifest_of_another_version_is_refused(make_engine: MakeEngine, tmp_path: Path) -> None:
    out = tmp_path / "engine"
    shutil.copytree(make_engine("bert", target="ort").path, out)
    manifest = json.loads((out / "engine.json").read_text())
    manifest["schema_version"] = 99
    (out / "engine.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="schema_version 99"):
        Engine.open(out)


def test_real_checkpoint_keeps_every_decision(real_data: Path, tmp_path: Path) -> None:
    checkpoint = Checkpoint.load(real_data / "checkpoints" / "minilm-sst2")
    engine = convert(checkpoint, Recipe(target="ort"), tmp_path / "engine")
    last = engine.manifest.parity[-1]
    assert last.decisions_equal == last.rows
    assert engine.manifest.audit.operators["Attention"] == 6


def test_session_that_was_checked_tells_of_its_first_run_only(make_engine: MakeEngine) -> None:
    engine = make_engine("bert", target="ort", flavour="fused")
    recipe = engine.manifest.recipe
    cases, expected = parity.load(engine.path / "parity.npz")
    opened = ort.Watched(engine.path, recipe)
    for case, logits in zip(cases, expected, strict=True):
        np.testing.assert_allclose(opened(case), logits, atol=1e-4)
    assert opened.evidence() == ort.evidence(engine.path, recipe, cases[0])
