"""Rows: what the repeats of one cell show, by themselves and against the baseline."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from jouleforge import stats
from jouleforge.caveats import Caveat
from jouleforge.comparison import answers, ratios, rejections
from jouleforge.comparison.answers import AccuracyDifference
from jouleforge.comparison.cells import Cell, Names, differences
from jouleforge.comparison.footprint import Footprint, footprint
from jouleforge.comparison.latencies import Latencies, latencies
from jouleforge.comparison.ratios import Ratio, Resolution
from jouleforge.comparison.rest import Rest, rest
from jouleforge.energy import EnergyReading
from jouleforge.measurement import Measurement
from jouleforge.stats import Estimate, Interval

EnergyClass = Literal["counter", "integrated", "estimated"]


@dataclass(frozen=True, slots=True)
class Meter:
    """What gave a figure of energy, and of what; figures of two meters are never added."""

    source: str
    energy_class: EnergyClass
    scope: str
    devices: tuple[str, ...]
    """The devices whose joules were added."""
    calibrations: tuple[str, ...] = ()
    """What corrected them, in the order of the devices; empty if they are the counter's own."""


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy of one cell by one meter."""

    meter: Meter
    per_example_j: Estimate
    """Median over the repeats: joules of the meter's window over the examples answered in it."""
    by_repeat_j: dict[int, float]
    """Number of the block -> joules per example."""
    rest: Rest | None = None
    """What the devices draw without work; `None` if that was not measured."""
    rejected: tuple[str, ...] = ()
    """Why each of the other windows gave no joules."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table. Times are in s, energy in J, memory in bytes."""

    name: str
    """The engine, and whatever else differs that a table has no column for."""
    label: str
    """Unique: all that differs between the rows."""
    is_baseline: bool
    changed: tuple[str, ...]
    """What it changes against the baseline, in words."""
    on_frontier: bool
    first: Measurement
    """The first repeat: engine, workload, facts and answers."""
    repeats: int
    examples_per_s: Estimate
    latencies: Latencies
    energy: Energy | None
    """By the meter of the comparison."""
    energy_reason: str
    """Why there is none; empty where there is."""
    other_energies: tuple[Energy, ...]
    """By other meters."""
    headline: float | None
    headline_interval: Interval | None
    decisions_equal: int | None
    """Examples answered as the baseline answers them; `None` for a regression."""
    accuracy_difference: AccuracyDifference | None
    """`None` for the baseline and for other kinds than single-label."""
    tokenize_s: float
    load_s: float
    warmup_s: float | None
    """How long it ran before a window, the longest of the repeats; `None` in rows of old."""
    steady_repeats: int
    """Windows that began when batch times had no trend any more."""
    peak_rss_bytes: int | None
    memory: Footprint
    speed_ratio: Ratio
    """Examples per second over the baseline's: more is faster."""
    energy_ratio: Ratio | None
    """Joules per example over the baseline's: less is better; only by the same meter."""
    joules_per_correct: Estimate | None
    """Joules per rightly answered example; `None` without energy, and for other kinds."""
    correct_energy_ratio: Ratio | None
    """The same over the baseline's, of the same examples; `None` for the baseline, and where there
    is no such ratio."""
    caveats: tuple[Caveat, ...]
    notes: tuple[str, ...]

    @property
    def deciding(self) -> Estimate:
        """Return what a study goes on for: counted joules, or speed where nothing counted."""
        if self.energy is not None and self.energy.meter.energy_class == "counter":
            return self.energy.per_example_j
        return self.examples_per_s

    @property
    def half_width(self) -> float | None:
        """Return half the length of that one's interval, on the logarithmic scale."""
        return stats.half_width(self.deciding)

    @property
    def joules_per_real_token(self) -> Estimate | None:
        """Joules per token of the texts themselves; `None` without energy."""
        return self._joules_per(self.first.facts.real_tokens)

    @property
    def joules_per_computed_token(self) -> Estimate | None:
        """Joules per token that was computed, padding included; `None` without energy."""
        return self._joules_per(self.first.facts.computed_tokens)

    def _joules_per(self, parts: int) -> Estimate | None:
        """Return the energy per part, of which all examples together have so many."""
        if self.energy is None:
            return None
        return stats.scaled(self.energy.per_example_j, self.first.facts.examples / parts)

    @property
    def verdict(self) -> Literal["baseline", "faster", "slower", "no difference shown"]:
        """Return what the interval of the speed ratio shows."""
        if self.is_baseline:
            return "baseline"
        verdicts: dict[str, Literal["faster", "slower"]] = {"above": "faster", "below": "slower"}
        return verdicts.get(self.speed_ratio.shown, "no difference shown")


