"""Collectors: from the statistics of a tensor to the range its values are to keep to.

Each finds the magnitude beyond which values are clipped; the range is what was seen, cut there. So
one result serves unsigned activations with a zero point and signed ones without.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from jouleforge.converters.calibration.statistics import BINS, TensorStatistics
from jouleforge.converters.precision import Range
from jouleforge.errors import GateError

COLLECTORS = ("minmax", "percentile:99.99", "entropy", "mse")
"""What `auto` tries."""

# Levels of a signed 8-bit number on one side of zero.
_LEVELS = 128
_CANDIDATES = 200

Clip = Callable[[TensorStatistics], float]


def ranges(statistics: Mapping[str, TensorStatistics], collector: str) -> dict[str, Range]:
    """Return the range of each tensor.

    Args:
        statistics: What was seen of each tensor.
        collector: `minmax`, `percentile:P`, `entropy` or `mse`.

    Raises:
        GateError: A tensor never differed from one value, so that it has no range.
    """
    clip = _clip(collector)
    found = {}
    for name, seen in statistics.items():
        if not seen.high > seen.low:
            raise GateError(
                f"calibration failed: {name} was {seen.low:g} on every row; are the rows constant, "
                "or the weights zero?"
            )
        bound = clip(seen)
        found[name] = Range(low=max(seen.low, -bound), high=min(seen.high, bound))
    return found


def _clip(collector: str) -> Clip:
    name, _, percent = collector.partition(":")
    if name == "percentile":
        return lambda seen: _percentile(seen, float(percent))
    return {"minmax": lambda seen: seen.bound, "entropy": _entropy, "mse": _mse}[name]


def _percentile(seen: TensorStatistics, percent: float) -> float:
    """Return the magnitude below which that share of all values lies."""
    cumulated = np.cumsum(seen.histogram())
    place = np.searchsorted(cumulated, cumulated[-1] * percent / 100)
    return seen.bound * float(min(place + 1, BINS)) / BINS


def _mse(seen: TensorStatistics) -> float:
    """Return the clip that makes the mean squared error of 8-bit rounding and clipping least.

    Inside the range an error is uniform within one step, so its square is step**2 / 12 on average.
    """
    counts = seen.histogram()
    centres = (np.arange(BINS) + 0.5) * seen.bound / BINS
    bounds = np.linspace(1 / _CANDIDATES, 1, _CANDIDATES) * seen.bound
    steps = (np.minimum(seen.high, bounds) - np.maximum(seen.low, -bounds)) / 255
    beyond = np.maximum(centres[None, :] - bounds[:, None], 0.0)
    errors = (beyond**2 @ counts) + steps**2 / 12 * counts.sum()
    return float(bounds[np.argmin(errors)])


def _entropy(seen: TensorStatistics) -> float:
    """Return the clip whose 8-bit distribution loses the least information.

    Kullback-Leibler divergence between the clipped histogram and its 128-level form (S. Migacz,
    "8-bit Inference with TensorRT", GTC 2017), over 2,048 bins. With as many bins as levels nothing
    would ever be clipped.
    """
    counts = seen.histogram()
    counts[0] = counts[1]  # exact zeros and near zeros cost nothing and would decide everything
    ends = np.arange(_LEVELS, BINS + 1, 8)
    losses = [_divergence(counts, int(end)) for end in ends]
    return seen.bound * float(ends[int(np.argmin(losses))]) / BINS


def _divergence(counts: NDArray[np.float64], end: int) -> float:
    kept = counts[:end]
    reference = kept.copy()
    reference[-1] += counts[end:].sum()
    starts = np.arange(_LEVELS) * end // _LEVELS
    occupied = (kept > 0).astype(np.float64)
    totals, sizes = np.add.reduceat(kept, starts), np.add.reduceat(occupied, starts)
    level = np.divide(totals, sizes, out=np.zeros_like(totals), where=sizes > 0)
    widths = np.diff(np.append(starts, end))
    quantized = np.repeat(level, widths) * occupied
    return _kl(reference, quantized)


def _kl(reference: NDArray[np.float64], quantized: NDArray[np.float64]) -> float:
    """Return the divergence of two unnormalised histograms; a lost bin weighs heavily, not all."""
    if not quantized.sum():
        return np.inf
    p, q = reference / reference.sum(), quantized / quantized.sum()
    some = p > 0
    return float(np.sum(p[some] * np.log(p[some] / np.maximum(q[some], 1e-9))))
