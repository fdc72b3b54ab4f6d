"""Studies: many engines over the same data, in interleaved order, each in a fresh process."""

import fcntl
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import jouleforge
from jouleforge import digest
from jouleforge.caveats import Caveat
from jouleforge.checkpoint import Checkpoint
from jouleforge.engine import Engine
from jouleforge.errors import InputError, JouleforgeError
from jouleforge.files import write_atomic
from jouleforge.jobs import ConvertJob, MeasureJob
from jouleforge.measurement import Block, Measurement, begin_c, read_measurements
from jouleforge.meter_calibration import Calibration
from jouleforge.plan import Step, steps
from jouleforge.recipe import Recipe
from jouleforge.stopping import is_precise
from jouleforge.study_file import Cell, EngineCell, Study
from jouleforge.task import Task

RESULTS = "results.jsonl"
FAILURES = "failures.jsonl"

_NOT_OF_THE_ROWS = {"checkpoint", "task", "cells", "extend", "max_repeats"}
"""Keys of a study that are known by content, or that a finished study may change to go on."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a study is."""

    done: int
    total: int
    text: str
    remaining_s: float | None
    """Time left at the pace so far; `None` before the first measurement."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A step that failed; the study went on without it."""

    what: str
    reason: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class StudyResult:
    """What a study found."""

    path: Path
    """The file of measurements."""
    measurements: list[Measurement]
    failures: list[Failure]


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a study is about, by content: the same wherever its files lie."""

    checkpoint: str
    task: str
    engines: dict[str, str] = field(default_factory=dict)
    """Path of each engine that was made before -> its name and digest."""
    calibration: Calibration | None = None

    @classmethod
    def of(cls, study: Study) -> "_Subject":
        """Read what a study names.

        Raises:
            InputError: The checkpoint, the task, the calibration or an engine cannot be used.
        """
        checkpoint = Checkpoint.load(study.checkpoint).digest
        paths = {cell.engine for cell in study.cells if isinstance(cell, EngineCell)}
        engines = {path: _engine_identity(path, checkpoint) for path in sorted(paths)}
        if len(set(engines.values())) < len(engines):
            raise InputError(f"two of {', '.join(engines)} are the same engine; name it once")
        return cls(
            checkpoint=checkpoint,
            task=Task.load(study.task).digest,
            engines=engines,
            calibration=Calibration.load(study.calibration) if study.calibration else None,
        )

    @property
    def meters(self) -> dict[str, object]:
        """Return what is done to the meters' joules; empty if nothing is."""
        if self.calibration is None:
            return {}
        return {"calibration": self.calibration.model_dump(mode="json")}

    def content(self, cell: Cell | EngineCell) -> dict[str, object]:
        """Return what decides a cell's engine."""
        if isinstance(cell, EngineCell):
            return {"engine": self.engines[cell.engine]}
        return {"recipe": cell.recipe.model_dump()}


def run_study(
    study: Study | str | Path,
    out: str | Path,
    *,
    quick: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
    allow_pickle: bool = False,
) -> StudyResult:
    """Convert and measure every cell of a study; what an earlier run finished is kept.

    Args:
        study: A study or its TOML file.
        out: Folder of the engines, the rows and `results.jsonl`.
        quick: Measure it as one whose file says `quick`.
        on_progress: Called before each step and at the end.
        allow_pickle: Read weights from a pickle where there is nothing else.

    Raises:
        InputError: The study cannot be read, or `out` belongs to another study or to a running one.
        KeyboardInterrupt: It was interrupted; finished rows are kept.
    """
    if not isinstance(study, Study):
        study = Study.load(study)
    study = (study.model_copy(update={"quick": True}) if quick else study).quickened()
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        return _Run(study, folder, on_progress, allow_pickle).all()


