"""Rest: what a row's devices draw without work, and its joules less that."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from jouleforge import stats
from jouleforge.energy import EnergyReading
from jouleforge.idle_power import IdlePower
from jouleforge.measurement import Measurement
from jouleforge.stats import Estimate


@dataclass(frozen=True, slots=True)
class Rest:
    """Idle power about the windows of one row, of all devices of its meter together."""

    dynamic_per_example_j: Estimate | None
    """Joules per example less those of the devices at rest; `None` with the reason."""
    reason: str
    before_w: float | None
    """Median over the repeats; `None` where it was not read in each."""
    after_w: float | None
    pause_share: float
    """Share of the joules that was taken out, since nothing ran then for the sake of a part-time
    sensor. It is uncertain by half."""


def rest(measured: Mapping[int, tuple[Measurement, list[EnergyReading]]]) -> Rest | None:
    """Return what the idle windows of a row show; None if it has none.

    Args:
        measured: Number of the block -> its measurement, and the readings of the row's meter.
    """
    repeats = [_Repeat(row, readings) for row, readings in measured.values()]
    if not any(repeat.idle for repeat in repeats):
        return None
    dynamic = [repeat.dynamic_j for repeat in repeats]
    known = [joules for joules in dynamic if joules is not None]
    reasons = dict.fromkeys(reason for repeat in repeats for reason in repeat.reasons)
    complete = len(known) == len(dynamic)
    return Rest(
        dynamic_per_example_j=stats.median_of_repeats(known) if complete else None,
        reason="" if complete else "; ".join(reasons),
        before_w=_median([repeat.watts("before_w") for repeat in repeats]),
        after_w=_median([repeat.watts("after_w") for repeat in repeats]),
        pause_share=float(np.median([repeat.pause_share for repeat in repeats])),
    )


def _median(watts: list[float | None]) -> float | None:
    known = [one for one in watts if one is not None]
    return float(np.median(known)) if len(known) == len(watts) else None


class _Repeat:
    """One measurement by one meter."""

    def __init__(self, row: Measurement, readings: list[EnergyReading]) -> None:
        self._row = row
        self._readings = readings
        found = [reading.idle for reading in readings]
        self.idle: list[IdlePower] = [one for one in found if one is not None]
        self._is_complete = len(self.idle) == len(readings)

    @property
    def dynamic_j(self) -> float | None:
        """Return the dynamic joules per example; None if one device has none."""
        if not self._is_complete:
            return None
        total = 0.0
        for reading, idle in zip(self._readings, self.idle, strict=True):
            if idle.dynamic_joules is None:
                return None
            total += idle.dynamic_joules / self._row.examples_of(reading)
        return total

    @property
    def reasons(self) -> list[str]:
        lacking = [] if self._is_complete else ["the idle power was not measured"]
        return [*lacking, *(idle.reason for idle in self.idle if idle.reason)]

    @property
    def pause_share(self) -> float:
        paused = sum(idle.pause_joules for idle in self.idle)
        return paused / sum(reading.joules or 0.0 for reading in self._readings)

    def watts(self, when: str) -> float | None:
        found: list[float | None] = [getattr(idle, when) for idle in self.idle]
        known = [one for one in found if one is not None]
        return sum(known) if self._is_complete and len(known) == len(found) else None
