"""Adoption: an ONNX folder that somebody else made becomes an engine, its graph untouched.

Folders as optimum-onnx's `ORTModel.save_pretrained` and `ORTQuantizer` write them hold a graph, a
`config.json` and a tokenizer. They are measured as our own engines are, and say whose they are.
"""

import logging
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from jouleforge import digest, engine, environment
from jouleforge.caveats import ALLOWABLE, Caveat
from jouleforge.checkpoint import Checkpoint
from jouleforge.converters import audit, foreign, parity, tokenizer
from jouleforge.converters.parity import Answer, Inputs
from jouleforge.converters.targets import ort
from jouleforge.engine import CheckpointRef, Engine, Manifest
from jouleforge.errors import GateError, InputError
from jouleforge.modeling import load_model
from jouleforge.origin import Origin
from jouleforge.proof import Audit, ParityStage
from jouleforge.recipe import Recipe

_log = logging.getLogger(__name__)

_TOKEN_TYPES = "token_type_ids"


def adopt(
    folder: str | Path,
    out: str | Path,
    *,
    file: str = "",
    name: str = "",
    checkpoint: str | Path | None = None,
    force: bool = False,
    allow_pickle: bool = False,
) -> Engine:
    """Make an engine of an ONNX folder that somebody else made, and return it.

    The graph is copied as it is, weights in files of their own included; its inputs and its
    precision are read from it. Measurements carry a caveat that says so.

    Args:
        folder: Holds the graph, `config.json` and the tokenizer's files.
        out: Folder of the engine. It appears when everything has passed, or not at all.
        file: The graph's file inside the folder; it may be left out where there is only one.
        name: What tables call the engine; the default is the folder's name.
        checkpoint: What the graph was made from; its answers are compared with it.
        force: Replace an engine that is there.
        allow_pickle: Read the checkpoint's weights from a pickle where there is no other.

    Raises:
        InputError: The folder or the graph cannot be used, or is of another checkpoint.
        MissingError: A package is not installed.
        GateError: The graph does not run, or does not answer as the checkpoint does; nothing was
            written.
    """
    given = _Given.read(Path(folder), file, checkpoint)
    model = None
    if given.source is not None:
        model = load_model(given.source, attention="eager", allow_pickle=allow_pickle)
    with engine.writing(Path(out), force=force) as fresh:
        _copy(given, fresh)
        recipe = _recipe(given)
        reader = tokenizer.store(given.described, fresh)
        _log.info("checking what was found")
        stages = _check(given, model, reader, ort.answer(fresh, recipe), fresh)
        found = _audit(given, recipe, reader, fresh)
        manifest = _manifest(given, recipe, stages, fresh, name=name, model=model, found=found)
        engine.write_manifest(fresh, manifest)
    return Engine.open(out)


@dataclass(frozen=True, slots=True)
class _Given:
    """What was given, read and found to speak of one and the same model."""

    root: Path
    graph: Path
    described: Checkpoint
    """The folder's own configuration."""
    source: Checkpoint | None
    found: foreign.Found

    @classmethod
    def read(cls, root: Path, file: str, checkpoint: str | Path | None) -> "_Given":
        if not root.is_dir():
            raise InputError(f"no folder {root}: expected one with model.onnx and config.json")
        graph = _graph_file(root, file)
        described = Checkpoint.load(root, needs_weights=False)
        source = None if checkpoint is None else Checkpoint.load(checkpoint)
        found = foreign.read(graph, labels=len(described.labels))
        _check_described(graph, found, described, source)
        return cls(root, graph, described, source, found)

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(spec.name for spec in self.found.inputs)


def _graph_file(root: Path, file: str) -> Path:
    """Return the graph, which must be in the folder and not only be linked there."""
    if file:
        chosen = root / file
    else:
        names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.onnx"))
        if len(names) != 1:
            listed = ", ".join(names) or "none"
            raise InputError(f"{root}: expected one .onnx file, found {listed}; name it (--file)")
        chosen = root / names[0]
    return _inside(root, chosen)


def _inside(root: Path, file: Path) -> Path:
    if not file.is_file() or not file.resolve().is_relative_to(root.resolve()):
        raise InputError(f"{file} is missing, or is not inside {root}")
    return file


def _check_described(
    graph: Path, found: foreign.Found, described: Checkpoint, source: Checkpoint | None
) -> None:
    """Raise unless graph, configuration and checkpoint speak of the same model."""
    names = {spec.name for spec in found.inputs}
    if described.has_token_types and _TOKEN_TYPES not in names:
        raise InputError(
            f"{graph} has no input {_TOKEN_TYPES}, which {described.head} reads: pairs of texts "
            "would be answered as one text. Export it again with that input"
        )
    if source is None:
        return
    for what in ("family", "head", "labels", "layers", "max_length", "pad_id"):
        own, its = getattr(described, what), getattr(source, what)
        if own != its:
            raise InputError(
                f"{graph.parent} is no export of {source.name}: its {what} is {own}, the "
                f"checkpoint's {its}"
            )


def _copy(given: _Given, fresh: Path) -> None:
    """Copy the graph under the runner's name, and its weights under the names it calls them by."""
    shutil.copyfile(given.graph, fresh / engine.GRAPH)
    for name in given.found.data_files:
        if name in (engine.GRAPH, engine.MANIFEST, "tokenizer"):
            raise InputError(
                f"{given.graph} keeps weights in {name!r}, a name the engine itself uses"
            )
        shutil.copyfile(_inside(given.root, given.graph.parent / name), fresh / name)


