"""PyTorch engines: their precisions, compilation, and what their profile shows."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from jouleforge import runners
from jouleforge.converters import parity
from jouleforge.converters.targets import ort, pytorch
from jouleforge.engine import Engine
from jouleforge.errors import GateError, MissingError
from jouleforge.modeling import compile_module
from jouleforge.recipe import Recipe

MakeEngine = Callable[..., Engine]

# Sizes of the tiny checkpoints: layers, hidden width, inner width, outputs.
LAYERS, HIDDEN, INNER, LABELS = 2, 32, 64, 3


def batch(rows: int, length: int) -> parity.Inputs:
    rng = np.random.default_rng(rows)
    mask = np.ones((rows, length), np.int64)
    mask[0, length // 2 :] = 0
    ids = rng.integers(4, 60, (rows, length))
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def work(rows: int, length: int) -> tuple[int, int]:
    """Return the multiply-adds with weights, and those of attention."""
    body = LAYERS * rows * length * (4 * HIDDEN**2 + 2 * HIDDEN * INNER)
    head = rows * (HIDDEN**2 + HIDDEN * LABELS)
    return body + head, LAYERS * 2 * rows * length**2 * HIDDEN


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta"])
def test_bfloat16_keeps_the_head_and_the_logits_in_float32(
    make_engine: MakeEngine, family: str
) -> None:
    engine = make_engine(family, target="pytorch", precision="bf16")
    assert engine.name == "pytorch sdpa bf16"
    weights = load_file(engine.path / "model.safetensors")
    head = {name for name in weights if not name.startswith(f"{family.replace('-', '_')}.")}
    assert head
    for name, tensor in weights.items():
        assert tensor.dtype == (torch.float32 if name in head else torch.bfloat16), name
    logits = pytorch.answer(engine.path, engine.manifest.recipe)(
        {name: array for name, array in batch(2, 9).items() if name != "token_type_ids"}
    )
    assert logits.dtype == np.float32
    assert not np.array_equal(logits, torch.from_numpy(logits).bfloat16().float().numpy())
    last = engine.manifest.parity[-1]
    assert 1e-4 < last.rms_error < last.tolerance


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_evidence_counts_every_product_in_its_format(
    make_engine: MakeEngine, precision: str, attention: str
) -> None:
    engine = make_engine("bert", target="pytorch", precision=precision, attention=attention)
    found = pytorch.evidence(engine.path, engine.manifest.recipe, batch(3, 8))
    weighted, others = work(3, 8)
    assert sum(p.multiply_adds for p in found.products if p.weighted) == weighted
    assert sum(p.multiply_adds for p in found.products if not p.weighted) == others
    assert found.fused_attentions == (LAYERS if attention == "sdpa" else 0)
    in_head = 3 * HIDDEN * LABELS / (weighted + others)  # the last layer stays in float32
    expected = {"fp32": 1.0} if precision == "fp32" else {"bf16": 1 - in_head, "fp32": in_head}
    assert found.shares() == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_compiled_engine_answers_alike_and_shows_its_kernels(
    make_engine: MakeEngine, precision: str
) -> None:
    engine = make_engine("bert", target="pytorch", precision=precision, compiled=True)
    assert engine.name == f"pytorch sdpa compiled {precision}"
    found = pytorch.evidence(engine.path, engine.manifest.recipe, batch(3, 8))
    weighted, others = work(3, 8)
    assert sum(p.multiply_adds for p in found.products if p.weighted) == weighted
    assert sum(p.multiply_adds for p in found.products if not p.weighted) == others
    assert found.fused_attentions == LAYERS
    assert found.shares()[precision] > 0.99
    assert not {"aten::linear", "aten::gelu"} & set(found.operators), "it ran uncompiled"


@pytest.mark.slow
def test_every_shape_is_compiled_before_the_first_run(make_engine: MakeEngine) -> None:
    plain = make_engine("bert", target="pytorch")
    engine = Engine(
        plain.path,
        plain.manifest.model_copy(
            update={"recipe": plain.manifest.recipe.model_copy(update={"compiled": True})}
        ),
    )
    shapes = [(3, 9), (2, 30), (1, 7), (1, 1), (3, 64), (3, 9)]
    inputs = [batch(*shape) for shape in shapes]
    outputs = [np.full((rows, LABELS), np.nan, np.float32) for rows, _ in shapes]
    runner = runners.load(engine, threads=1).prepare(inputs, outputs)
    answer = pytorch.answer(plain.path, plain.manifest.recipe)
    for index, case in enumerate(inputs):
        runner.run(index)
        np.testing.assert_allclose(outputs[index], answer(case), rtol=1e-4, atol=1e-5)
    torch._dynamo.reset()
    with pytest.raises(GateError, match="compiled again for batch 0"):
        runner.run(0)


def test_compiling_without_a_compiler_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(MissingError, match=r"needs a C\+\+ compiler"):
        compile_module(torch.nn.Linear(1, 1))  # type: ignore[arg-type]


def test_only_pytorch_engines_can_be_compiled() -> None:
    assert "target pytorch" in (ort.refusal(Recipe(target="ort", compiled=True)) or "")
    assert pytorch.refusal(Recipe(target="pytorch", compiled=True)) is None


def test_stored_module_is_read_by_its_owner_and_others(make_engine: MakeEngine) -> None:
    file: Path = make_engine("bert", target="pytorch").path / "model.safetensors"
    assert file.stat().st_mode & 0o044 == 0o044
