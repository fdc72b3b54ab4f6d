"""Converters: from a fine-tuned checkpoint to an engine that was proved to answer like it."""

import errno
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from jouleforge import engine, environment, variants
from jouleforge.caveats import Caveat
from jouleforge.checkpoint import Checkpoint
from jouleforge.converters import (
    audit,
    calibration,
    finite,
    gate,
    interpreter,
    parity,
    precision,
    search,
    tokenizer,
)
from jouleforge.converters.calibration import Rows
from jouleforge.converters.explanation import locate
from jouleforge.converters.export import export
from jouleforge.converters.gate import Judge
from jouleforge.converters.parity import Answer, Bound, Inputs
from jouleforge.engine import CheckpointRef, Engine, Manifest, TensorSpec
from jouleforge.errors import GateError, InputError, MissingError
from jouleforge.modeling import load_model
from jouleforge.proof import Audit, CalibrationRecord, Candidate, Gate, ParityStage
from jouleforge.recipe import Recipe

# Fields of a recipe whose values a target offers.
_CHOSEN = ("flavour", "attention", "provider", "rest", "quantizer")
# Share of calibration rows that may repeat another's text.
_FEW_DUPLICATES = 0.1

_log = logging.getLogger(__name__)


def convert(
    checkpoint: Checkpoint | str | Path,
    recipe: Recipe,
    out: str | Path,
    *,
    task: str | None = None,
    force: bool = False,
    allow_pickle: bool = False,
) -> Engine:
    """Convert a checkpoint into an engine folder, and return it.

    Args:
        checkpoint: A folder, the name of one under `$JOULEFORGE_DATA/checkpoints`, or a hub id.
        recipe: What to make of it; `"auto"` choices are made by the target or by the search.
        out: Folder of the engine. It appears when everything has passed, or not at all.
        task: Shipped task or task file: calibration rows come from it, and the engine must keep its
            metric. Without one the engine's accuracy is not checked, which is a caveat.
        force: Replace an engine that is there.
        allow_pickle: Read weights from a pickle, which can run any code, where there is no other.

    Raises:
        InputError: The checkpoint, the recipe or the task cannot be used, or `out` exists.
        MissingError: A package is not installed, or the disk is full.
        GateError: The engine would not answer as the checkpoint does, or would not run as the
            recipe says; nothing was written.
    """
    if not isinstance(checkpoint, Checkpoint):
        checkpoint = Checkpoint.load(checkpoint)
    target = variants.load("jouleforge.converters.targets", recipe.target)
    recipe = _resolved(recipe, target, checkpoint)
    if recipe.is_calibrated and task is None:
        raise InputError(
            f"{recipe.precision} needs calibration rows: name the task the checkpoint was "
            "fine-tuned for (--task)"
        )
    try:
        with engine.writing(Path(out), force=force) as folder:
            work = _Conversion.begin(checkpoint, recipe, target, folder, task, allow_pickle)
            work.write()
            engine.write_manifest(folder, work.proved())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise MissingError(
            f"the disk of {Path(out).absolute().parent} is full; make room (the engine takes about "
            "as much as the checkpoint, twice while it is made). No engine was written."
        ) from error
    return Engine.open(out)


