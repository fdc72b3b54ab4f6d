"""Converters: from a fine-tuned checkpoint to an engine."""

import gc
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from jouleforge import engine, environment, variants
from jouleforge.checkpoint import Checkpoint
from jouleforge.converters import audit, parity, precision, storage, tokenizer
from jouleforge.converters.export import export
from jouleforge.converters.parity import Answer, Bound
from jouleforge.converters.targets import ort
from jouleforge.engine import Audit, CheckpointRef, Engine, Manifest, ParityStage, TensorSpec
from jouleforge.errors import InputError
from jouleforge.modeling import load_model
from jouleforge.recipe import Recipe

# Fields of a recipe whose values a target offers.
_CHOSEN = ("flavour", "attention", "provider", "rest", "quantizer")

_log = logging.getLogger(__name__)


def convert(
    checkpoint: Checkpoint | str | Path,
    recipe: Recipe,
    out: str | Path,
    *,
    force: bool = False,
    allow_pickle: bool = False,
) -> Engine:
    """Convert a checkpoint into an engine folder, and return it.

    Args:
        checkpoint: A folder, the name of one under `$JOULEFORGE_DATA/checkpoints`, or a hub id.
        recipe: What to make of it; `"auto"` choices are made by the target.
        out: Folder of the engine. It appears when everything has passed, or not at all.
        force: Replace an engine that is there.
        allow_pickle: Read weights from a pickle, which can run any code, where there is no other.

    Raises:
        InputError: The checkpoint or the recipe cannot be used, or `out` exists.
        MissingError: A package is not installed.
        GateError: The engine would not answer as the checkpoint does; nothing was written.
    """
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = Checkpoint.load(checkpoint)
    target = variants.load("jouleforge.converters.targets", recipe.target)
    recipe = _resolved(recipe, target, checkpoint)
    with engine.writing(Path(out), force=force) as folder:
        check, found = _write(checkpoint, target, recipe, folder, allow_pickle=allow_pickle)
        _log.info("checking what was written")
        check("the engine", target.answer(folder, recipe), _bound(recipe))
        manifest = _manifest(checkpoint, recipe, check, found, folder)
        engine.write_manifest(folder, manifest)
    return Engine.open(out)


class _Check:
    """Compares answers with the module's own on the same inputs, and keeps the record."""

    def __init__(
        self, model: PreTrainedModel, checkpoint: Checkpoint, recipe: Recipe, reader: Tokenizer
    ) -> None:
        self.inputs: tuple[str, ...] = ("input_ids", "attention_mask")
        if checkpoint.has_token_types:
            self.inputs += ("token_type_ids",)
        self.layers = checkpoint.layers
        self.reference = _reference(checkpoint, model)
        self.stages: list[ParityStage] = []
        self._kind = checkpoint.kind
        self._cases = parity.make_cases(
            reader, self.inputs, max_length=recipe.max_length, pad_id=checkpoint.pad_id
        )
        self._expected = [parity.module_logits(model, case) for case in self._cases]

    def __call__(self, name: str, answer: Answer, bound: Bound) -> None:
        self.stages.append(
            parity.check(
                name,
                answer,
                cases=self._cases,
                expected=self._expected,
                bound=bound,
                kind=self._kind,
            )
        )


def _bound(recipe: Recipe) -> Bound:
    return parity.EXACT if recipe.precision == "fp32" else parity.QUANTIZED


def _write(
    checkpoint: Checkpoint,
    target: ModuleType,
    recipe: Recipe,
    folder: Path,
    *,
    allow_pickle: bool,
) -> tuple[_Check, Audit]:
    """Write the engine's own files; return what knows the checkpoint's answers, and the audit.

    No weights outlive their use: a model, its graph and a session are each as large as all weights.
    """
    _log.info("reading %s", checkpoint.name)
    model = load_model(checkpoint, attention="eager", allow_pickle=allow_pickle)
    check = _Check(model, checkpoint, recipe, tokenizer.store(checkpoint, folder))
    if target.SOURCE == "module":
        target.write(model, recipe, folder)
        return check, audit.audit_module(recipe.attention, layers=check.layers)
    _log.info("exporting a %s graph", recipe.flavour)
    assert recipe.flavour in ("plain", "fused"), "a graph target has resolved it"
    graph = export(model, flavour=recipe.flavour, inputs=check.inputs, max_length=recipe.max_length)
    del model
    gc.collect()  # what the exporter leaves behind refers to itself, and holds the module's weights
    # A float32 engine of ONNX Runtime is the exported graph, and is checked as the engine.
    if (recipe.target, recipe.precision) != ("ort", "fp32"):
        exported = folder / "exported.onnx"
        storage.save(graph, exported)
        del graph
        check("the exported graph", ort.answer_file(exported), parity.EXACT)
        graph = onnx.load(exported)
        exported.unlink()
    if recipe.precision == "int8-dynamic":
        _log.info("quantising to INT8")
        graph = precision.quantize_dynamic(graph)
        gc.collect()  # the nodes of the first graph know each other, and hold its weights
    target.write(graph, recipe, folder)
    return check, audit.audit_graph(graph, recipe, layers=check.layers)


def _manifest(
    checkpoint: Checkpoint,
    recipe: Recipe,
    check: _Check,
    found: Audit,
    folder: Path,
) -> Manifest:
    labels = len(checkpoint.labels)
    return Manifest(
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        recipe=recipe,
        checkpoint=check.reference,
        inputs=tuple(
            TensorSpec(name=name, dtype="int64", shape=("batch", "sequence"))
            for name in check.inputs
        ),
        outputs=(TensorSpec(name="logits", dtype="float32", shape=("batch", labels)),),
        max_length=recipe.max_length,
        pad_id=checkpoint.pad_id,
        parity=tuple(check.stages),
        audit=found,
        built_on=environment.capture(),
        files=engine.file_digests(folder),
    )


def _resolved(recipe: Recipe, target: ModuleType, checkpoint: Checkpoint) -> Recipe:
    """Return the recipe with the target's defaults for `auto`, after checking every choice."""
    if recipe.precision not in target.PRECISIONS:
        raise InputError(
            f"the target {recipe.target} has no precision {recipe.precision!r}; it offers "
            f"{', '.join(target.PRECISIONS)}"
        )
    offered = target.choices(recipe.precision)
    chosen = {field: _choice(recipe, field, offered.get(field, ())) for field in _CHOSEN}
    if recipe.max_length > checkpoint.max_length:
        raise InputError(
            f"max_length {recipe.max_length} is more than the {checkpoint.max_length} tokens "
            f"{checkpoint.name} was trained for"
        )
    chosen["max_length"] = recipe.max_length or checkpoint.max_length
    resolved = Recipe.model_validate({**recipe.model_dump(), **chosen})
    if reason := target.refusal(resolved):
        raise InputError(reason)
    return resolved


def _choice(recipe: Recipe, field: str, offered: Sequence[str]) -> Any:
    asked = getattr(recipe, field)
    if asked in ("auto", "none"):
        return offered[0] if offered else "none"
    if asked not in offered:
        choices = ", ".join(offered) or "nothing: it has no such choice"
        raise InputError(
            f"the target {recipe.target} with precision {recipe.precision} has no {field} "
            f"{asked!r}; it offers {choices}"
        )
    return asked


def _reference(checkpoint: Checkpoint, model: PreTrainedModel) -> CheckpointRef:
    return CheckpointRef(
        name=checkpoint.name,
        digest=checkpoint.digest,
        family=checkpoint.family,
        head=checkpoint.head,
        kind=checkpoint.kind,
        labels=checkpoint.labels,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
    )
