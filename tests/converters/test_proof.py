"""What a conversion must prove: faults are planted here, and each must be caught."""

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file
from tasks import calibration_lines, write_task
from tokenizers import Tokenizer
from typer.testing import CliRunner, Result

from jouleforge import Recipe, explain, verify
from jouleforge.caveats import Caveat
from jouleforge.checkpoint import Checkpoint
from jouleforge.cli import app
from jouleforge.converters import audit, conversion, convert, search
from jouleforge.converters.evidence import Evidence, Product
from jouleforge.converters.precision.qdq import Range
from jouleforge.converters.targets import ort
from jouleforge.engine import Engine
from jouleforge.errors import GateError, InputError, MissingError
from jouleforge.measurement import WorkloadSpec
from jouleforge.modeling import load_model
from jouleforge.protocol import measure
from jouleforge.schedule import Schedule

MakeCheckpoint = Callable[..., Path]
MakeEngine = Callable[..., Engine]
LABELS = ("LABEL_0", "LABEL_1", "LABEL_2")
# Random weights answer at random: the gate is tested where it is the subject.
LENIENT = {"max_drop": 100, "max_changed": 1, "calibration_rows": 40, "selection_rows": 40}


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def int8(make_engine: MakeEngine, task_file: Path) -> Engine:
    return make_engine("bert", target="ort", precision="int8", task=task_file, **LENIENT)


def test_auto_calibrator_scores_all_and_keeps_the_nearest(int8: Engine) -> None:
    record = int8.manifest.calibration
    assert record is not None
    assert [tried.calibrator for tried in record.candidates] == [
        "minmax", "percentile:99.99", "entropy", "mse",
    ]  # fmt: skip
    worst = [max(score.divergence for score in tried.scores) for tried in record.candidates]
    chosen = [tried.calibrator for tried in record.candidates if tried.chosen]
    assert chosen == [record.candidates[int(np.argmin(worst))].calibrator]
    assert int8.manifest.recipe.calibrator == chosen[0]


def test_manifest_says_where_ranges_came_from_and_what_was_kept(int8: Engine) -> None:
    record, gate = int8.manifest.calibration, int8.manifest.gate
    assert record is not None
    assert gate is not None
    assert (record.task, record.rows, record.duplicates) == ("toy", 40, 0)
    assert len({score.padding.partition(":")[0] for score in gate.scores}) == 2
    assert int8.manifest.audit.weighted_shares["int8"] > 0.95


def test_calibrated_precision_needs_a_task(make_checkpoint: MakeCheckpoint, tmp_path: Path) -> None:
    done = call("convert", make_checkpoint("bert"), "-o", tmp_path / "e", "--target", "ort",
                "--precision", "int8")  # fmt: skip
    assert done.exit_code == 2
    assert "name the task the checkpoint was fine-tuned for (--task)" in done.output


