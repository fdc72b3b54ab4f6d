"""Trials: windows over loads that are known, which the examination of a counter is made of."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jouleforge import stats
from jouleforge._core import CounterMeter, GpuReading, SparedCore
from jouleforge.errors import GateError
from jouleforge.stored import Stored

Work = Callable[[], int]
"""How much of a load is done so far, in units of its own."""

Load = Callable[[float, float], AbstractContextManager[Work]]
"""Works for some seconds and rests for some, again and again, until the context is left."""

_WITHOUT_END_S = 3600.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each part takes, in s."""

    lead_s: float = 4.0
    """Before each window, and a little after it."""
    idle_s: float = 10.0
    steady_s: float = 25.0
    """Long enough for the counter's power to be compared with averages over a second."""
    perturbed_s: float = 20.0
    dense_s: float = 0.005
    """From read to read where it is tried whether reads do harm."""
    stretch_s: float = 2.0
    stretches: int = 20
    slow_s: float = 0.052
    """Half a batch that beats slowly with ticks of 100 ms."""
    fast_s: float = 0.005
    """Half a batch that does not."""
    again_s: float = 3.0
    """Windows of the same load, for A/A and for what the meter costs."""
    blocks: int = 6
    """Each has two windows with the meter and one without it, in random order."""
    shortest_s: float = 2.0


class Against(Stored):
    """One series of windows over another of the same load, in pairs."""

    ratio: float
    """Geometric mean of the pairs."""
    low: float
    """Its interval at 95 %, Student's t of the logarithms."""
    high: float
    pairs: int


@dataclass(frozen=True, slots=True)
class Again:
    """What the same load shows in window after window."""

    power: Against
    """The counter's power in every second window with the meter over that in the first (A/A)."""
    throughput: Against
    """The load's throughput with the meter over that without it."""


def window(
    meter: CounterMeter,
    load: AbstractContextManager[object],
    plan: Plan,
    length_s: float,
    *,
    edge_every_s: float = 0.0,
    read_every_s: float = 0.0,
) -> GpuReading:
    """Return a window of about this length within the load; edges are there whatever came of it.

    Raises:
        GateError: No two edges were seen; the message says why.
    """
    core = SparedCore()
    lasts_s = length_s + plan.lead_s
    with load:
        meter.start(
            lasts_s=lasts_s,
            shortest_s=plan.shortest_s,
            edge_every_s=edge_every_s,
            read_every_s=read_every_s,
            cpu=core.cpu,
        )
        time.sleep(lasts_s)
        found = meter.stop()
    if len(found.edges) < 2:
        raise GateError(f"the counter could not be examined: {found.reason}")
    return found


def power_w(found: GpuReading) -> float:
    """Return the power from the first edge to the last."""
    nanoseconds, millijoules = found.edges[-1] - found.edges[0]
    return float(millijoules) * 1e6 / float(nanoseconds)


def idle(meter: CounterMeter, plan: Plan) -> GpuReading:
    """Return a window with nothing to do."""
    return window(meter, nullcontext(), plan, plan.idle_s)


def steady(meter: CounterMeter, load: Load, plan: Plan) -> GpuReading:
    """Return a window of work without a pause."""
    return window(meter, load(_WITHOUT_END_S, 0.0), plan, plan.steady_s)


def perturbation(meter: CounterMeter, load: Load, plan: Plan) -> float:
    """Return by how much dense reads change the power, from two windows of each kind in turn."""
    watts: dict[float, list[float]] = {0.0: [], plan.dense_s: []}
    for read_every_s in (0.0, plan.dense_s) * 2:
        work = load(_WITHOUT_END_S, 0.0)
        found = window(meter, work, plan, plan.perturbed_s, read_every_s=read_every_s)
        watts[read_every_s].append(power_w(found))
    return float(np.mean(watts[plan.dense_s]) / np.mean(watts[0.0]) - 1)


def batches_ripple(meter: CounterMeter, load: Load, plan: Plan, half_s: float) -> float:
    """Return the ripple of stretches over batches that work and rest for `half_s` each."""
    length_s = plan.stretches * plan.stretch_s
    found = window(meter, load(half_s, half_s), plan, length_s, edge_every_s=plan.stretch_s)
    return ripple(found.edges)


def ripple(edges: NDArray[np.int64]) -> float:
    """Return the relative standard deviation of the power from edge to edge.

    Args:
        edges: Shape (edges, 2): instants [ns] and energy until then [mJ].
    """
    steps = np.diff(edges, axis=0).astype(np.float64)
    watts = steps[:, 1] / steps[:, 0]
    return float(watts.std(ddof=1) / watts.mean()) if len(watts) > 1 else 0.0


def again(meter: CounterMeter, load: Load, plan: Plan) -> Again:
    """Return what windows of the same load differ by, and what the meter costs the load.

    Every block has each kind of window once, in random order, so that what drifts is in all alike.
    """
    power: dict[str, list[float]] = {"first": [], "second": []}
    rates: dict[str, list[float]] = {"first": [], "without": []}
    shuffle = random.Random(0)
    for _ in range(plan.blocks):
        for kind in shuffle.sample(["first", "second", "without"], 3):
            watts, rate = _one(meter, load, plan, metered=kind != "without")
            if watts is not None:
                power[kind].append(watts)
            if kind in rates:
                rates[kind].append(rate)
    return Again(
        power=_against(power["second"], power["first"]),
        throughput=_against(rates["first"], rates["without"]),
    )


def _one(
    meter: CounterMeter, load: Load, plan: Plan, *, metered: bool
) -> tuple[float | None, float]:
    """Return the power of a window, if it is metered, and the load's units per second in it."""
    rates: list[float] = []
    work = _rated(load(_WITHOUT_END_S, 0.0), rates)
    if metered:
        found = window(meter, work, plan, plan.again_s)
        return power_w(found), rates[0]
    with work:
        time.sleep(plan.again_s + plan.lead_s)
    return None, rates[0]


@contextmanager
def _rated(load: AbstractContextManager[Work], rates: list[float]) -> Iterator[None]:
    """Put the load's units per second into the list when the block is left."""
    with load as done:
        before, begin_s = done(), time.monotonic()
        yield
        rates.append((done() - before) / (time.monotonic() - begin_s))


def _against(ones: list[float], others: list[float]) -> Against:
    found = stats.geometric_mean([one / other for one, other in zip(ones, others, strict=True)])
    assert found.interval is not None, "a plan has two blocks at least"
    return Against(
        ratio=found.value, low=found.interval.low, high=found.interval.high, pairs=len(ones)
    )
