"""Answers: how good those of a row are, and how they differ from the baseline's."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from jouleforge import stats
from jouleforge.comparison.cells import Cell
from jouleforge.measurement import Measurement
from jouleforge.stats import Interval

# Metrics that are the share of examples answered rightly, for which Wilson's interval holds.
_SHARES = ("accuracy", "subset_accuracy")


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


def headline(measurement: Measurement) -> float | None:
    """Return the value of the task's own metric; None where it is undefined."""
    return measurement.quality.metrics.get(measurement.quality.headline)


def headline_interval(measurement: Measurement) -> Interval | None:
    """Return Wilson's interval of a metric that is a share of examples; None for others."""
    value, count = headline(measurement), measurement.facts.examples
    if value is None or measurement.quality.headline not in _SHARES:
        return None
    return stats.wilson(round(value * count), count)


def decisions_equal(one: Measurement, other: Measurement) -> int | None:
    """Return how many examples two runs answer alike; None for a regression, which decides none."""
    if one.facts.kind == "regression":
        return None
    same = one.quality.decisions.unpack() == other.quality.decisions.unpack()
    return int(np.sum(same if same.ndim == 1 else same.all(axis=1)))


def accuracy_difference(cell: Cell, baseline: Cell) -> AccuracyDifference | None:
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


def unsteady(repeats: list[Measurement]) -> str:
    """Return how far the answers of repeats differ whose logits do."""
    first, *others = repeats
    equal = [decisions_equal(first, other) for other in others]
    most = (
        max(first.facts.examples - count for count in equal if count is not None)
        if (None not in equal)
        else None
    )
    answers = {None: "", 0: ", but equal answers"}.get(
        most, f", and up to {most} different answers"
    )
    return f"The repeats gave different logits{answers}; the answers shown are the first's."
