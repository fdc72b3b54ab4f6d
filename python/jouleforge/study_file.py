"""Study file: which cells to measure, on what, how often and for how long."""

from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from jouleforge.data import read_toml
from jouleforge.errors import InputError
from jouleforge.measurement import WorkloadSpec
from jouleforge.recipe import Recipe
from jouleforge.schedule import Schedule
from jouleforge.stored import Stored

_QUICK_REPEATS = 5
_QUICK_WINDOW_S = 3.0
_QUICK_IDLE_S = 3.0

BatchSize = Annotated[int, Field(ge=1)] | Literal["study"]


class Cell(Recipe):
    """One row of the study's table: how its engine is made, and how its batches are."""

    padding: str = "sorted"
    batch_size: BatchSize = "study"

    @property
    def recipe(self) -> Recipe:
        """Return how its engine is made."""
        return Recipe(**{name: getattr(self, name) for name in Recipe.model_fields})


class EngineCell(Stored):
    """One row whose engine was made before, as `convert` and `adopt` make them."""

    engine: str
    """Path of the engine's folder inside the study's folder."""
    padding: str = "sorted"
    batch_size: BatchSize = "study"

    @property
    def name(self) -> str:
        """Return what it is called while the study runs."""
        return f"engine {self.engine}"


def _kind_of_cell(cell: object) -> str:
    made = "engine" in cell if isinstance(cell, dict) else isinstance(cell, EngineCell)
    return "[engine]" if made else "[recipe]"


AnyCell = Annotated[
    Annotated[Cell, Tag("[recipe]")] | Annotated[EngineCell, Tag("[engine]")],
    Discriminator(_kind_of_cell),
]
"""The tags are places in a list of mistakes; `data.read_toml` leaves them out of the keys."""


class Study(Stored):
    """Which cells to measure, on what, how often and for how long."""

    name: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    checkpoint: str
    """Name under `$JOULEFORGE_DATA/checkpoints`, hub id, or a path inside the study's folder."""
    task: str
    """Shipped task, or a task file inside the study's folder."""
    split: Literal["calibration", "selection", "test"] = "test"
    limit: int | None = None
    batch_size: Annotated[int, Field(ge=1)] = 32
    threads: Annotated[int, Field(ge=1)] = 1
    repeats: Annotated[int, Field(ge=1)] = 10
    """Blocks: every block measures each cell once, in its own random order."""
    extend: bool = True
    """Go on, block by block, until the 95 % half-width of each cell's joules per example (examples
    per second where no counter reads it) is at most 1 %, or `max_repeats` is reached."""
    max_repeats: Annotated[int, Field(ge=1)] = 40
    quick: bool = False
    """Measure five blocks at most, with short windows, and no more; every report then says so."""
    aa: bool = True
    """Measure the baseline a second time in every block, to learn what the method cannot resolve.
    A study of one cell compares nothing, and leaves it out."""
    seed: int = 0
    energy: str = "auto"
    calibration: str | None = None
    """Path inside the study's folder of what a meter at the wall says of the counters."""
    schedule: Schedule = Schedule()
    cells: Annotated[tuple[AnyCell, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _no_cell_twice(self) -> "Study":
        for number, cell in enumerate(self.cells):
            if cell in self.cells[:number]:
                raise ValueError(f"cells.{number} stands twice: {cell.name} {cell.padding}")
        return self

    @model_validator(mode="after")
    def _cells_suit_the_scenario(self) -> "Study":
        own = self.batch_size if "batch_size" in self.model_fields_set else None
        for number, cell in enumerate(self.cells):
            size = own if cell.batch_size == "study" else cell.batch_size
            if reason := self.schedule.misfit(batch_size=size, padding=cell.padding):
                raise ValueError(f"cells.{number}: {reason}")
        return self

    @model_validator(mode="after")
    def _may_go_on(self) -> "Study":
        if self.extend and not self.quick and self.max_repeats < self.repeats:
            raise ValueError(
                f"max_repeats ({self.max_repeats}) is below repeats ({self.repeats}); raise it, or "
                "set extend = false"
            )
        return self

    @property
    def most(self) -> int | None:
        """Return up to how many blocks it may go on; None if it does not."""
        return self.max_repeats if self.extend else None

    def quickened(self) -> "Study":
        """Return the study as `quick` has it measured; the same study if it is not quick."""
        if not self.quick:
            return self
        schedule = self.schedule.model_copy(
            update={
                "quick": True,
                "duration_s": min(self.schedule.duration_s, _QUICK_WINDOW_S),
                "idle_s": min(self.schedule.idle_s, _QUICK_IDLE_S),
            }
        )
        repeats = min(self.repeats, _QUICK_REPEATS)
        return self.model_copy(update={"repeats": repeats, "extend": False, "schedule": schedule})

    @property
    def twin(self) -> Cell | EngineCell | None:
        """Return the cell that is measured twice in every block.

        The first one of eager PyTorch, which `compare` takes as the baseline, or the first of all.
        """
        if not self.aa or len(self.cells) == 1:
            return None
        eager = [isinstance(cell, Cell) and cell.is_eager for cell in self.cells]
        return self.cells[eager.index(True) if any(eager) else 0]

    @classmethod
    def load(cls, path: str | Path) -> "Study":
        """Return the study a TOML file describes.

        Raises:
            InputError: The file has mistakes, or names a path outside its own folder.
        """
        file = Path(path)
        study = read_toml(file, cls)
        return study.model_copy(
            update={
                "checkpoint": _inside(file, "checkpoint", study.checkpoint),
                "task": _inside(file, "task", study.task),
                "calibration": study.calibration
                and _inside(file, "calibration", study.calibration),
                "cells": tuple(_located(file, cell) for cell in study.cells),
            }
        )

    def workload(self, cell: Cell | EngineCell) -> WorkloadSpec:
        """Return how a cell's batches are made."""
        own = self.batch_size if cell.batch_size == "study" else cell.batch_size
        return WorkloadSpec(
            task=self.task,
            split=self.split,
            batch_size=self.schedule.query_size or own,
            padding=cell.padding,
            order_seed=self.seed,
            limit=self.limit,
        )


def _inside(study: Path, key: str, ref: str) -> str:
    """Return a name as it is, and a path inside the study's folder as a path from here."""
    path = PurePosixPath(ref)
    if path.is_absolute() or ".." in path.parts or ref.startswith("~"):
        raise InputError(
            f"{study}: {key} {ref!r} leaves the study's folder; give a name or a path inside it"
        )
    inside = study.parent / ref
    return str(inside) if inside.exists() else ref


def _located(study: Path, cell: Cell | EngineCell) -> Cell | EngineCell:
    if isinstance(cell, Cell):
        return cell
    return cell.model_copy(update={"engine": _inside(study, "engine", cell.engine)})
