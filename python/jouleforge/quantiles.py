"""Quantiles of batch times, and the intervals they deserve.

Batches of one block share a process, a temperature and neighbours: their times are no independent
draws. Where a row has enough blocks, how much the blocks differ decides how wide the interval is;
else the interval takes batches for independent, and says so (`Estimate.within_block`).

Queries that waited in one queue are never taken for independent: see `percentile`.
"""

import math
from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betainc
from scipy.stats import binom, norm, t

from jouleforge.stats import FEWEST_BLOCKS, TAIL, Estimate, Interval, block_counts

_PRESENT = 10
"""Values beyond a quantile (on its thinner side) from which on blocks can tell its interval: at
1000 batches for p99, 200 for p95."""
_ROUNDS = 4
"""After which the effective count stays the same to a percent."""
_LEVELS = (0.5, 0.9, 0.95, 0.99, 0.999)
_STRETCHES = 20
"""Where there are too few blocks of queued queries, they are cut into so many parts altogether."""
_QUEUED_SURE = 3.0
"""Times as many independent values as a quantile needs, queued ones must be worth: the times that
decide whether they are enough are those of the quantile, and lucky ones would be let through."""
_QUEUED_CARE = 0.05
"""For each level further out, the count is lowered by this: fewer busy spells decide it."""
_MOST = 1e8
"""More independent values than this make no difference; the beta function is exact up to here."""


@cache
def quantile_ranks(count: int, level: float) -> tuple[int, int] | None:
    """Return the ranks (1 is the smallest) of the order statistics that enclose a quantile.

    Distribution-free: how many of `count` independent values lie below the quantile is binomial.

    Returns:
        Ranks of the lower and the upper end, or `None` if one does not exist: with fewer than
        `fewest_for_quantile(level)` values even the largest may well lie below the quantile.
    """
    low = int(binom.ppf(TAIL, count, level))
    high = int(binom.ppf(1 - TAIL, count, level)) + 1
    return (low, high) if low >= 1 and high <= count else None


def fewest_for_quantile(level: float, worth: float | None = None) -> int | None:
    """Return how many values a quantile of at least a half needs for both ends to exist.

    Args:
        level: Between 0.5 and 1.
        worth: As in `percentile`.

    Returns:
        A number of values; `None` if no number is enough, since the queue only grows.
    """
    fewest = math.ceil(math.log(TAIL) / math.log(level))
    if worth is None:
        return fewest
    return math.ceil(_QUEUED_SURE * fewest / worth) if worth > 0 else None


def queued_worth(load: float, service_variation: float) -> float:
    """Return how many independent latencies one latency of a queue is worth.

    Of queries that arrive at random and are served one by one in their order. The busier the worker
    the longer the queue remembers: 1.75 (1 - load)^2 / (1 + service_variation) tells the variance
    of the median within a tenth at loads from 0.5 to 0.85, simulated.

    Args:
        load: Share of the time that the worker is busy; from 1 on the queue has no steady state.
        service_variation: Squared coefficient of variation of the service time.
    """
    return min(1.0, 1.75 * max(0.0, 1 - load) ** 2 / (1 + service_variation))


def percentile(
    blocks: Sequence[NDArray[np.float64]], level: float, *, worth: float | None = None
) -> Estimate | None:
    """Return a quantile over all blocks, or `None` where the values are too few to bound it.

    The interval is that of fractional order statistics (Hutson, Journal of Applied Statistics 26,
    1999, 343-353): of as many as there are values, if these are taken for independent, or of as
    many as the difference between the blocks leaves (`_effective_count`).

    Args:
        blocks: The values of each block, one-dimensional, in any order and number.
        level: Between 0 and 1; 0.95 is the 95th percentile.
        worth: Of latencies that stand in the order of their arrival in a queue: how many
            independent ones each is worth (`queued_worth`). The interval is then taken from the
            blocks or, where these are too few, from stretches of them; there is none, and `None` is
            returned, where they are worth too few.
    """
    ordered = np.sort(np.concatenate(list(blocks))) if blocks else np.empty(0)
    count = len(ordered)
    if quantile_ranks(count, level) is None:
        return None
    # An observed value, never one between two.
    value = float(np.quantile(ordered, level, method="inverted_cdf"))
    by_block = _tells(len(blocks), count, level)
    if worth is not None:
        fewest = fewest_for_quantile(level, worth)
        if fewest is None or count < fewest:
            return None
        independent = _queued_count(blocks if by_block else _stretches(blocks), ordered, level)
    else:
        independent = _effective_count(blocks, value, level) if by_block else float(count)
    # The positions are those of n + 1 gaps between n values, as fractional order statistics have.
    ends = np.quantile(ordered, _positions(independent, level), method="weibull")
    low, high = (float(end) for end in ends)
    # Where a half of the batches is short and a half is long, all between the two are medians.
    above = ordered[min(count - 1, math.floor(level * count + 1e-9))]
    interval = Interval(min(low, value), max(high, value, float(above)))
    return Estimate(value, interval, within_block=not by_block)


