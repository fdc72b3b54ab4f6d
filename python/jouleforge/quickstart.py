"""Quickstart: the whole line once, on an embedded default or on the user's own checkpoint."""

import logging
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from jouleforge import environment, synthetic
from jouleforge.checkpoint import Checkpoint
from jouleforge.comparison import compare
from jouleforge.errors import InputError
from jouleforge.reports import write_report
from jouleforge.schedule import Schedule
from jouleforge.studies import Progress, StudyResult, run_study
from jouleforge.study_file import Cell, Study
from jouleforge.task import Task

_log = logging.getLogger(__name__)

_STATIC_LENGTHS = (32, 64, 128, 256, 512)
# Of a data set of any size, this many examples give every engine some passes within minutes.
_OWN_EXAMPLES = 256
_REPEATS = 3
_SCHEDULE = Schedule(warmup_s=0.5, longest_warmup_s=5.0, duration_s=3.0, idle_s=3.0)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a quickstart will measure, and where its results go."""

    study: Study
    folder: Path
    report: Path


def prepare(out: Path, *, checkpoint: str = "", task: str = "", threads: int = 0) -> Plan:
    """Return the plan; makes the synthetic corpus and trains its model if no checkpoint is given.

    Args:
        out: Folder of everything that is written.
        checkpoint: The user's own; empty trains the embedded default.
        task: Its task; given if and only if the checkpoint is.
        threads: Threads of the runtimes; 0 is all usable processors.

    Raises:
        InputError: Only one of checkpoint and task is given, or one cannot be used.
    """
    if bool(checkpoint) != bool(task):
        raise InputError("--checkpoint and --task belong together: give both, or neither")
    out.mkdir(parents=True, exist_ok=True)
    limit = None
    if not checkpoint:
        task = str(synthetic.write_corpus(out / "corpus"))
        checkpoint = str(_trained(out / "checkpoint", out / "corpus"))
    else:
        limit = _OWN_EXAMPLES
    length = _static_length(Checkpoint.load(checkpoint), Task.load(task), limit)
    study = Study(
        name="quickstart",
        checkpoint=checkpoint,
        task=task,
        limit=limit,
        threads=threads or len(environment.usable_cpus()),
        repeats=_REPEATS,
        quick=True,
        schedule=_SCHEDULE,
        cells=(
            Cell(target="pytorch", attention="eager", padding=f"static:{length}"),
            Cell(target="pytorch", attention="sdpa", padding="sorted"),
            Cell(target="ort", precision="fp32", padding="sorted"),
            Cell(target="ort", precision="int8-dynamic", padding="sorted"),
        ),
    )
    return Plan(study=study, folder=out, report=out / "report.html")


def run(
    plan: Plan, *, on_progress: Callable[[Progress], None], allow_pickle: bool = False
) -> StudyResult:
    """Convert, measure and write the report; return what was found.

    Raises:
        InputError: Nothing could be measured; says why.
    """
    result = run_study(
        plan.study, plan.folder / "study", on_progress=on_progress, allow_pickle=allow_pickle
    )
    if not result.measurements:
        raise InputError(f"nothing could be measured: {result.failures[0].reason}")
    write_report(compare(result.measurements), "html", plan.report)
    return result


def _trained(checkpoint: Path, corpus: Path) -> Path:
    """Return the folder of the embedded model, trained now if it is not there."""
    if checkpoint.is_dir():
        return checkpoint
    from jouleforge.tiny_bert import train_tiny_bert

    _log.info("training a small BERT on synthetic text (about a minute)")
    with tempfile.TemporaryDirectory(dir=checkpoint.parent) as scratch:
        fresh = Path(scratch) / "checkpoint"
        summary = train_tiny_bert(
            synthetic.read_rows(corpus / "train.tsv"),
            synthetic.read_rows(corpus / "test.tsv"),
            Task.load(corpus / "task.toml").labels,
            fresh,
            threads=len(environment.usable_cpus()),
            progress=_log.info,
        )
        shutil.move(fresh, checkpoint)
    _log.info(
        "trained on %d synthetic texts in %.0f s: accuracy %.3f on %d others",
        summary.train_rows, summary.duration_s, summary.accuracy, summary.test_rows,
    )  # fmt: skip
    return checkpoint


def _static_length(checkpoint: Checkpoint, task: Task, limit: int | None) -> int:
    """Return the usual static padding length that holds the task's longest text."""
    file = checkpoint.path / "tokenizer.json"
    fitting = [length for length in _STATIC_LENGTHS if length <= checkpoint.max_length]
    if not file.is_file() or not fitting:
        return fitting[-1] if fitting else checkpoint.max_length
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    texts = task.examples("test", limit=limit).tokenizer_inputs
    longest = max(len(encoding.ids) for encoding in tokenizer.encode_batch(texts))
    # Never below 128: the baseline is what most people run, padding to 128 at least.
    return next((length for length in fitting if length >= max(longest, 128)), fitting[-1])
