"""Rows: what the repeats of one cell show, by themselves and against the baseline."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from jouleforge import stats
from jouleforge.caveats import Caveat
from jouleforge.comparison import ratios
from jouleforge.comparison.cells import Cell, Names, differences
from jouleforge.comparison.ratios import Ratio, Resolution
from jouleforge.measurement import Measurement
from jouleforge.quantiles import percentile
from jouleforge.stats import Estimate, Interval

EnergyClass = Literal["counter", "integrated", "estimated"]

# Metrics that are the share of examples answered rightly, for which Wilson's interval holds.
_SHARES = ("accuracy", "subset_accuracy")


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


@dataclass(frozen=True, slots=True)
class AccuracyDifference:
    """Accuracy of a row less that of the baseline, over the same examples."""

    value: float
    interval: Interval
    p_value: float
    """Of McNemar's exact test."""
    gained: int
    """Examples that only this row answers rightly, as far as the decisions tell."""
    lost: int
    """Examples that only the baseline answers rightly, as far as the decisions tell."""

    @property
    def shown(self) -> Literal["above", "below", "neither"]:
        """Return on which side of 0 the whole interval lies, if the exact test agrees."""
        if not self.interval.excludes(0.0) or self.p_value >= 1 - stats.CONFIDENCE:
            return "neither"
        return "above" if self.value > 0 else "below"


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
    batches_timed: int
    """Batches whose times the percentiles are of: all repeats and passes together."""
    latency_p50_s: Estimate | None
    latency_p95_s: Estimate | None
    latency_p99_s: Estimate | None
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
    peak_rss_bytes: int | None
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
    """Return the energy per example by each meter that measured every repeat of a cell."""
    by_meter: dict[Meter, dict[int, float]] = {}
    for repeat, measurement in cell.repeats.items():
        for meter, joules in _joules_per_example(measurement).items():
            by_meter.setdefault(meter, {})[repeat] = joules
    return tuple(
        Energy(meter, stats.median_of_repeats(list(found.values())), found)
        for meter, found in by_meter.items()
        if found.keys() == cell.repeats.keys()
    )


def _joules_per_example(measurement: Measurement) -> dict[Meter, float]:
    """Return the joules per example by meter, added over devices of one source and scope.

    Each device's window has its own ends, and the examples answered between those.
    """
    parts: dict[tuple[str, EnergyClass, str], dict[str, tuple[float, str]]] = {}
    for reading in measurement.energy:
        if reading.energy_class != "unavailable" and reading.joules is not None:
            kind = (reading.source, reading.energy_class, reading.scope)
            passes = reading.passes or measurement.timing.passes
            examples = measurement.facts.examples * passes
            corrected = reading.calibration.correction.text if reading.calibration else ""
            parts.setdefault(kind, {})[reading.device] = (reading.joules / examples, corrected)
    return {
        Meter(*kind, tuple(sorted(devices)), _corrections(devices)): sum(
            joules for joules, _ in devices.values()
        )
        for kind, devices in parts.items()
    }


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
    latencies_s = [row.timing.latency_ns().ravel() / 1e9 for row in repeats]
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
        batches_timed=sum(map(len, latencies_s)),
        latency_p50_s=percentile(latencies_s, 0.50),
        latency_p95_s=percentile(latencies_s, 0.95),
        latency_p99_s=percentile(latencies_s, 0.99),
        energy=energy,
        energy_reason="" if energy else _why_no_energy(cell, meter),
        other_energies=tuple(other for other in found if other is not energy),
        headline=_headline(first),
        headline_interval=_headline_interval(first),
        decisions_equal=_decisions_equal(cell.first, baseline.first),
        accuracy_difference=_accuracy_difference(cell, baseline),
        tokenize_s=float(np.median([row.facts.tokenize_s for row in repeats])),
        load_s=float(np.median([row.timing.load_s for row in repeats])),
        peak_rss_bytes=max((peak for peak in peaks if peak is not None), default=None),
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
    reasons = dict.fromkeys(reading.reason for reading in readings if reading.reason)
    if reasons:
        return "; ".join(reason for reason in reasons if reason)
    if not readings:
        return "no energy source was read"
    corrected = {reading.calibration is not None for reading in readings if reading.joules}
    if len(corrected) > 1 or (meter and bool(meter.calibrations) not in corrected):
        return "calibrated and uncalibrated joules are never put together"
    if meter is None:
        return "no meter measured every repeat"
    same = " with the same calibration" if meter.calibrations else ""
    return f"not every repeat was measured by {meter.source} ({', '.join(meter.devices)}){same}"


def _headline(measurement: Measurement) -> float | None:
    return measurement.quality.metrics.get(measurement.quality.headline)


def _headline_interval(measurement: Measurement) -> Interval | None:
    value, count = _headline(measurement), measurement.facts.examples
    if value is None or measurement.quality.headline not in _SHARES:
        return None
    return stats.wilson(round(value * count), count)


def _decisions_equal(one: Measurement, other: Measurement) -> int | None:
    """Return how many examples two runs answer alike; None for a regression, which decides none."""
    if one.facts.kind == "regression":
        return None
    same = one.quality.decisions.unpack() == other.quality.decisions.unpack()
    return int(np.sum(same if same.ndim == 1 else same.all(axis=1)))


def _accuracy_difference(cell: Cell, baseline: Cell) -> AccuracyDifference | None:
    """Return the paired difference of the shares of right answers; None where it is not defined."""
    own, other = cell.first.quality.correct, baseline.first.quality.correct
    if cell is baseline or own is None or other is None or cell.first.facts.kind != "single-label":
        return None
    right, reference = own.unpack(), other.unpack()
    gained, lost = int((right & ~reference).sum()), int((reference & ~right).sum())
    estimate = stats.paired_difference(gained=gained, lost=lost, count=len(right))
    assert estimate.interval is not None
    return AccuracyDifference(
        value=estimate.value,
        interval=estimate.interval,
        p_value=stats.mcnemar_p(gained=gained, lost=lost),
        gained=gained,
        lost=lost,
    )


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
        found[_unsteady(repeats)] = None
    missing = sorted(baseline.repeats.keys() - cell.repeats.keys())
    if missing:
        blocks = ", ".join(str(repeat + 1) for repeat in missing)
        found[f"It has no measurement in block {blocks}; the pairs are of the others."] = None
    return tuple(found)


def _unsteady(repeats: list[Measurement]) -> str:
    """Return how far the answers of repeats differ whose logits do."""
    first, *others = repeats
    equal = [_decisions_equal(first, other) for other in others]
    most = (
        max(first.facts.examples - count for count in equal if count is not None)
        if (None not in equal)
        else None
    )
    answers = {None: "", 0: ", but equal answers"}.get(
        most, f", and up to {most} different answers"
    )
    return f"The repeats gave different logits{answers}; the answers shown are the first's."
