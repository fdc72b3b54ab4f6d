"""Statistics: the intervals and tests behind every number that a report prints.

All intervals are two-sided at 95 %. None is corrected for the number of rows of a table.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binom, norm, t

CONFIDENCE = 0.95

_TAIL = (1 - CONFIDENCE) / 2
_Z = float(norm.ppf(1 - _TAIL))


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided 95 % interval, ends included."""

    low: float
    high: float

    def excludes(self, value: float) -> bool:
        """Return whether a value lies outside."""
        return not self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval; `None` where the data are too few for one."""

    value: float
    interval: Interval | None


@cache
def quantile_ranks(count: int, level: float) -> tuple[int, int] | None:
    """Return the ranks (1 is the smallest) of the order statistics that enclose a quantile.

    Distribution-free: how many of `count` independent values lie below the quantile is binomial.

    Returns:
        Ranks of the lower and the upper end, or `None` if one does not exist: with fewer than
        `fewest_for_quantile(level)` values even the largest may well lie below the quantile.
    """
    low = int(binom.ppf(_TAIL, count, level))
    high = int(binom.ppf(1 - _TAIL, count, level)) + 1
    return (low, high) if low >= 1 and high <= count else None


def fewest_for_quantile(level: float) -> int:
    """Return how many values a quantile of at least a half needs for both ends to exist."""
    return math.ceil(math.log(_TAIL) / math.log(level))


def percentile(values: NDArray[np.float64], level: float) -> Estimate | None:
    """Return a quantile of the values, or `None` where they are too few to bound it from above.

    Args:
        values: One-dimensional, in any order.
        level: Between 0 and 1; 0.95 is the 95th percentile.
    """
    ranks = quantile_ranks(len(values), level)
    if ranks is None:
        return None
    ordered = np.sort(values)
    # An observed value, never one between two: it lies within its interval by construction.
    value = float(np.quantile(ordered, level, method="inverted_cdf"))
    low, high = ranks
    return Estimate(value, Interval(float(ordered[low - 1]), float(ordered[high - 1])))


def geometric_mean(values: Sequence[float]) -> Estimate:
    """Return the geometric mean of positive values with the t interval of their logarithms.

    Of paired ratios this is the ratio of the pair, and the same whichever way round it is taken.
    """
    logs = np.log(np.asarray(values, dtype=np.float64))
    mean = float(logs.mean())
    if len(logs) < 2:
        return Estimate(math.exp(mean), None)
    half = float(t.ppf(1 - _TAIL, len(logs) - 1) * logs.std(ddof=1) / math.sqrt(len(logs)))
    return Estimate(math.exp(mean), Interval(math.exp(mean - half), math.exp(mean + half)))


def median_of_repeats(values: Sequence[float]) -> Estimate:
    """Return the median of positive values with the t interval of their logarithms.

    The median is what a single slow repeat cannot move. The interval is that of the geometric mean:
    one of the median itself would need six repeats.
    """
    return Estimate(float(np.median(values)), geometric_mean(values).interval)


def wilson(successes: int, count: int) -> Interval:
    """Return Wilson's score interval of a proportion (Wilson, JASA 22, 1927)."""
    share, spread = successes / count, _Z**2 / count
    centre = (share + spread / 2) / (1 + spread)
    half = _Z * math.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def mcnemar_p(*, gained: int, lost: int) -> float:
    """Return the two-sided exact p-value of McNemar's test.

    Args:
        gained: Examples that only the new engine answers rightly.
        lost: Examples that only the old one does.
    """
    return min(1.0, 2 * float(binom.cdf(min(gained, lost), gained + lost, 0.5)))


def paired_difference(*, gained: int, lost: int, count: int) -> Estimate:
    """Return the difference of two accuracies over the same examples, with Tango's interval.

    The score interval of Tango (Statistics in Medicine 17, 1998, 891-908): it inverts the test with
    the variance that a difference itself implies, and so exists where no example changed sides.

    Args:
        gained: Examples that only the new engine answers rightly.
        lost: Examples that only the old one does.
        count: All examples.
    """
    value = (gained - lost) / count

    def excess(difference: float) -> float:
        """Return by how much the squared distance exceeds what 95 % of the samples stay within."""
        return (gained - lost - count * difference) ** 2 - _Z**2 * count * _variance(
            difference, gained=gained, lost=lost, count=count
        )

    # The excess is 0 at the estimate itself when the variance is: the root sought lies beyond.
    step = 1e-9
    low = brentq(excess, -1.0, value - step) if value > -1 else -1.0
    high = brentq(excess, value + step, 1.0) if value < 1 else 1.0
    return Estimate(value, Interval(float(low), float(high)))


def _variance(difference: float, *, gained: int, lost: int, count: int) -> float:
    """Return the variance of one pair's difference, most likely given the data and its mean."""
    linear = (2 * count - gained + lost) * difference - gained - lost
    constant = -lost * difference * (1 - difference)
    root = math.sqrt(max(0.0, linear**2 - 8 * count * constant))
    lost_share = (root - linear) / (4 * count)
    return 2 * lost_share + difference * (1 - difference)
