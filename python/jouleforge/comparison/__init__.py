"""Comparison: measurements side by side, each against one baseline."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from jouleforge import stats
from jouleforge.carbon import Carbon
from jouleforge.caveats import Caveat
from jouleforge.comparison import cells
from jouleforge.comparison.answers import AccuracyDifference
from jouleforge.comparison.cells import Cell, Names
from jouleforge.comparison.latencies import Latencies
from jouleforge.comparison.ratios import Ratio, Resolution, furthest
from jouleforge.comparison.rejections import counted as counted_reasons
from jouleforge.comparison.rest import Rest
from jouleforge.comparison.rows import (
    Energy,
    Meter,
    Row,
    build_row,
    energies,
    resolution_of,
)
from jouleforge.environment import Environment
from jouleforge.errors import InputError
from jouleforge.measurement import Measurement, WorkloadFacts, read_measurements
from jouleforge.stats import Estimate, Interval

__all__ = [
    "AccuracyDifference",
    "Comparison",
    "Energy",
    "Estimate",
    "Interval",
    "Latencies",
    "Meter",
    "Note",
    "RaisedCaveat",
    "Ratio",
    "Resolution",
    "Rest",
    "Row",
    "compare",
    "cost_of",
    "counted_reasons",
]

Cost = Literal["joules", "time"]

# The most trustworthy first.
_CLASSES = ("counter", "integrated", "estimated")

# Among meters of one class that measured equally many rows, the one that covers most.
SCOPES = ("machine", "gpu_board", "cpu_package", "dram")


@dataclass(frozen=True, slots=True)
class RaisedCaveat:
    """A caveat and the labels of the rows it belongs to."""

    caveat: Caveat
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence about some rows, by label; about the whole table if there are none."""

    text: str
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A table: every row against the baseline, with what a reader must know beside it."""

    baseline: Row
    rows: tuple[Row, ...]
    """The baseline, then the others from the fastest to the slowest."""
    meter: Meter | None
    """What all energies of the table are by; `None` if no meter measured a whole row."""
    frontier_cost: Cost
    """What the frontier weighs against the metric: joules if a counter measured every row."""
    caveats: tuple[RaisedCaveat, ...]
    notes: tuple[Note, ...]
    carbon: Carbon | None
    """What turns its joules into grams of CO2e; `None` where no grid was named."""
    resolution: Resolution | None
    """What an engine differs from itself by; `None` if no block measured one twice."""

    @property
    def task(self) -> str:
        """Return the task's name or file."""
        return self.baseline.first.workload.task

    @property
    def split(self) -> str:
        """Return the split of the task that was answered."""
        return self.baseline.first.workload.split

    @property
    def facts(self) -> WorkloadFacts:
        """Return what the data are, as the baseline met them."""
        return self.baseline.first.facts

    @property
    def headline(self) -> str:
        """Return the name of the task's own metric."""
        return self.baseline.first.quality.headline

    @property
    def environment(self) -> Environment:
        """Return the machine and software; a note tells where rows differ in them."""
        return self.baseline.first.environment

    @property
    def planned(self) -> int | None:
        """Return how many blocks the study measured whatever they showed; None if unknown."""
        block = self.baseline.first.block
        return block.planned if block else None

    @property
    def most(self) -> int | None:
        """Return up to how many blocks it might go on; None if it did not."""
        block = self.baseline.first.block
        return block.most if block else None

    @property
    def is_interleaved(self) -> bool:
        """Return whether the rows were measured in the blocks of a study."""
        return self.baseline.first.block is not None


def compare(
    measurements: Sequence[Measurement] | str | Path,
    *,
    baseline: str | None = None,
    carbon: Carbon | None = None,
) -> Comparison:
    """Return measurements as one table of rows against a baseline.

    Repeats of one cell (engine, workload, threads) become one row. Ratios are of pairs: of what was
    measured in the same block or, for single measurements, of the first with the first and so on.
    What a study measured twice in a block (A/A) is no row: it gives the resolution, which a ratio
    must exceed to count as shown.

    Args:
        measurements: Measurements, or their JSON-lines file.
        baseline: Label of a row, or what only one row's engine is called; `None` is the first row
            of eager PyTorch or, where there is none, the first row.
        carbon: Grid and PUE for the reports' grams of CO2e; `None` gives no grams.

    Raises:
        InputError: There is nothing to compare, no such baseline, or other data or machines.
    """
    if isinstance(measurements, str | Path):
        measurements = read_measurements(Path(measurements))
    if not measurements:
        raise InputError("there is no measurement to compare; expected at least one")
    grouped = cells.group(measurements)
    names = cells.names(grouped)
    chosen = _choose(grouped, names, baseline)
    meter = _meter(grouped)
    resolution = _resolution(grouped, names, meter)
    rows = [
        build_row(cell, chosen, names=name, meter=meter, resolution=resolution)
        for cell, name in zip(grouped, names, strict=True)
    ]
    counted = meter is not None and meter.energy_class == "counter"
    cost: Cost = "joules" if counted and all(row.energy for row in rows) else "time"
    rows = [replace(row, on_frontier=_on_frontier(row, rows, cost)) for row in rows]
    rows.sort(key=lambda row: (not row.is_baseline, -row.examples_per_s.value))
    return Comparison(
        baseline=rows[0],
        rows=tuple(rows),
        meter=meter,
        frontier_cost=cost,
        caveats=_caveats(rows),
        notes=(
            *(Note(text, ()) for text in cells.notes(grouped)),
            *_unresolved(rows),
            *_wide(rows),
            *_notes(rows),
        ),
        carbon=carbon,
        resolution=resolution,
    )