@dataclass
class _Conversion:
    """One conversion while it runs: what is known so far, and where it is written."""

    checkpoint: Checkpoint
    recipe: Recipe
    target: ModuleType
    folder: Path
    model: PreTrainedModel
    reader: Tokenizer
    inputs: tuple[str, ...]
    cases: list[Inputs]
    judge: Judge | None
    task: str | None
    stages: list[ParityStage] = field(default_factory=list)
    calibration: CalibrationRecord | None = None
    allowed: dict[Caveat, str] = field(default_factory=dict)
    exported: onnx.ModelProto | None = None

    @classmethod
    def begin(
        cls,
        checkpoint: Checkpoint,
        recipe: Recipe,
        target: ModuleType,
        folder: Path,
        task: str | None,
        allow_pickle: bool,
    ) -> "_Conversion":
        """Load the module, and have it answer what the engine will be asked."""
        _log.info("reading %s", checkpoint.name)
        model = load_model(checkpoint, attention="eager", allow_pickle=allow_pickle)
        finite.require_finite_weights(model, checkpoint.name)
        reader = tokenizer.store(checkpoint, folder)
        names = ("input_ids", "attention_mask") + ("token_type_ids",) * checkpoint.has_token_types
        cases = parity.make_cases(
            reader, names, max_length=recipe.max_length, pad_id=checkpoint.pad_id
        )
        judge = None
        if task is not None:
            judge = Judge(
                model,
                checkpoint,
                task,
                reader=reader,
                inputs=names,
                max_length=recipe.max_length,
                rows=recipe.selection_rows,
            )
        expected = [parity.module_logits(model, case) for case in cases]
        parity.store(folder / engine.PARITY, cases, expected)
        return cls(checkpoint, recipe, target, folder, model, reader, names, cases, judge, task)

    def write(self) -> None:
        """Write the engine's own files."""
        if self.target.SOURCE == "module":
            self.target.write(self.model, self.recipe, self.folder)
            return
        _log.info("exporting a %s graph", self.recipe.flavour)
        assert self.recipe.flavour in ("plain", "fused"), "a graph target has resolved it"
        graph = export(
            self.model,
            flavour=self.recipe.flavour,
            inputs=self.inputs,
            max_length=self.recipe.max_length,
        )
        self._check("the exported graph", interpreter.answer(graph), parity.EXACT)
        if self.recipe.flavour == "plain":
            self.exported = graph
        self.target.write(self._in_precision(graph), self.recipe, self.folder)

    def proved(self) -> Manifest:
        """Return the manifest, after every check of what was written.

        Raises:
            GateError: A check failed.
        """
        _log.info("checking what was written")
        answer = self.target.answer(self.folder, self.recipe)
        self._check("the engine", answer, parity.bound(self.recipe))
        scores = self._gate(answer)
        found = audit.judge(
            self.target.evidence(self.folder, self.recipe, self.cases[0]),
            self.recipe,
            layers=self.checkpoint.layers,
        )
        return self._manifest(scores, found)

    def _check(self, name: str, answer: Answer, bound: Bound) -> None:
        cases, expected = parity.load(self.folder / engine.PARITY)
        self.stages.append(
            parity.check(
                name, answer, cases=cases, expected=expected, bound=bound, kind=self.checkpoint.kind
            )
        )

    def _in_precision(self, graph: onnx.ModelProto) -> onnx.ModelProto:
        if self.recipe.precision == "int8-dynamic":
            _log.info("quantising to INT8")
            return precision.quantize_dynamic(graph)
        if self.recipe.is_calibrated:
            graph = self._calibrated(graph)
        return self._typed(graph, check=True)

    def _typed(self, graph: onnx.ModelProto, *, check: bool) -> onnx.ModelProto:
        """Return the graph in the float precision that is asked for, if its types decide that."""
        wanted = self.recipe.rest if self.recipe.is_calibrated else self.recipe.precision
        if wanted not in ("fp16", "bf16") or not self.target.TYPED:
            return graph
        typed = precision.to_float(graph, wanted)
        if wanted == "fp16" and check and self.recipe.precision == "fp16":
            rows = self.cases if self.task is None else self._rows().batches
            finite.require_no_overflow(typed, rows)
        return typed

    def _rows(self) -> Rows:
        assert self.task is not None
        rows = calibration.draw(
            self.task,
            count=self.recipe.calibration_rows,
            seed=self.recipe.calibration_seed,
            tokenizer=self.reader,
            inputs=self.inputs,
            max_length=self.recipe.max_length,
            pad_id=self.checkpoint.pad_id,
        )
        if rows.duplicates > _FEW_DUPLICATES * rows.count:
            text = (
                f"{rows.duplicates} of {rows.count} calibration rows repeat the text of another; "
                "the ranges would be those of a few texts"
            )
            if Caveat.DUPLICATE_ROWS not in self.recipe.allow:
                raise GateError(
                    f"{text}. Remove the duplicates from {rows.source}, or pass --allow "
                    f"{Caveat.DUPLICATE_ROWS}. No engine was written."
                )
            self.allowed[Caveat.DUPLICATE_ROWS] = text
        return rows

    def _calibrated(self, graph: onnx.ModelProto) -> onnx.ModelProto:
        assert self.judge is not None, "a calibrated engine has a task"
        rows = self._rows()
        if self.recipe.quantizer == "nncf":
            from jouleforge.converters import nncf_quantizer  # a package of its own

            _log.info("quantising with NNCF")
            self.calibration = _record(rows, {}, ())
            return nncf_quantizer.quantize(graph, rows.batches)
        found = search.quantize(
            graph,
            self.recipe,
            rows,
            self.judge,
            profile=self.target.profile(self.recipe),
            build=self._candidate,
        )
        self.recipe = self.recipe.model_copy(
            update={"calibrator": found.calibrator, "keep_float": found.kept_float or "none"}
        )
        self.calibration = _record(rows, found.smoothed, found.candidates)
        return found.graph

    def _candidate(self, graph: onnx.ModelProto) -> Answer:
        """Build an engine that is only tried."""
        folder = self.folder.parent / "candidate"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self.target.write(self._typed(graph, check=False), self.recipe, folder)
        answer: Answer = self.target.answer(folder, self.recipe)
        return answer

    def _gate(self, answer: Answer) -> Gate | None:
        if self.judge is None:
            return None
        scores = self.judge.score(answer)
        if not gate.passes(scores, self.recipe):
            gate.require(self.judge, scores, self.recipe, answer, self._where())
        return self.judge.record(scores)

    def _where(self) -> str:
        """Return where the values part, for the message of a failed gate."""
        if self.exported is None or self.judge is None:
            return ""
        return locate(
            self.exported,
            lambda names: self.target.watch(self.folder, self.recipe, names),
            self.judge.sample.batches[0].inputs,
            self.recipe,
        ).sentence

    def _manifest(self, scores: Gate | None, found: Audit) -> Manifest:
        labels = len(self.checkpoint.labels)
        return Manifest(
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            recipe=self.recipe,
            checkpoint=_reference(self.checkpoint, self.model),
            inputs=tuple(
                TensorSpec(name=name, dtype="int64", shape=("batch", "sequence"))
                for name in self.inputs
            ),
            outputs=(TensorSpec(name="logits", dtype="float32", shape=("batch", labels)),),
            max_length=self.recipe.max_length,
            pad_id=self.checkpoint.pad_id,
            parity=tuple(self.stages),
            gate=scores,
            calibration=self.calibration,
            audit=found.model_copy(update={"allowed": {**found.allowed, **self.allowed}}),
            built_on=environment.capture(),
            files=engine.file_digests(self.folder),
        )


def _record(
    rows: Rows, smoothed: dict[str, float], candidates: tuple[Candidate, ...]
) -> CalibrationRecord:
    return CalibrationRecord(
        task=rows.task,
        source=rows.source,
        rows=rows.count,
        tokens=rows.tokens,
        duplicates=rows.duplicates,
        digest=rows.digest,
        smoothed=smoothed,
        candidates=candidates,
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