class _Run:
    """One go at a study."""

    def __init__(
        self,
        study: Study,
        folder: Path,
        on_progress: Callable[[Progress], None],
        allow_pickle: bool,
    ) -> None:
        self._study = study
        self._folder = folder
        self._on_progress = on_progress
        self._allow_pickle = allow_pickle
        self._checkpoint = Checkpoint.load(study.checkpoint)
        self._subject = _Subject.of(study)
        _claim(folder, study, self._subject)
        self._failures: list[Failure] = []
        self._engines: dict[Cell | EngineCell, Path | None] = {}
        self._rows: dict[Step, Measurement] = {}
        self._done = 0
        self._spent_s: list[float] = []
        (folder / "rows").mkdir(exist_ok=True)
        # What a killed conversion left; the lock says that none is running now.
        for stale in (folder / "engines").glob(".*"):
            shutil.rmtree(stale)

    def all(self) -> StudyResult:
        """Do every step that has no row yet, block by block until the stop rule is content."""
        study = self._study
        blocks = study.repeats
        while any(
            self._row(step).exists() for step in self._plan(blocks + 1)[self._size(blocks) :]
        ):
            blocks += 1  # an earlier run went on so far
        self._measure_missing(blocks)
        while study.extend and blocks < study.max_repeats and not self._is_precise(blocks):
            blocks += 1
            self._measure_missing(blocks)
        plan = self._plan(blocks)
        self._tell(len(plan), "done")
        lines = [json.dumps(asdict(failure)) for failure in self._failures]
        write_atomic(self._folder / FAILURES, "".join(f"{line}\n" for line in lines))
        found = [self._rows[step] for step in plan if step in self._rows]
        return StudyResult(self._folder / RESULTS, found, self._failures)

    def _plan(self, blocks: int) -> list[Step]:
        return steps(self._study, blocks, lambda cell: _key(self._study, cell, self._subject))

    def _size(self, blocks: int) -> int:
        """Return how many steps so many blocks have."""
        return blocks * (len(self._study.cells) + (self._study.twin is not None))

    def _is_precise(self, blocks: int) -> bool:
        """Return whether the rows of these blocks, and no others, are enough."""
        rows = [self._rows[step] for step in self._plan(blocks) if step in self._rows]
        return is_precise(rows, fewest=self._study.repeats)

    def _measure_missing(self, blocks: int) -> None:
        """Do every step of so many blocks that has no row yet."""
        plan = self._plan(blocks)
        missing = [step for step in plan if not self._row(step).exists()]
        self._done = len(plan) - len(missing)
        self._collect(plan)
        measured = {step.key for step in self._rows}
        for step in missing:
            added = step.repeat >= self._study.repeats
            # What failed in all the blocks before is not tried again for the others' sake.
            engine = None if added and step.key not in measured else self._engine(step.cell, plan)
            if engine is not None:
                more = " (added)" if added else ""
                self._tell(len(plan), f"block {step.repeat + 1}{more}: {step.title}")
                self._measure(step, engine)
            self._done += 1
            self._collect(plan)

    def _row(self, step: Step) -> Path:
        return self._folder / "rows" / step.file_name

    def _engine(self, cell: Cell | EngineCell, plan: list[Step]) -> Path | None:
        """Return the cell's engine, converted now if need be; None if that failed."""
        if isinstance(cell, EngineCell):
            return Path(cell.engine)
        if cell not in self._engines:
            path = self._folder / "engines" / _engine_name(cell.recipe, self._checkpoint.digest)
            if not _is_sound(path):
                self._tell(len(plan), f"converting {cell.recipe.name}")
                gated = Task.load(self._study.task).has("selection")
                job = ConvertJob(
                    checkpoint=str(self._checkpoint.path),
                    recipe=cell.recipe,
                    engine=path,
                    task=self._study.task if gated or cell.is_calibrated else None,
                    allow_pickle=self._allow_pickle,
                )
                if not self._do(job, f"convert {cell.recipe.name}"):
                    self._engines[cell] = None
                    return None
            self._engines[cell] = path
        return self._engines[cell]

    def _measure(self, step: Step, engine: Path) -> None:
        started = time.monotonic()
        job = MeasureJob(
            engine=engine,
            workload=self._study.workload(step.cell),
            threads=self._study.threads,
            schedule=self._study.schedule,
            energy=self._study.energy,
            calibration=self._subject.calibration,
            block=Block(
                cell=step.key,
                repeat=step.repeat,
                position=step.position,
                twin=step.twin,
                planned=self._study.repeats,
                most=self._study.most,
            ),
            temperature_c=self._temperature_c(step),
            row=self._row(step),
            arrival_seed=_arrival_seed(self._study, step.repeat),
        )
        self._do(job, f"measure {step.title}, block {step.repeat + 1}")
        self._spent_s.append(time.monotonic() - started)

    def _temperature_c(self, step: Step) -> int | None:
        """Return what the first window of a step's block began at, if it was over a GPU."""
        block = {one.position: row for one, row in self._rows.items() if one.repeat == step.repeat}
        found = [begin_c(row.energy) for _, row in sorted(block.items())]
        return next((celsius for celsius in found if celsius is not None), None)

    def _do(self, job: ConvertJob | MeasureJob, what: str) -> bool:
        """Do a job in a fresh process; return whether it succeeded."""
        file = self._folder / "job.json"
        write_atomic(file, job.model_dump_json())
        command = [sys.executable, "-m", "jouleforge.jobs", str(file), str(os.getpid())]
        ended = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        file.unlink(missing_ok=True)
        if ended.returncode == 130:
            raise KeyboardInterrupt
        if ended.returncode != 0:
            lines = [line for line in ended.stderr.strip().split("\n") if line]
            reason = lines[-1] if lines else f"the process ended with {ended.returncode}"
            self._failures.append(Failure(what, reason, max(1, ended.returncode)))
        return ended.returncode == 0

    def _collect(self, plan: list[Step]) -> None:
        """Write all finished rows, in the order they were planned, into one file."""
        for step in plan:
            if step not in self._rows and self._row(step).exists():
                (row,) = read_measurements(self._row(step))
                self._rows[step] = row
        lines = [self._rows[step].model_dump_json() for step in plan if step in self._rows]
        write_atomic(self._folder / RESULTS, "".join(f"{line}\n" for line in lines))

    def _tell(self, total: int, text: str) -> None:
        mean_s = sum(self._spent_s) / len(self._spent_s) if self._spent_s else None
        left = total - self._done
        self._on_progress(
            Progress(self._done, total, text, mean_s * left if mean_s and left else None)
        )


