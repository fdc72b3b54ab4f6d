"""Statistics: the intervals and tests behind every number that a report prints.

All intervals are two-sided at 95 %. None is corrected for the number of rows of a table. How often
each holds the truth is simulated by bench/interval_coverage.py. Percentiles are in `quantiles`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binom, norm, t

CONFIDENCE = 0.95
TAIL = (1 - CONFIDENCE) / 2
FEWEST_BLOCKS = 10
"""From this many blocks on they are resampled; of fewer, a resample knows too little."""

NARROW = 0.01
"""Half-width, on the logarithmic scale, at which a study stops to add blocks."""

_Z = float(norm.ppf(1 - TAIL))
_DRAWS = 10_000
_SEED = 20261121
_AGREEMENT = 0.2
"""Share of its half-length by which an end may differ before a second interval is shown too."""


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
    bootstrap: Interval | None = None
    """The same from resampled blocks; `None` with fewer than ten."""
    within_block: bool = False
    """Whether the interval takes the values of a block for independent: it is then too short by
    whatever they have in common."""

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """Return what is to be shown: the interval, and the bootstrap's where the two differ."""
        return shown_intervals(self.interval, self.bootstrap)


def shown_intervals(interval: Interval | None, bootstrap: Interval | None) -> tuple[Interval, ...]:
    """Return an interval, and with it the bootstrap's if an end differs by over 20 %.

    On the logarithmic scale, in shares of the first interval's half-length. Differing intervals
    tell of outliers or of skew, which neither of the two can be trusted to have caught.
    """
    if interval is None:
        return ()
    if bootstrap is None:
        return (interval,)
    low, high, other_low, other_high = (
        math.log(end) for end in (interval.low, interval.high, bootstrap.low, bootstrap.high)
    )
    furthest = max(abs(low - other_low), abs(high - other_high))
    # Of equal values both intervals are a point, up to rounding.
    differ = furthest > _AGREEMENT * (high - low) / 2 + 1e-9
    return (interval, bootstrap) if differ else (interval,)


def half_width(found: Estimate) -> float | None:
    """Return half the length of the interval on the logarithmic scale; None where there is none."""
    if found.interval is None:
        return None
    return math.log(found.interval.high / found.interval.low) / 2


@cache
def block_counts(blocks: int) -> NDArray[np.float64]:
    """Return how often each block stands in each of 10,000 seeded draws with replacement.

    Returns:
        Shape (draws, blocks); each row adds up to the number of blocks.
    """
    random = np.random.default_rng(_SEED)
    return random.multinomial(blocks, [1 / blocks] * blocks, size=_DRAWS).astype(np.float64)


def geometric_mean(values: Sequence[float], *, resampled: bool = True) -> Estimate:
    """Return the geometric mean of positive values, one a block, with two intervals.

    The interval is Student's t of the logarithms. From ten values on there is the bootstrap's too,
    which does not take them for normal: the percentiles of the means of 10,000 resamples, at the
    levels that a t interval has and not at 2.5 %, without which it holds the truth in 90 of 100
    cases (Hesterberg, The American Statistician 69, 2015, 371-386: the expanded percentile).

    Of paired ratios this is the ratio of the pair, and the same whichever way round it is taken.

    Args:
        values: What to take the mean of.
        resampled: Whether the bootstrap's interval is wanted, which takes most of the time.
    """
    logs = np.log(np.asarray(values, dtype=np.float64))
    mean, count = float(logs.mean()), len(logs)
    if count < 2:
        return Estimate(math.exp(mean), None)
    half = float(t.ppf(1 - TAIL, count - 1) * logs.std(ddof=1) / math.sqrt(count))
    interval = Interval(math.exp(mean - half), math.exp(mean + half))
    return Estimate(math.exp(mean), interval, bootstrap=_bootstrap(logs) if resampled else None)


def _bootstrap(logs: NDArray[np.float64]) -> Interval | None:
    """Return the expanded percentile interval of the mean of logarithms, as factors."""
    count = len(logs)
    if count < FEWEST_BLOCKS:
        return None
    means = block_counts(count) @ logs / count
    expanded = norm.cdf(math.sqrt(count / (count - 1)) * t.ppf(TAIL, count - 1))
    low, high = np.quantile(means, (expanded, 1 - expanded))
    return Interval(math.exp(low), math.exp(high))


def median_of_repeats(values: Sequence[float]) -> Estimate:
    """Return the median of positive values with the intervals of their geometric mean.

    The median is what a single slow repeat cannot move. An interval of the median itself would need
    six repeats.
    """
    return replace(geometric_mean(values), value=float(np.median(values)))


def scaled(found: Estimate, factor: float) -> Estimate:
    """Return an estimate in another unit; the factor is positive."""

    def times(interval: Interval | None) -> Interval | None:
        return interval and Interval(interval.low * factor, interval.high * factor)

    return replace(
        found,
        value=found.value * factor,
        interval=times(found.interval),
        bootstrap=times(found.bootstrap),
    )


def quotient(dividend: Estimate, divisor: Estimate) -> Estimate:
    """Return the quotient of two independent estimates of positive quantities.

    On the logarithmic scale, the distances of the ends from the values are added as standard errors
    are (MOVER: Zou and Donner, Statistics in Medicine 27, 2008, 1693-1702). This keeps the interval
    lopsided where one of the two is, as Wilson's is near 1. There is none where one has none.
    """
    value = dividend.value / divisor.value
    top, bottom = dividend.interval, divisor.interval
    if top is None or bottom is None:
        return Estimate(value, None)
    down = _length(dividend.value / top.low, bottom.high / divisor.value)
    up = _length(top.high / dividend.value, divisor.value / bottom.low)
    return Estimate(value, Interval(value / down, value * up))


def _length(one: float, other: float) -> float:
    """Return the factor whose logarithm is as long as those of two factors at right angles."""
    return math.exp(math.hypot(math.log(one), math.log(other)))


def wilson(successes: int, count: int) -> Interval:
    """Return Wilson's score interval of a proportion (Wilson, JASA 22, 1927)."""
    return _score(successes, count, _Z)


def _score(successes: int, count: int, z: float) -> Interval:
    """Return the score interval of a proportion that reaches z standard errors."""
    share, spread = successes / count, z**2 / count
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
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


def paired_proportions(*, both: int, gained: int, lost: int) -> Estimate | None:
    """Return the quotient of two accuracies over the same examples, with its interval.

    Bonett and Price's hybrid of Wilson intervals (Statistics in Medicine 25, 2006, 3039-3047, as
    written out by Fagerland, Lydersen and Laake, Statistics in Medicine 33, 2014, 2850-2875): the
    two score intervals are narrowed by what the pairs have in common.

    Args:
        both: Examples that both engines answer rightly.
        gained: Examples that only the new engine answers rightly.
        lost: Examples that only the old one does.

    Returns:
        New over old; `None` where one of them is never right.
    """
    new, old, count = both + gained, both + lost, both + gained + lost
    if not new or not old:
        return None
    common = math.sqrt((gained + lost + 2) / ((new + 1) * (old + 1)))
    apart = sum(math.sqrt((1 - (one + 1) / (count + 2)) / (one + 1)) for one in (new, old))
    z = _Z * common / apart
    own, other = (_score(one, count, z) for one in (new, old))
    return Estimate(new / old, Interval(own.low / other.high, own.high / other.low))
