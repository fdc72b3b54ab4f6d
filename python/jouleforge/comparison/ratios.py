"""Ratios: one row over another in pairs, and the smallest that the method can tell from 1.

The resolution is what a study shows of itself: its baseline is measured twice in every block (A/A),
and whatever the two differ by is none of the engine's doing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from jouleforge import stats
from jouleforge.stats import Estimate, Interval


@dataclass(frozen=True, slots=True)
class Ratio:
    """A row over the baseline: geometric mean of the pairs, with its t interval."""

    value: float
    interval: Interval | None
    """`None` with fewer than two pairs."""
    pairs: int
    """Blocks in which both were measured."""
    bootstrap: Interval | None = None
    """The same from resampled blocks; `None` with fewer than ten."""
    resolution: float | None = None
    """The largest factor either way that an engine may differ from itself by; `None` if that was
    not measured."""

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """Return what is to be shown: the interval, and the bootstrap's where the two differ."""
        return stats.shown_intervals(self.interval, self.bootstrap)

    @property
    def excludes_one(self) -> bool:
        """Return whether every interval that is shown lies on one side of 1."""
        found = self.intervals
        return bool(found) and all(interval.excludes(1.0) for interval in found)

    @property
    def is_resolved(self) -> bool:
        """Return whether the effect exceeds that of an engine on itself, as far as is known."""
        return self.resolution is None or max(self.value, 1 / self.value) > self.resolution

    @property
    def shown(self) -> Literal["above", "below", "neither"]:
        """Return on which side of 1 the ratio is shown to lie."""
        if not (self.excludes_one and self.is_resolved):
            return "neither"
        return "above" if self.value > 1 else "below"


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a study cannot tell from no difference: one row against itself in the same blocks."""

    label: str
    """The row that was measured twice."""
    speed: Ratio
    """Examples per second of the second measurement over those of the first."""
    energy: Ratio | None
    """Joules per example of the second over those of the first; `None` without a common meter."""


def furthest(ratio: Ratio | None) -> float | None:
    """Return the furthest end of an A/A ratio's intervals from 1, as a factor above 1.

    The mean of as many pairs of equal engines stays within it in 95 of 100 cases or more.
    """
    if ratio is None or not ratio.intervals:
        return None
    return max(max(found.high, 1 / found.low) for found in ratio.intervals)


def limited(ratio: Ratio, resolution: Ratio | None) -> Ratio:
    """Return a ratio that knows the resolution."""
    return replace(ratio, resolution=furthest(resolution))


def paired(own: Mapping[int, float], other: Mapping[int, float]) -> Ratio | None:
    """Return the geometric mean of the ratios in common blocks; None if there is no such block."""
    pairs = [own[repeat] / other[repeat] for repeat in sorted(own.keys() & other.keys())]
    if not pairs:
        return None
    found = stats.geometric_mean(pairs)
    return Ratio(found.value, found.interval, len(pairs), found.bootstrap)


def per_correct(ratio: Ratio, correct: Estimate | None) -> Ratio | None:
    """Return the ratio of joules per right answer: that of joules over that of right answers."""
    if correct is None:
        return None
    found = stats.quotient(Estimate(ratio.value, ratio.interval), correct)
    return Ratio(found.value, found.interval, ratio.pairs, resolution=ratio.resolution)
