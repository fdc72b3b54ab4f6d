"""Conversion: one checkpoint on its way to one engine, step by step."""

import gc
import logging
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Optional

import onnx
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from jouleforge import engine, environment
from jouleforge.caveats import Caveat
from jouleforge.checkpoint import Checkpoint
from jouleforge.converters import (
    audit,
    calibration,
    finite,
    interpreter,
    parity,
    precision,
    storage,
    targets,
    tokenizer,
)
from jouleforge.converters.calibration import Rows
from jouleforge.converters.explanation import locate
from jouleforge.converters.export import export
from jouleforge.converters.parity import Answer, Bound, Inputs
from jouleforge.engine import CheckpointRef, Manifest, TensorSpec
from jouleforge.errors import GateError
from jouleforge.modeling import load_model
from jouleforge.proof import Audit, CalibrationRecord, Gate, ParityStage
from jouleforge.recipe import Recipe

# Only a conversion for a task loads what judges it: SciPy's statistics, scikit-learn, pandas.
if TYPE_CHECKING:
    from jouleforge.converters.gate import Judge

# Share of calibration rows that may repeat another's text.
_FEW_DUPLICATES = 0.1

_log = logging.getLogger(__name__)


@dataclass
class Conversion:
    """One conversion while it runs: what is known so far, and where it is written."""

    checkpoint: Checkpoint
    asked: Recipe
    recipe: Recipe
    """As asked, but for what a search has chosen."""
    target: ModuleType
    folder: Path
    model: PreTrainedModel | None
    """The float32 module, until its weights are in the engine."""
    reference: CheckpointRef
    reader: Tokenizer
    inputs: tuple[str, ...]
    judge: Optional["Judge"]
    task: str | None
    stages: list[ParityStage] = field(default_factory=list)
    calibration: CalibrationRecord | None = None
    allowed: dict[Caveat, str] = field(default_factory=dict)
    exported: Path | None = None
    """File of the float32 graph."""

    @classmethod
    def begin(
        cls,
        checkpoint: Checkpoint,
        recipe: Recipe,
        target: ModuleType,
        folder: Path,
        *,
        task: str | None,
        allow_pickle: bool,
    ) -> "Conversion":
        """Load the module, and have it answer all that the engine will be asked."""
        _log.info("reading %s", checkpoint.name)
        model = load_model(checkpoint, attention="eager", allow_pickle=allow_pickle)
        finite.require_finite_weights(model, checkpoint.name)
        reader = tokenizer.store(checkpoint, folder)
        names = ("input_ids", "attention_mask") + ("token_type_ids",) * checkpoint.has_token_types
        cases = parity.make_cases(
            reader, names, max_length=recipe.max_length, pad_id=checkpoint.pad_id
        )
        expected = [parity.module_logits(model, case) for case in cases]
        parity.store(folder / engine.PARITY, cases, expected)
        judge = None
        if task is not None:
            from jouleforge.converters.gate import Judge

            judge = Judge(
                model,
                checkpoint,
                task,
                reader=reader,
                inputs=names,
                max_length=recipe.max_length,
                rows=recipe.selection_rows,
            )
        reference = CheckpointRef.of(checkpoint, parameters=model.num_parameters())
        return cls(
            checkpoint, recipe, recipe, target, folder, model, reference, reader, names, judge, task
        )

    def write(self) -> None:
        """Write the engine's own files.

        No weights outlive their use: the module, its graph and a session are each as large.
        """
        model, self.model = self.model, None
        assert model is not None, "an engine is written once"
        if self.target.SOURCE == "module":
            self.target.write(model, self.recipe, self.folder)
            return
        _log.info("exporting a %s graph", self.recipe.flavour)
        assert self.recipe.flavour in ("plain", "fused"), "a graph target has resolved it"
        graph = export(
            model,
            flavour=self.recipe.flavour,
            inputs=self.inputs,
            max_length=self.recipe.max_length,
            fuse_residuals=self.recipe.provider == "cuda",
            narrow=self.target.narrows(self.recipe),
        )
        del model
        gc.collect()  # what the exporter leaves behind refers to itself, and holds the weights
        # A float32 engine of ONNX Runtime is the exported graph, and is checked as the engine.
        if (self.recipe.target, self.recipe.precision) != ("ort", "fp32"):
            self.exported = self.folder.parent / "exported.onnx"
            storage.save(graph, self.exported)
            del graph
            self._check("the exported graph", interpreter.answer(self.exported), parity.EXACT)
            graph = onnx.load(self.exported)
        self.target.write(self._in_precision(graph), self.recipe, self.folder)
        gc.collect()  # the nodes of an edited graph know each other

    def proved(self) -> Manifest:
        """Return the manifest, after every check of what was written.

        Raises:
            GateError: A check failed.
        """
        _log.info("checking what was written")
        opened = targets.watched(self.target, self.folder, self.recipe)
        self._check("the engine", opened, parity.bound(self.recipe))
        scores = self._gate(opened)
        found = audit.judge(opened.evidence(), self.recipe, layers=self.checkpoint.layers)
        return self._manifest(scores, found)

    def _cases(self) -> list[Inputs]:
        return parity.load(self.folder / engine.PARITY)[0]

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
            return self._typed(self._calibrated(graph))
        typed = self._typed(graph)
        if self.recipe.precision == "fp16" and self.target.TYPED:
            rows = self._cases() if self.task is None else self._rows().batches
            finite.require_no_overflow(typed, rows)
        return typed

    def _typed(self, graph: onnx.ModelProto) -> onnx.ModelProto:
        """Return the graph in the float precision that is asked for, if its types decide that."""
        wanted = self.recipe.float_precision
        if wanted == "fp32" or not self.target.TYPED:
            return graph
        return precision.to_float(graph, wanted)

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
            self.calibration = rows.record({}, ())
            return nncf_quantizer.quantize(graph, rows.batches)
        from jouleforge.converters import search  # judges candidates

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
        self.calibration = rows.record(found.smoothed, found.candidates)
        return found.graph

    def _candidate(self, graph: onnx.ModelProto) -> Answer:
        """Build an engine that is only tried."""
        folder = self.folder.parent / "candidate"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self.target.write(self._typed(graph), self.recipe, folder)
        answer: Answer = self.target.answer(folder, self.recipe)
        return answer

    def _gate(self, answer: Answer) -> Gate | None:
        if self.judge is None:
            return None
        from jouleforge.converters import gate

        scores = self.judge.score(answer)
        if not gate.passes(scores, self.recipe):
            raise gate.failure(self.judge, scores, self.asked, answer, self._where())
        return self.judge.record(scores)

    def _where(self) -> str:
        """Return where the values part, for the message of a failed gate."""
        if self.exported is None or self.recipe.flavour != "plain" or self.judge is None:
            return ""
        return locate(
            onnx.load(self.exported),
            lambda names: self.target.watch(self.folder, self.recipe, names),
            self.judge.sample.batches[0].inputs,
            self.recipe,
        ).sentence

    def _manifest(self, scores: Gate | None, found: Audit) -> Manifest:
        labels = len(self.checkpoint.labels)
        return Manifest(
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            recipe=self.recipe,
            checkpoint=self.reference,
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
