"""Latencies: the percentiles of a row's batches or queries, and what queued ones are worth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from jouleforge.measurement import Measurement, Timing
from jouleforge.quantiles import fewest_for_quantile, percentile, queued_worth
from jouleforge.stats import Estimate

LEVELS = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
"""The percentiles that are given, by name."""

BUSIEST = 0.8
"""Up to this load the intervals of queued latencies were seen to hold in 93 to 97 of 100 cases
(bench/interval_coverage.py). At 0.85 that of p99 holds in 92, so none is given from there on."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """Percentiles over the batches, or queries, of all repeats and passes together."""

    count: int
    """Batches or queries timed."""
    percentiles_s: dict[str, Estimate | None]
    """By the names of `LEVELS`; `None` where too few values bound one."""
    load: float | None
    """Share of the time that the engine worked, where queries arrived by themselves; it is 1 where
    they arrived faster than they were answered."""
    worth: float | None
    """How many independent latencies one in the queue is worth; `None` where there is no queue."""

    @property
    def is_too_busy(self) -> bool:
        """Whether percentiles are given without intervals, since these would be too short."""
        return self.load is not None and BUSIEST < self.load < 1

    def fewest(self, name: str) -> int | None:
        """Return how many values a percentile needs; `None` if no number is enough."""
        return fewest_for_quantile(LEVELS[name], self.worth)


def latencies(repeats: Sequence[Measurement]) -> Latencies:
    """Return the percentiles of a cell's repeats."""
    blocks_s = [row.timing.latency_ns().ravel() / 1e9 for row in repeats]
    load = _load(repeats)
    worth = None if load is None else queued_worth(load, _variation(repeats))
    found = {name: percentile(blocks_s, level, worth=worth) for name, level in LEVELS.items()}
    if load is not None and load > BUSIEST:
        found = {name: _without_interval(estimate) for name, estimate in found.items()}
    return Latencies(count=sum(map(len, blocks_s)), percentiles_s=found, load=load, worth=worth)


def _without_interval(found: Estimate | None) -> Estimate | None:
    return replace(found, interval=None, within_block=False) if found else None


def services_ns(timing: Timing) -> NDArray[np.int64]:
    """Return how long the engine worked for each query of `server`, by when the last one ended."""
    if timing.arrivals is None:
        return timing.latency_ns().ravel()
    intended_ns = timing.arrivals.intended_ns.unpack().ravel()
    ends_ns = intended_ns + timing.latency_ns().ravel()
    begins_ns = np.maximum(intended_ns, np.concatenate([[0], ends_ns[:-1]]))
    return np.asarray(ends_ns - begins_ns, dtype=np.int64)


def _load(repeats: Sequence[Measurement]) -> float | None:
    """Return what arrives per second over what is answered; the busiest repeat's, at most 1."""
    found = [
        row.timing.arrivals.rate_per_s * float(services_ns(row.timing).mean()) / 1e9
        for row in repeats
        if row.timing.arrivals is not None
    ]
    return min(1.0, max(found)) if found else None


def _variation(repeats: Sequence[Measurement]) -> float:
    """Return the squared coefficient of variation of the service time."""
    times = np.concatenate([services_ns(row.timing) for row in repeats])
    return float(times.var() / times.mean() ** 2)
