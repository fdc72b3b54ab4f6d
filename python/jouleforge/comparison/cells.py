"""Cells: measurements grouped into rows, after checking that one table may hold them all.

A cell is one engine on one workload with one number of threads; its measurements are its repeats.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from jouleforge.errors import InputError
from jouleforge.measurement import Measurement

_SHORT = 12
"""Characters of a digest that tell two apart in a message."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The repeats of one cell, in the order of their numbers."""

    repeats: dict[int, Measurement]
    """Number of the block -> the measurement; equal numbers of two cells are a pair."""
    first: Measurement
    """The one of the lowest number; it stands for what all of them share."""
    twins: dict[int, Measurement] = field(default_factory=dict)
    """Number of the block -> the second measurement of the cell in it, if a study took one (A/A).
    It is no part of the row."""


def group(measurements: Sequence[Measurement]) -> list[Cell]:
    """Return the cells in the order in which they first appear.

    Raises:
        InputError: The measurements are over different data or of different machines, some belong
            to blocks and some do not, or a cell stands twice in one block.
    """
    _check_data(measurements)
    _check_machine(measurements)
    found: dict[str, dict[int, Measurement]] = {}
    twins: dict[str, dict[int, Measurement]] = {}
    for measurement, repeat in zip(measurements, _repeat_numbers(measurements), strict=True):
        is_twin = measurement.block is not None and measurement.block.twin
        repeats = (twins if is_twin else found).setdefault(_key(measurement), {})
        if repeat in repeats:
            raise InputError(
                f"{measurement.engine.name} stands twice in block {repeat + 1} (started "
                f"{repeats[repeat].started_at} and {measurement.started_at}); compare the results "
                "of one study at a time"
            )
        repeats[repeat] = measurement
    for key in [key for key in twins if key not in found]:  # the first ones failed
        found[key] = twins.pop(key)
    return [
        Cell(
            repeats=dict(sorted(repeats.items())),
            first=repeats[min(repeats)],
            twins=dict(sorted(twins.get(key, {}).items())),
        )
        for key, repeats in found.items()
    ]


def _key(measurement: Measurement) -> str:
    """Return what all repeats of a cell have in common, and no two cells."""
    engine = measurement.engine
    shared = (
        engine.digest,
        engine.name,
        engine.checkpoint_digest,
        engine.runtime,
        measurement.workload.model_dump_json(),
        measurement.schedule.model_dump_json(),
        str(measurement.threads),
    )
    return "\0".join(shared)


def _repeat_numbers(measurements: Sequence[Measurement]) -> list[int]:
    """Return the block of each measurement; single ones are numbered within their cell."""
    blocks = [measurement.block for measurement in measurements]
    numbers = [block.repeat for block in blocks if block is not None]
    if len(numbers) == len(blocks):
        return numbers
    if numbers:
        single = next(row for row in measurements if row.block is None)
        raise InputError(
            f"{single.engine.name} (started {single.started_at}) was measured by itself, other "
            "rows in the blocks of a study: they are no pairs. Add it to the study, or compare the "
            "two files apart"
        )
    seen: Counter[str] = Counter()
    for measurement in measurements:
        numbers.append(seen[_key(measurement)])
        seen[_key(measurement)] += 1
    return numbers


def _check_data(measurements: Sequence[Measurement]) -> None:
    def data(row: Measurement) -> tuple[str, ...]:
        return (row.workload.task, row.workload.split, row.facts.digest, row.quality.headline)

    _check_same(
        measurements,
        data,
        lambda row: (
            f"{row.workload.task}, {row.workload.split} split, {row.facts.examples} examples, "
            f"{row.quality.headline}, digest {row.facts.digest[:_SHORT]}"
        ),
        "one table holds one data set",
    )


def _check_machine(measurements: Sequence[Measurement]) -> None:
    _check_same(
        measurements,
        lambda row: (row.environment.cpu, str(row.environment.logical_cpus)),
        lambda row: f"{row.environment.cpu}, {row.environment.logical_cpus} logical processors",
        "one table holds one machine",
    )


def _check_same(
    measurements: Sequence[Measurement],
    identity: Callable[[Measurement], tuple[str, ...]],
    describe: Callable[[Measurement], str],
    rule: str,
) -> None:
    reference = measurements[0]
    for row in measurements:
        if identity(row) != identity(reference):
            raise InputError(
                f"{rule}, but {reference.engine.name} (started {reference.started_at}) was "
                f"measured on {describe(reference)}, and {row.engine.name} (started "
                f"{row.started_at}) on {describe(row)}; put them into files of their own"
            )


@dataclass(frozen=True, slots=True)
class Names:
    """What a cell is called."""

    name: str
    """The engine, and whatever else differs that a table has no column for."""
    label: str
    """All that differs between the cells; no two cells share it."""


Describe = Callable[[Measurement], str]