def _recipe(given: _Given) -> Recipe:
    """Return what was found, in the words of a recipe; `none` is what nobody chose here."""
    return Recipe(
        target="ort",
        precision=given.found.precision,
        rest="none",
        flavour="none",
        attention="none",
        provider="cpu",
        quantizer="none",
        max_length=given.described.max_length,
    )


def _check(
    given: _Given,
    model: PreTrainedModel | None,
    reader: Tokenizer,
    answer: Answer,
    fresh: Path,
) -> tuple[ParityStage, ...]:
    """Check what can be: that the graph runs and, given a checkpoint, that it answers alike."""
    cases = _cases(given.described, reader, given.inputs)
    _check_sound(answer, cases, len(given.described.labels))
    if given.source is None or model is None:
        return ()
    _check_tokenizer(given, given.source, cases)
    name = "the adopted graph"
    if given.found.mask_is_lengths:
        cases = [case for case in cases if _is_right_padded(case)]
        name += ", padded on the right"
    expected = [parity.module_logits(model, case) for case in cases]
    parity.store(fresh / engine.PARITY, cases, expected)
    stage = parity.check(
        name,
        answer,
        cases=cases,
        expected=expected,
        bound=parity.EXACT if given.found.precision == "fp32" else parity.QUANTIZED,
        kind=given.source.kind,
    )
    return (stage,)


def _audit(given: _Given, recipe: Recipe, reader: Tokenizer, fresh: Path) -> Audit:
    """Return what the graph executes; nobody asked for anything, so all of it is allowed."""
    case = _cases(given.described, reader, given.inputs)[0]
    asked = recipe.model_copy(update={"allow": ALLOWABLE})
    return audit.judge(ort.evidence(fresh, recipe, case), asked, layers=given.described.layers)


def _cases(checkpoint: Checkpoint, reader: Tokenizer, inputs: tuple[str, ...]) -> list[Inputs]:
    return parity.make_cases(
        reader, inputs, max_length=checkpoint.max_length, pad_id=checkpoint.pad_id
    )


def _is_right_padded(case: Inputs) -> bool:
    return bool(np.all(np.diff(case["attention_mask"], axis=1) <= 0))


def _check_sound(answer: Answer, cases: list[Inputs], labels: int) -> None:
    for case in cases:
        logits, shape = answer(case), case["input_ids"].shape
        if logits.shape != (shape[0], labels) or not np.isfinite(logits).all():
            raise GateError(
                f"the graph answers inputs of shape {shape} with logits of shape {logits.shape}, "
                f"or with NaN; expected finite ones of shape {(shape[0], labels)}. No engine was "
                "written."
            )


def _check_tokenizer(given: _Given, source: Checkpoint, cases: list[Inputs]) -> None:
    """Raise unless the checkpoint's own tokenizer gives the same tokens."""
    with tempfile.TemporaryDirectory() as scratch:
        own = _cases(source, tokenizer.store(source, Path(scratch)), given.inputs)
    pairs = zip(own, cases, strict=True)
    if not all(np.array_equal(one["input_ids"], other["input_ids"]) for one, other in pairs):
        raise InputError(
            f"the tokenizer of {given.root} and that of {source.name} read the same text "
            "differently; take both from the same checkpoint"
        )


def _manifest(
    given: _Given,
    recipe: Recipe,
    stages: tuple[ParityStage, ...],
    fresh: Path,
    *,
    name: str,
    model: PreTrainedModel | None,
    found: Audit,
) -> Manifest:
    described = given.described
    return Manifest(
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        origin=_origin(given, name, checked=bool(stages)),
        recipe=recipe,
        checkpoint=_reference(given, model, fresh),
        inputs=given.found.inputs,
        outputs=given.found.outputs,
        max_length=described.max_length,
        pad_id=described.pad_id,
        parity=stages,
        gate=None,
        calibration=None,
        audit=found,
        built_on=environment.capture(),
        files=engine.file_digests(fresh),
    )


def _origin(given: _Given, name: str, *, checked: bool) -> Origin:
    caveats = [Caveat.ADOPTED]
    caveats += [] if checked else [Caveat.PARITY_UNCHECKED]
    caveats += [Caveat.RIGHT_PADDING_ONLY] if given.found.mask_is_lengths else []
    return Origin(
        name=name or given.root.resolve().name,
        file=given.graph.relative_to(given.root).as_posix(),
        producer=given.found.producer,
        caveats=tuple(caveats),
    )


def _reference(given: _Given, model: PreTrainedModel | None, fresh: Path) -> CheckpointRef:
    """Return the checkpoint; where it is not known, the folder stands for it."""
    known, count = given.source, given.found.parameters
    if model is not None:
        count = sum(parameter.numel() for parameter in model.parameters())
    files = [file for file in fresh.rglob("*") if file.is_file()]
    return CheckpointRef(
        name=(known or given.described).name,
        digest=known.digest if known else digest.of_files(files, root=fresh),
        family=given.described.family,
        head=given.described.head,
        kind=given.described.kind,
        labels=given.described.labels,
        parameters=count,
    )