def _arrival_seed(study: Study, repeat: int) -> int:
    """Return the seed of a block's arrivals: the same for its cells, which are pairs, and no other.

    Equal arrivals in every block would hide how much latencies depend on them.
    """
    return random.Random(f"arrivals {study.seed}/{repeat}").getrandbits(32)


def _key(study: Study, cell: Cell | EngineCell, subject: _Subject) -> str:
    """Return the digest of all that decides what a cell measures."""
    content = {
        "checkpoint": subject.checkpoint,
        "task": subject.task,
        **subject.content(cell),
        "workload": study.workload(cell).model_dump(exclude={"task"}),
        "threads": study.threads,
        "schedule": study.schedule.model_dump(),
        "energy": study.energy,
        **subject.meters,
    }
    return digest.of_text(json.dumps(content, sort_keys=True))


def _engine_identity(path: str, checkpoint: str) -> str:
    """Return what an engine that was made before is, wherever it lies."""
    engine = Engine.open(path)
    manifest = engine.manifest
    unknown = manifest.origin is not None and Caveat.PARITY_UNCHECKED in manifest.origin.caveats
    if manifest.checkpoint.digest != checkpoint and not unknown:
        raise InputError(
            f"{path} was made of {manifest.checkpoint.name}, not of the study's checkpoint; a "
            "study is about one checkpoint"
        )
    return f"{engine.name} {engine.digest}"


def _engine_name(recipe: Recipe, checkpoint_digest: str) -> str:
    """Return a folder name that differs whenever the engine could."""
    content = [recipe.model_dump(), checkpoint_digest, jouleforge.__version__]
    slug = re.sub(r"[^\w]+", "-", recipe.name)
    return f"{slug}-{digest.of_text(json.dumps(content, sort_keys=True))[:12]}"


def _is_sound(path: Path) -> bool:
    try:
        Engine.open(path)
    except JouleforgeError:
        return False
    return True


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder; the kernel lets go of it when this process ends, however it ends."""
    with (folder / "study.lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"another study is running in {folder}; wait for it") from None
        yield


def _claim(folder: Path, study: Study, subject: _Subject) -> None:
    """Note whose folder this is, or check that it is this study's."""
    file = folder / "study.json"
    cells = [
        {**subject.content(cell), "workload": study.workload(cell).model_dump(exclude={"task"})}
        for cell in study.cells
    ]
    about = study.model_dump(mode="json", exclude=_NOT_OF_THE_ROWS)
    content = {**about, "checkpoint": subject.checkpoint, "task": subject.task, "cells": cells}
    content |= subject.meters
    text = json.dumps(content, indent=2) + "\n"
    if not file.exists():
        write_atomic(file, text)
    elif file.read_text(encoding="utf-8") != text:
        raise InputError(
            f"{folder} holds the results of another study, of this one before it, its checkpoint "
            "or its task was changed, or of an older jouleforge; choose another folder (-o)"
        )