def energies(cell: Cell) -> tuple[Energy, ...]:
    """Return the energy per example by each meter, of the repeats whose windows it accepted.

    There is none where it rejected more than a fifth of them.
    """
    by_meter: dict[Meter, dict[int, float]] = {}
    for repeat, measurement in cell.repeats.items():
        for meter, joules in _joules_per_example(measurement).items():
            by_meter.setdefault(meter, {})[repeat] = joules
    return tuple(
        Energy(
            meter,
            stats.median_of_repeats(list(found.values())),
            found,
            _rest(cell, meter, found),
            rejections.reasons(cell, meter.source, meter.scope, found),
        )
        for meter, found in by_meter.items()
        if not rejections.too_many(len(cell.repeats) - len(found), len(cell.repeats))
    )


def _joules_per_example(measurement: Measurement) -> dict[Meter, float]:
    """Return the joules per example by meter, added over devices of one source and scope.

    Each device's window has its own ends, and the examples answered between those.
    """
    parts: dict[tuple[str, EnergyClass, str], dict[str, tuple[float, str]]] = {}
    for reading in measurement.energy:
        if reading.energy_class != "unavailable" and reading.joules is not None:
            kind = (reading.source, reading.energy_class, reading.scope)
            joules = (reading.work_joules or 0.0) / measurement.examples_of(reading)
            corrected = reading.calibration.correction.text if reading.calibration else ""
            parts.setdefault(kind, {})[reading.device] = (joules, corrected)
    return {
        Meter(*kind, tuple(sorted(devices)), _corrections(devices)): sum(
            joules for joules, _ in devices.values()
        )
        for kind, devices in parts.items()
    }


def _rest(cell: Cell, meter: Meter, repeats: Iterable[int]) -> Rest | None:
    def readings(row: Measurement) -> list[EnergyReading]:
        kind = (meter.source, meter.energy_class, meter.scope)
        return [one for one in row.energy if (one.source, one.energy_class, one.scope) == kind]

    return rest({number: (row := cell.repeats[number], readings(row)) for number in repeats})


def _corrections(devices: Mapping[str, tuple[float, str]]) -> tuple[str, ...]:
    """Return what corrected each device; what was not corrected is told apart from what was."""
    found = tuple(devices[device][1] or "not calibrated" for device in sorted(devices))
    return found if any(corrected for _, corrected in devices.values()) else ()


def build_row(
    cell: Cell,
    baseline: Cell,
    *,
    names: Names,
    meter: Meter | None,
    resolution: Resolution | None,
) -> Row:
    """Return the row of a cell against the baseline's cell, not yet on any frontier.

    Args:
        cell: The row's repeats.
        baseline: What they are paired with.
        names: What the row is called.
        meter: Whose joules are the row's.
        resolution: The smallest ratios that are told from 1; `None` if they were not measured.

    Raises:
        InputError: The answers and the accuracies contradict each other.
    """
    first, repeats = cell.first, list(cell.repeats.values())
    found = energies(cell)
    energy = next((energy for energy in found if energy.meter == meter), None)
    peaks = [row.memory.peak_rss_bytes for row in repeats]
    itself = (resolution.speed, resolution.energy) if resolution else (None, None)
    energy_ratio = _energy_ratio(cell, baseline, meter, itself[1])
    return Row(
        name=names.name,
        label=names.label,
        is_baseline=cell is baseline,
        changed=differences(cell, baseline),
        on_frontier=False,
        first=first,
        repeats=len(repeats),
        examples_per_s=stats.median_of_repeats([row.examples_per_s for row in repeats]),
        latencies=latencies(repeats),
        energy=energy,
        energy_reason="" if energy else _why_no_energy(cell, meter),
        other_energies=tuple(other for other in found if other is not energy),
        headline=answers.headline(first),
        headline_interval=answers.headline_interval(first),
        decisions_equal=answers.decisions_equal(cell.first, baseline.first),
        accuracy_difference=answers.accuracy_difference(cell, baseline),
        tokenize_s=float(np.median([row.facts.tokenize_s for row in repeats])),
        load_s=float(np.median([row.timing.load_s for row in repeats])),
        warmup_s=max((row.timing.warmup_s or 0.0 for row in repeats), default=0.0) or None,
        steady_repeats=sum(bool(row.timing.steady) for row in repeats),
        peak_rss_bytes=max((peak for peak in peaks if peak is not None), default=None),
        memory=footprint([row.memory for row in repeats]),
        speed_ratio=_speed_ratio(cell, baseline, itself[0]),
        energy_ratio=energy_ratio,
        joules_per_correct=_joules_per_correct(first, energy),
        correct_energy_ratio=_correct_energy_ratio(energy_ratio, cell, baseline),
        caveats=tuple(sorted({caveat for row in repeats for caveat in row.caveats})),
        notes=_notes(cell, baseline),
    )