def cost_of(row: Row, cost: Cost) -> float:
    """Return a row's joules, or its seconds, per example.

    Raises:
        InputError: Joules are asked for and the row has none.
    """
    if cost == "time":
        return 1 / row.examples_per_s.value
    if row.energy is None:
        raise InputError(f"{row.label} has no joules: {row.energy_reason}")
    return row.energy.per_example_j.value


def _choose(grouped: Sequence[Cell], names: Sequence[Names], baseline: str | None) -> Cell:
    if baseline is None:
        eager = [cell.first.engine.recipe.is_eager for cell in grouped]
        return grouped[eager.index(True) if any(eager) else 0]
    for called in (
        [name.label for name in names],
        [name.name for name in names],
        [cell.first.engine.name for cell in grouped],
    ):
        if called.count(baseline) == 1:
            return grouped[called.index(baseline)]
    labels = "; ".join(name.label for name in names)
    raise InputError(f"no single row is called {baseline!r}; choose the baseline from: {labels}")


def _meter(grouped: Sequence[Cell]) -> Meter | None:
    """Return the meter whose figures the table shows: a counter before anything else."""
    found = [energy.meter for cell in grouped for energy in energies(cell)]
    return min(
        found,
        key=lambda meter: (
            _CLASSES.index(meter.energy_class),
            -found.count(meter),
            SCOPES.index(meter.scope) if meter.scope in SCOPES else len(SCOPES),
        ),
        default=None,
    )


def _resolution(
    grouped: Sequence[Cell], names: Sequence[Names], meter: Meter | None
) -> Resolution | None:
    """Return the A/A measurement; the worst of them if several rows have one."""
    found = [
        resolution_of(cell, label=name.label, meter=meter)
        for cell, name in zip(grouped, names, strict=True)
    ]
    measured = [each for each in found if each is not None]
    return max(measured, key=lambda each: furthest(each.speed) or 1.0, default=None)


def _on_frontier(row: Row, rows: Sequence[Row], cost: Cost) -> bool:
    """Return whether no other row is as good in both respects and better in one."""
    return row.headline is not None and not any(_beats(other, row, cost) for other in rows)


def _beats(one: Row, other: Row, cost: Cost) -> bool:
    if one.headline is None or other.headline is None:
        return False
    own = (one.headline, -cost_of(one, cost))
    its = (other.headline, -cost_of(other, cost))
    return own != its and all(mine >= yours for mine, yours in zip(own, its, strict=True))


def _caveats(rows: Sequence[Row]) -> tuple[RaisedCaveat, ...]:
    """Return every caveat once, in the order of their definition, with its rows."""
    return tuple(
        RaisedCaveat(caveat, tuple(row.label for row in rows if caveat in row.caveats))
        for caveat in Caveat
        if any(caveat in row.caveats for row in rows)
    )


def _unresolved(rows: Sequence[Row]) -> Iterator[Note]:
    """Tell which ratios only seem to differ from 1."""
    for what, ratios in (
        ("speed", {row.label: row.speed_ratio for row in rows}),
        ("energy", {row.label: row.energy_ratio for row in rows}),
    ):
        labels = [
            label
            for label, ratio in ratios.items()
            if ratio is not None and ratio.excludes_one and not ratio.is_resolved
        ]
        if labels:
            yield Note(
                f"The interval of the {what} ratio excludes 1, but the effect is no larger than "
                "what an engine may differ from itself by (A/A); it is not called a difference.",
                tuple(labels),
            )


def _wide(rows: Sequence[Row]) -> Iterator[Note]:
    """Tell which rows of a study are known less well than it was to go on for."""
    labels = [
        row.label
        for row in rows
        if row.first.block is not None
        and row.first.block.planned is not None
        and (row.half_width is None or row.half_width > stats.NARROW)
    ]
    if labels:
        yield Note(
            "The 95 % half-width of joules per example (examples per second where no counter reads "
            f"them) is not within {100 * stats.NARROW:g} %.",
            tuple(labels),
        )


def _notes(rows: Sequence[Row]) -> tuple[Note, ...]:
    """Return every note of the rows once, with its rows."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for note in row.notes:
            found.setdefault(note, []).append(row.label)
    return tuple(Note(text, tuple(labels)) for text, labels in found.items())