@pytest.fixture(scope="module")
def undecided(make_checkpoint: MakeCheckpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that gives every answer about as often, so that rounding changes some."""
    folder = tmp_path_factory.mktemp("undecided") / "bert"
    shutil.copytree(make_checkpoint("bert"), folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = load_model(Checkpoint.load(folder), attention="eager")
    texts = [line.partition("\t")[0] for line in calibration_lines(40, "LABEL_0")]
    with torch.inference_mode():
        ids = [torch.tensor([tokenizer.encode(text).ids]) for text in texts]
        logits = torch.cat([model(input_ids=row).logits for row in ids])
        model.classifier.bias -= logits.mean(dim=0)
    model.save_pretrained(folder)
    return folder


def test_failed_gate_names_the_rows_and_the_place_and_writes_nothing(
    undecided: Path, task_file: Path, tmp_path: Path
) -> None:
    done = call("convert", undecided, "-o", tmp_path / "e", "--target", "ort",
                "--precision", "int8", "--calibrator", "percentile:60", "--task", task_file,
                "--max-drop", 100, "--max-changed", 0)  # fmt: skip
    assert done.exit_code == 4, done.output
    said = " ".join(done.output.split())
    assert "fails the gate on the selection split" in said
    assert "Worst: row" in said
    assert "at bert.encoder.layer." in said
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def one_outlier(undecided: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with one value so large that the rest of its tensor rounds to nothing.

    The value meets weights of zero: in float it changes no answer.
    """
    folder = tmp_path_factory.mktemp("outlier") / "bert"
    shutil.copytree(undecided, folder)
    weights = load_file(folder / "model.safetensors")
    weights["bert.encoder.layer.1.intermediate.dense.bias"][0] = 5000.0
    weights["bert.encoder.layer.1.output.dense.weight"] *= 4
    weights["bert.encoder.layer.1.output.dense.weight"][:, 0] = 0.0
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_regions_go_back_to_float_until_the_gate_passes(
    one_outlier: Path, task_file: Path, tmp_path: Path
) -> None:
    recipe = Recipe(target="ort", precision="int8", calibrator="minmax", keep_float="auto",
                    max_drop=100, max_changed=0.2, selection_rows=40)  # fmt: skip
    engine = convert(one_outlier, recipe, tmp_path / "e", task=str(task_file))
    kept = engine.manifest.recipe.keep_float
    assert "bert.encoder.layer.1.output.dense" in kept
    assert len(kept) < 12
    gate = engine.manifest.gate
    assert gate is not None
    assert max(score.changed for score in gate.scores) <= 0.2
    record = engine.manifest.calibration
    assert record is not None
    assert any(
        not tried.kept_float and tried.scores[0].changed > 0.2 for tried in record.candidates
    )


def test_search_never_returns_every_region_to_float(
    undecided: Path, task_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[str, ...]] = []
    quantized = search.quantize_static

    def note(graph: onnx.ModelProto, ranges: dict[str, Range], **choices: Any) -> onnx.ModelProto:
        tried.append(tuple(choices["keep_float"]))
        return quantized(graph, ranges, **choices)

    monkeypatch.setattr(search, "quantize_static", note)
    monkeypatch.setattr("jouleforge.converters.gate.passes", lambda *_: False)
    recipe = Recipe(target="ort", precision="int8", calibrator="minmax", keep_float="auto",
                    selection_rows=40)  # fmt: skip
    with pytest.raises(GateError, match="Try another --calibrator or --smoothquant auto or"):
        convert(undecided, recipe, tmp_path / "e", task=str(task_file))
    assert sorted({len(kept) for kept in tried}) == [0, 1, 2, 4, 8, 11]


def test_duplicated_calibration_rows_are_caught_unless_allowed(
    make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    train = (*calibration_lines(20, "LABEL_0"), *["the same text\tLABEL_1"] * 15)
    task = write_task(tmp_path, LABELS, rows=40, train=train)
    recipe = Recipe(target="ort", precision="int8", calibrator="minmax", **LENIENT)
    with pytest.raises(GateError, match="14 of 35 calibration rows repeat the text of another"):
        convert(make_checkpoint("bert"), recipe, tmp_path / "e", task=str(task))
    allowing = recipe.model_copy(update={"allow": (Caveat.DUPLICATE_ROWS,)})
    engine = convert(make_checkpoint("bert"), allowing, tmp_path / "e", task=str(task))
    assert Caveat.DUPLICATE_ROWS in engine.manifest.audit.allowed


def test_precision_that_is_folded_back_fails_or_is_a_caveat_of_every_measurement(
    make_checkpoint: MakeCheckpoint, task_file: Path, tmp_path: Path
) -> None:
    words = ["convert", make_checkpoint("bert"), "-o", tmp_path / "e", "--target", "ort",
             "--precision", "fp16", "--provider", "cpu"]  # fmt: skip
    done = call(*words)
    assert done.exit_code == 4
    assert "only 0.0% of the layers' multiply-adds ran in fp16" in " ".join(done.output.split())
    done = call(*words, "--allow", "precision-not-honoured")
    assert done.exit_code == 0, done.output
    found = measure(
        tmp_path / "e",
        WorkloadSpec(task=str(task_file)),
        threads=1,
        schedule=Schedule(warmup_s=0, duration_s=0.01),
    )
    assert {Caveat.PRECISION_NOT_HONOURED, Caveat.UNGATED} <= set(found.caveats)


def test_lost_fusion_is_caught(
    make_checkpoint: MakeCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plain_graph(*args: object, **kwargs: object) -> onnx.ModelProto:
        return exporter(*args, **{**kwargs, "flavour": "plain"})  # type: ignore[arg-type]

    exporter = conversion.export
    monkeypatch.setattr(conversion, "export", plain_graph)
    with pytest.raises(GateError, match="0 of 2 attentions were fused"):
        convert(make_checkpoint("bert"), Recipe(target="ort", flavour="fused"), tmp_path / "e")


def test_int8_node_left_in_float_is_caught(
    make_checkpoint: MakeCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jouleforge.converters import precision

    monkeypatch.setattr(precision, "quantize_dynamic", lambda graph: graph)
    recipe = Recipe(target="ort", precision="int8-dynamic")
    with pytest.raises(GateError, match=r"only 0\.0% of the layers' multiply-adds ran in int8"):
        convert(make_checkpoint("bert"), recipe, tmp_path / "e")


def evidence(**changes: object) -> Evidence:
    products = (Product("layer.0/MatMul", "fp16", True, 90), Product("head", "fp32", True, 1))
    return Evidence(**{"source": "a test", "products": products, "fused_attentions": 1,
                       "operators": {}, **changes})  # type: ignore[arg-type]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"elsewhere": ("layer.0/Softmax",)}, r"1 nodes ran on another.*layer\.0/Softmax"),
        ({"tf32": True}, "TF32 factors"),
        ({"fused_attentions": 0}, "0 of 1 attentions"),
        ({"products": (Product("layer.0/MatMul", "fp32", True, 90),)}, r"only 0\.0%"),
    ],
)
def test_audit_finds(changes: dict[str, object], message: str) -> None:
    recipe = Recipe(target="trt", precision="fp16")
    assert not audit.judge(evidence(), recipe, layers=1).allowed
    with pytest.raises(GateError, match=message) as failure:
        audit.judge(evidence(**changes), recipe, layers=1)
    name = str(failure.value).partition("--allow ")[2].split()[0]
    allowing = recipe.model_copy(update={"allow": (Caveat(name),)})
    assert set(audit.judge(evidence(**changes), allowing, layers=1).allowed) == {name}


def test_regions_kept_in_float_do_not_count_as_dishonoured() -> None:
    products = (Product("a.layer.0/MatMul", "int8", True, 50),
                Product("a.layer.1/MatMul", "fp32", True, 50))  # fmt: skip
    recipe = Recipe(target="ort", precision="int8", keep_float=("*.layer.1",))
    audit.judge(evidence(products=products), recipe, layers=1)
    with pytest.raises(GateError, match=r"only 50\.0%"):
        audit.judge(
            evidence(products=products), recipe.model_copy(update={"keep_float": "none"}), layers=1
        )


def test_verify_replays_parity_and_refuses_what_was_tampered_with(
    int8: Engine, tmp_path: Path
) -> None:
    assert verify(int8.path).rms_error == pytest.approx(int8.manifest.parity[-1].rms_error)
    assert call("verify", int8.path).exit_code == 0
    shutil.copytree(int8.path, tmp_path / "e")
    stored = (tmp_path / "e" / "model.onnx").read_bytes()
    (tmp_path / "e" / "model.onnx").write_bytes(stored[:-100])
    done = call("verify", tmp_path / "e")
    assert done.exit_code == 2
    assert "was changed after the conversion" in done.output


def test_verify_catches_an_engine_that_answers_otherwise(int8: Engine, tmp_path: Path) -> None:
    from jouleforge import digest

    folder = tmp_path / "e"
    shutil.copytree(int8.path, folder)
    graph = onnx.load(folder / "model.onnx")
    bias = next(t for t in graph.graph.initializer if t.name == "model.classifier.bias")
    moved = onnx.numpy_helper.to_array(bias) + np.arange(3, dtype=np.float32) * 100
    bias.CopyFrom(onnx.numpy_helper.from_array(moved, bias.name))
    onnx.save(graph, folder / "model.onnx")
    manifest = json.loads((folder / "engine.json").read_text())
    manifest["files"]["model.onnx"] = digest.of_file(folder / "model.onnx")
    (folder / "engine.json").write_text(json.dumps(manifest))
    with pytest.raises(GateError, match="parity of the engine failed"):
        verify(folder)


def test_explain_finds_the_first_tensor_that_parts(
    make_engine: MakeEngine, make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    engine = make_engine("bert", target="ort", flavour="plain")
    agreed = explain(engine, checkpoint=make_checkpoint("bert"))
    assert agreed.parts_at is None
    assert len(agreed.layers) == 5
    folder = tmp_path / "e"
    shutil.copytree(engine.path, folder)
    graph = onnx.load(folder / "model.onnx")
    name = "model.bert.encoder.layer.1.intermediate.dense.bias"
    bias = next(t for t in graph.graph.initializer if t.name == name)
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + 3, name))
    onnx.save(graph, folder / "model.onnx")
    found = explain(
        Engine(path=folder, manifest=engine.manifest), checkpoint=make_checkpoint("bert")
    )
    assert found.parts_at is not None
    assert found.parts_at.region == "bert.encoder.layer.1.intermediate.dense"
    assert "part at bert.encoder.layer.1.intermediate.dense" in found.sentence


def test_explain_refuses_a_module_and_another_checkpoint(
    make_engine: MakeEngine, make_checkpoint: MakeCheckpoint
) -> None:
    with pytest.raises(InputError, match="is a module, not a graph"):
        explain(make_engine("bert", target="pytorch"))
    with pytest.raises(InputError, match="made from another checkpoint"):
        explain(make_engine("bert", target="ort"), checkpoint=make_checkpoint("distilbert"))


def test_weight_that_is_not_a_number_is_named(
    make_checkpoint: MakeCheckpoint, tmp_path: Path
) -> None:
    shutil.copytree(make_checkpoint("bert"), tmp_path / "c")
    file = tmp_path / "c" / "model.safetensors"
    weights = load_file(file)
    weights["classifier.weight"][0, 0] = float("nan")
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"the weight classifier\.weight holds NaN"):
        convert(tmp_path / "c", Recipe(target="ort"), tmp_path / "e")