def _why_no_energy(cell: Cell, meter: Meter | None) -> str:
    """Return why a cell has no energy by the comparison's meter."""
    readings = [reading for row in cell.repeats.values() for reading in row.energy]
    corrected = {reading.calibration is not None for reading in readings if reading.joules}
    apart = "calibrated and uncalibrated joules are never put together"
    if len(corrected) > 1:
        return apart
    if refusal := _refusal(cell):
        return refusal
    reasons = dict.fromkeys(reading.reason for reading in readings if reading.reason)
    if reasons:
        return "; ".join(reason for reason in reasons if reason)
    if not readings:
        return "no energy source was read"
    if meter and bool(meter.calibrations) not in corrected:
        return apart
    if meter is None:
        return "no meter measured every repeat"
    same = " with the same calibration" if meter.calibrations else ""
    return f"not every repeat was measured by {meter.source} ({', '.join(meter.devices)}){same}"


def _refusal(cell: Cell) -> str:
    """Return that too many windows of a meter were rejected, if it accepted any."""
    kept: Counter[Meter] = Counter()
    for row in cell.repeats.values():
        kept.update(_joules_per_example(row).keys())
    windows = len(cell.repeats)
    for meter, count in kept.most_common():
        if rejections.too_many(windows - count, windows):
            accepted = [n for n, row in cell.repeats.items() if meter in _joules_per_example(row)]
            why = rejections.reasons(cell, meter.source, meter.scope, accepted)
            return rejections.refusal(meter.source, why, windows)
    return ""


def _rates(found: Mapping[int, Measurement]) -> dict[int, float]:
    return {repeat: row.examples_per_s for repeat, row in found.items()}


def _speed_ratio(cell: Cell, baseline: Cell, itself: Ratio | None) -> Ratio:
    rates = [_rates(one.repeats) for one in (cell, baseline)]
    paired = ratios.paired(rates[0], rates[1])
    if paired is None:
        own, other = (float(np.median(list(one.values()))) for one in rates)
        return Ratio(own / other, None, pairs=0)
    return ratios.limited(paired, itself)


def _energy_ratio(
    cell: Cell, baseline: Cell, meter: Meter | None, itself: Ratio | None
) -> Ratio | None:
    own, other = (
        next((found for found in energies(one) if found.meter == meter), None)
        for one in (cell, baseline)
    )
    if own is None or other is None:
        return None
    found = ratios.paired(own.by_repeat_j, other.by_repeat_j)
    return found and ratios.limited(found, itself)


def resolution_of(cell: Cell, *, label: str, meter: Meter | None) -> Resolution | None:
    """Return what a cell shows against itself; None if no block measured it twice."""
    speed = ratios.paired(_rates(cell.twins), _rates(cell.repeats))
    if speed is None:
        return None
    twin = replace(cell, repeats=cell.twins)
    return Resolution(label, speed, _energy_ratio(twin, cell, meter, None))


def _joules_per_correct(first: Measurement, energy: Energy | None) -> Estimate | None:
    """Return the joules per right answer, with the noise of the meter and of the sample in it."""
    accuracy, count = first.quality.metrics.get("accuracy"), first.facts.examples
    if energy is None or first.facts.kind != "single-label" or not accuracy:
        return None
    share = Estimate(accuracy, stats.wilson(round(accuracy * count), count))
    found = stats.quotient(stats.geometric_mean(list(energy.by_repeat_j.values())), share)
    return replace(found, value=energy.per_example_j.value / accuracy)


def _correct_energy_ratio(ratio: Ratio | None, cell: Cell, baseline: Cell) -> Ratio | None:
    """Return the ratio of joules per right answer, of answers to the same examples."""
    own, other = cell.first.quality.correct, baseline.first.quality.correct
    is_defined = cell is not baseline and cell.first.facts.kind == "single-label"
    if ratio is None or own is None or other is None or not is_defined:
        return None
    right, reference = own.unpack(), other.unpack()
    counts = (right & reference).sum(), (right & ~reference).sum(), (reference & ~right).sum()
    both, gained, lost = map(int, counts)
    correct = stats.paired_proportions(both=both, gained=gained, lost=lost)
    return ratios.per_correct(ratio, correct)


def _notes(cell: Cell, baseline: Cell) -> tuple[str, ...]:
    """Return the measurements' own notes, and what the repeats themselves show."""
    repeats = list(cell.repeats.values())
    found = dict.fromkeys(note for row in repeats for note in row.notes)
    found |= dict.fromkeys(
        f"Joules of {reading.device} are corrected by a meter of the user's: "
        f"{reading.calibration.correction.text}."
        for row in repeats
        for reading in row.energy
        if reading.calibration
    )
    if len({row.quality.outputs_digest for row in repeats}) > 1:
        found[answers.unsteady(repeats)] = None
    missing = sorted(baseline.repeats.keys() - cell.repeats.keys())
    if missing:
        blocks = ", ".join(str(repeat + 1) for repeat in missing)
        found[f"It has no measurement in block {blocks}; the pairs are of the others."] = None
    return tuple(found)