# What differs anywhere in a table is part of every label: a factor between two labels is then never
# credited to the engine alone when the padding changed as well.
_ALWAYS: tuple[Describe, ...] = (
    lambda row: row.engine.checkpoint,
    lambda row: row.schedule.name,
    lambda row: _threads(row.threads),
)
_IN_COLUMNS: tuple[Describe, ...] = (
    lambda row: row.workload.padding,
    lambda row: f"batch {row.workload.batch_size}",
)
# These are named only where two cells would bear the same name otherwise.
_IF_NEEDED: tuple[Describe, ...] = (
    lambda row: row.engine.runtime,
    lambda row: f"max {row.engine.recipe.max_length} tokens",
    lambda row: f"order {row.workload.order_seed}",
    lambda row: f"{row.schedule.duration_s:g} s after {row.schedule.warmup_s:g} s",
    lambda row: f"engine {row.engine.digest[:_SHORT]}",
    lambda row: f"checkpoint {row.engine.checkpoint_digest[:_SHORT]}",
    lambda row: f"at least {row.schedule.min_passes} passes",
)


def _threads(count: int) -> str:
    return f"{count} thread" if count == 1 else f"{count} threads"


def names(cells: Sequence[Cell]) -> list[Names]:
    """Return what each cell is called; every label is unique and as short as that allows."""
    rows = [cell.first for cell in cells]
    always = [part for part in _ALWAYS if _differ(part, rows)]
    columns = [part for part in _IN_COLUMNS if _differ(part, rows)]
    short = [tuple(part(row) for part in (*always, *columns)) for row in rows]
    clashing: defaultdict[tuple[str, ...], list[Measurement]] = defaultdict(list)
    for row, parts in zip(rows, short, strict=True):
        clashing[(row.engine.name, *parts)].append(row)
    found = []
    for row, parts in zip(rows, short, strict=True):
        clash = clashing[(row.engine.name, *parts)]
        extra = [part for part in _IF_NEEDED if _differ(part, clash)]
        name = [row.engine.name, *(part(row) for part in (*always, *extra))]
        found.append(Names(", ".join(name), ", ".join([*name, *(part(row) for part in columns)])))
    return found


def _differ(part: Describe, rows: Sequence[Measurement]) -> bool:
    return len({part(row) for row in rows}) > 1


def differences(cell: Cell, baseline: Cell) -> tuple[str, ...]:
    """Return what a cell changes against the baseline, in words."""
    one, other = cell.first, baseline.first
    changes = {
        "checkpoint": one.engine.checkpoint_digest != other.engine.checkpoint_digest,
        "engine": one.engine.name != other.engine.name,
        "build of the engine": one.engine.digest != other.engine.digest
        and one.engine.name == other.engine.name
        and one.engine.checkpoint_digest == other.engine.checkpoint_digest,
        "runtime version": one.engine.runtime != other.engine.runtime
        and one.engine.recipe.target == other.engine.recipe.target,
        "padding": one.workload.padding != other.workload.padding,
        "batch size": one.workload.batch_size != other.workload.batch_size,
        "threads": one.threads != other.threads,
        "order of the examples": one.workload.order_seed != other.workload.order_seed,
        "scenario": one.schedule.name != other.schedule.name,
        "length of the run": _length(one) != _length(other),
    }
    return tuple(what for what, changed in changes.items() if changed)


def _length(measurement: Measurement) -> tuple[float, float, int]:
    schedule = measurement.schedule
    return schedule.warmup_s, schedule.duration_s, schedule.min_passes


def notes(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Return what a reader must know about how the cells were measured together."""
    return tuple(
        note for note in (_order_note(cells), _overlap_note(cells), _software_note(cells)) if note
    )


def _order_note(cells: Sequence[Cell]) -> str:
    if len(cells) < 2 or cells[0].first.block is not None:
        return ""
    return (
        "The rows were measured one by one and not in the interleaved blocks of a study: a change "
        "of the machine between them looks like a difference of the engines."
    )


def _overlap_note(cells: Sequence[Cell]) -> str:
    """Tell when blocks were not one after another, as in a study that was resumed."""
    if cells[0].first.block is None:
        return ""
    starts: defaultdict[int, list[str]] = defaultdict(list)
    for cell in cells:
        for repeat, measurement in cell.repeats.items():
            starts[repeat].append(measurement.started_at)
    spans = [(min(times), max(times)) for _, times in sorted(starts.items())]
    late = [
        number + 1 for number, ((_, end), (begin, _)) in enumerate(pairwise(spans)) if begin < end
    ]
    if not late:
        return ""
    return (
        f"Block {', '.join(map(str, late))} ended after the next one began (the study was resumed, "
        "or several were put together): a change of the machine in between is in the ratios."
    )


def _software_note(cells: Sequence[Cell]) -> str:
    """Tell which versions differ between measurements of one table."""
    environments = [row.environment for cell in cells for row in cell.repeats.values()]
    versions: dict[str, set[str]] = defaultdict(set)
    for environment in environments:
        for package, version in environment.packages.items():
            versions[package].add(version)
        versions["Python"].add(environment.python)
        versions["system"].add(environment.system)
        versions["usable processors"].add(str(environment.usable_cpus))
        versions["frequency governor"].add(str(environment.governor))
    differing = [
        f"{what} {', '.join(sorted(found))}" for what, found in versions.items() if len(found) > 1
    ]
    if not differing:
        return ""
    return f"The measurements differ in more than the rows say: {'; '.join(differing)}."