def test_full_disk_leaves_nothing_and_says_so(
    make_checkpoint: MakeCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: onnx.ModelProto, recipe: Recipe, folder: Path) -> None:
        del source, recipe
        (folder / "model.onnx").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(ort, "write", full)
    with pytest.raises(MissingError, match="is full; make room"):
        convert(make_checkpoint("bert"), Recipe(target="ort"), tmp_path / "e")
    assert not list(tmp_path.iterdir())


def test_int8_on_cuda_is_refused_with_the_remedy(
    make_checkpoint: MakeCheckpoint, task_file: Path, tmp_path: Path
) -> None:
    done = call("convert", make_checkpoint("bert"), "-o", tmp_path / "e", "--target", "ort",
                "--precision", "int8", "--provider", "cuda", "--task", task_file)  # fmt: skip
    assert done.exit_code == 2
    assert "Use --target trt for INT8 on NVIDIA" in " ".join(done.output.split())


def test_head_of_another_kind_than_the_task_is_refused(
    make_checkpoint: MakeCheckpoint, task_file: Path, tmp_path: Path
) -> None:
    regression = make_checkpoint("bert", problem_type="regression", num_labels=1)
    with pytest.raises(InputError, match="is a regression classifier, the task toy is"):
        convert(regression, Recipe(target="ort"), tmp_path / "e", task=str(task_file))