def _tells(blocks: int, count: int, level: float) -> bool:
    """Return whether there are blocks and values enough to take the interval from the blocks."""
    return blocks >= FEWEST_BLOCKS and min(level, 1 - level) * count > _PRESENT - 1e-6


def _stretches(blocks: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Return consecutive parts of the blocks, long beside the time in which a queue forgets."""
    each = math.ceil(_STRETCHES / len(blocks))
    return [part for block in blocks for part in np.array_split(block, each) if len(part)]


def _queued_count(
    parts: Sequence[NDArray[np.float64]], ordered: NDArray[np.float64], level: float
) -> float:
    """Return how many independent values those of a queue are worth, at most, for a quantile.

    Of a high quantile, parts in which the queue happened to stay short say both that it is low and
    that it is well known; they say less of that at the lower quantiles, which are looked at too.
    """
    counts = [
        _effective_count(parts, float(np.quantile(ordered, each, method="inverted_cdf")), each)
        for each in _LEVELS
        if each <= level
    ]
    care = 1 + _QUEUED_CARE * (len(counts) - 1)
    return max(1.0, min(float(len(ordered)), *counts) / care)


@lru_cache(maxsize=256)
def _positions(count: float, level: float) -> tuple[float, float]:
    """Return between which shares of `count` independent values the quantile lies.

    The share of a population below its r-th of n values is distributed as Beta(r, n + 1 - r), and
    so it is for a fraction r; the ends are where it lies beyond the quantile in 2.5 % of the cases.
    """
    places = count + 1
    margin = min(1e-9, 1e-3 / places)

    def beyond(share: float) -> float:
        return float(betainc(share * places, (1 - share) * places, level))

    low = brentq(lambda share: beyond(share) - (1 - TAIL), margin, 1 - margin, xtol=1e-12)
    high = brentq(lambda share: beyond(share) - TAIL, margin, 1 - margin, xtol=1e-12)
    return float(low), float(high)


def _effective_count(blocks: Sequence[NDArray[np.float64]], value: float, level: float) -> float:
    """Return how many independent values would bound the quantile as well as the blocks do.

    The share of values up to the quantile is computed anew for 10,000 draws of whole blocks; its
    variance, over that of independent values, is the design effect of a survey in clusters, and
    the count over it the effective count (Korn and Graubard, Survey Methodology 24, 1998, 193-201).
    The variance is known from few blocks only: the count is lowered by what Student's t asks for,
    with degrees of freedom that allow for the kurtosis of a binomial share, since few of the values
    beyond a high percentile decide everything (Satterthwaite, Biometrics Bulletin 2, 1946, 110-114,
    with Var(s2) = sigma^4 (2 / (B - 1) + kurtosis / B)).

    The percentile bootstrap holds a percentile in 79 to 90 of 100 cases of ten blocks instead; see
    bench/interval_coverage.py.
    """
    below = np.array([np.count_nonzero(block <= value) for block in blocks], dtype=np.float64)
    sizes = np.array([len(block) for block in blocks], dtype=np.float64)
    number, spread = len(blocks), level * (1 - level)
    draws = block_counts(number)
    # A resampled variance is too small by a factor of (B - 1) / B.
    variance = float(np.var(draws @ below / (draws @ sizes))) * number / (number - 1)
    if variance < spread / _MOST:
        return _MOST
    independent = count = spread / variance
    for _ in range(_ROUNDS):  # the kurtosis is that of the count that it leads to
        kurtosis = max(0.0, (1 - 6 * spread) / (spread * count))
        freedom = max(1.0, 2 / (2 / (number - 1) + kurtosis))
        count = independent * float(norm.ppf(TAIL) / t.ppf(TAIL, freedom)) ** 2
    return count
