"""Scenarios: how queries reach the engine, and the times that follow.

`offline`, `single-stream` and `multi-stream` are closed loops, in which the next query waits for
the last; they differ in what a query is. In `server` queries arrive when they are meant to.
"""

import logging
import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jouleforge._core import Runner, Trace, run_closed_loop, serve_queries
from jouleforge.errors import InputError
from jouleforge.measurement import Timing, WorkloadSpec
from jouleforge.packed import PackedArray
from jouleforge.schedule import Arrivals, Schedule

_log = logging.getLogger(__name__)

_MOST_QUERIES = 2**24
"""The native loop keeps so many."""
_MOST_LOAD = 10.0
"""All that arrive are answered, so that an overload lasts as much longer than it was meant to."""


@dataclass(frozen=True, slots=True)
class Timed:
    """What the timed loop of a scenario saw."""

    trace: Trace
    warmed: Trace
    """Of the loop that was warmed up: the same one, unless queries arrive by themselves."""
    arrivals: Arrivals | None
    """`None` where the next query waits for the last."""

    @property
    def overload(self) -> str | None:
        """Return by how much more arrived than was answered; `None` if it was not more."""
        if self.arrivals is None:
            return None
        stamps_ns, pauses = self.trace.stamps_ns, self.trace.pauses
        waited_ns = int((pauses[:, 2] - pauses[:, 1]).sum())
        busy_s = (int(stamps_ns[-1] - stamps_ns[0]) - waited_ns) / 1e9
        answered_per_s = (len(stamps_ns) - 1) / busy_s
        if self.arrivals.rate_per_s < answered_per_s:
            return None
        return (
            f"{self.arrivals.rate_per_s:.4g} queries arrived per second, and working without a "
            f"break it answered {answered_per_s:.4g}: the queue grew until the end of the window."
        )

    def timing(self, *, batches: int, load_s: float) -> Timing:
        """Return the row's times; a latency counts from the intended arrival if there is one."""
        trace = self.trace
        times_ns = np.diff(trace.stamps_ns)
        if self.arrivals is None:
            for run, begin_ns, end_ns in trace.pauses:
                if run < len(times_ns):  # else no run came after it
                    times_ns[run] -= end_ns - begin_ns
            wall_ns = int(times_ns.sum())
        else:
            wall_ns = int(trace.stamps_ns[-1] - trace.stamps_ns[0])
            intended_ns = self.arrivals.intended_ns.unpack().ravel()
            times_ns = trace.stamps_ns[1:] - trace.first_start_ns - intended_ns
        return Timing(
            load_s=load_s,
            passes=trace.passes,
            wall_s=wall_ns / 1e9,
            latencies_ns=PackedArray.pack(times_ns.reshape(trace.passes, batches)),
            arrivals=self.arrivals,
            warmup_s=self.warmed.warmup_s,
            warmup_runs=self.warmed.warmup_runs,
            steady=self.warmed.steady,
        )


def fitted(spec: WorkloadSpec, schedule: Schedule) -> WorkloadSpec:
    """Return the workload in the batches that the scenario's queries are.

    Raises:
        InputError: The workload asks for others.
    """
    given = spec.batch_size if "batch_size" in spec.model_fields_set else None
    padding = spec.padding
    if schedule.scenario == "multi-stream" and "padding" not in spec.model_fields_set:
        padding = "longest"
    if reason := schedule.misfit(batch_size=given, padding=padding):
        raise InputError(reason)
    size = schedule.query_size or spec.batch_size
    return spec.model_copy(update={"batch_size": size, "padding": padding})


def run(
    runner: Runner,
    *,
    batches: int,
    schedule: Schedule,
    lasts_s: float,
    on_warm: Callable[[], object],
    sensor_tick_s: float = 0.0,
    arrival_seed: int | None = None,
) -> Timed:
    """Warm up, call `on_warm`, and time whole passes as the schedule's scenario has it.

    Args:
        runner: What to run.
        batches: How many batches, or queries, make one pass; they run in their order.
        schedule: The scenario, and how long to run.
        lasts_s: The timed loop lasts so long, in place of the schedule's duration.
        on_warm: Called just before the timed loop: the place to open an energy window.
        sensor_tick_s: The tick of a power sensor that looks a part of the time only, else 0.
        arrival_seed: Of the arrivals; `None` draws one, which the result names.

    Raises:
        InputError: More queries would arrive than can be kept, or ten times as many as are
            answered.
        KeyboardInterrupt: The loop was interrupted.
        RunnerError: The runtime failed.
    """
    if schedule.scenario == "server":
        warmed = _warmed(runner, batches=batches, schedule=schedule)
        span_s = int(warmed.stamps_ns[-1] - warmed.stamps_ns[0]) / 1e9
        capacity_per_s = warmed.passes * batches / span_s
        arrivals = _arrivals(capacity_per_s, batches, schedule, lasts_s, arrival_seed)
        due_ns = arrivals.intended_ns.unpack().ravel()
        _log.info("%d queries arrive within %.3g s", len(due_ns), due_ns[-1] / 1e9)
        on_warm()
        trace = serve_queries(runner, order=range(batches), due_ns=due_ns, wait=schedule.wait)
        return Timed(trace, warmed, arrivals)
    trace = run_closed_loop(
        runner,
        order=range(batches),
        warmup_s=schedule.warmup_s,
        duration_s=lasts_s,
        min_passes=schedule.min_passes,
        on_warm=on_warm,
        sensor_tick_s=sensor_tick_s,
        longest_warmup_s=schedule.trend_limit_s,
    )
    return Timed(trace, trace, None)


def _warmed(runner: Runner, *, batches: int, schedule: Schedule) -> Trace:
    """Return what was answered one after the other, warmed up, in the length of the warm-up."""
    return run_closed_loop(
        runner,
        order=range(batches),
        warmup_s=schedule.warmup_s,
        duration_s=schedule.warmup_s,
        min_passes=1,
        longest_warmup_s=schedule.trend_limit_s,
    )


def _arrivals(
    capacity_per_s: float, batches: int, schedule: Schedule, lasts_s: float, seed: int | None
) -> Arrivals:
    rate_per_s = schedule.rate_per_s or capacity_per_s * (schedule.load or 1.0)
    if rate_per_s > _MOST_LOAD * capacity_per_s:
        raise InputError(
            f"{rate_per_s:.4g} queries per second are more than {_MOST_LOAD:g} times the "
            f"{capacity_per_s:.4g} that are answered one after the other; lower the rate"
        )
    seed = secrets.randbits(32) if seed is None else seed
    passes = schedule.min_passes
    due_ns = poisson(rate_per_s, queries=batches, lasts_s=lasts_s, min_passes=passes, seed=seed)
    return Arrivals(
        rate_per_s=rate_per_s,
        capacity_per_s=capacity_per_s,
        seed=seed,
        intended_ns=PackedArray.pack(due_ns.reshape(-1, batches)),
    )


def poisson(
    rate_per_s: float, *, queries: int, lasts_s: float, min_passes: int, seed: int
) -> NDArray[np.int64]:
    """Return the arrivals of whole passes in ns from the beginning, with exponential gaps.

    Args:
        rate_per_s: Mean arrivals per second.
        queries: How many make one pass.
        lasts_s: The last one arrives no sooner than this; so many passes are drawn.
        min_passes: Passes at least.
        seed: The same seed, rate and length give the same arrivals.

    Raises:
        InputError: They are more than the native loop keeps.
    """
    expected = rate_per_s * lasts_s
    if max(expected, min_passes * queries) > _MOST_QUERIES / 2:
        raise InputError(
            f"{rate_per_s:.4g} queries per second for {lasts_s:g} s are more than "
            f"{_MOST_QUERIES // 2} arrivals; lower the rate or the duration"
        )
    random, scale_ns = np.random.default_rng(seed), 1e9 / rate_per_s
    passes = max(min_passes, math.ceil(expected / queries))
    due_ns = np.cumsum(random.exponential(scale_ns, passes * queries))
    while due_ns[-1] < lasts_s * 1e9:
        more_ns = due_ns[-1] + np.cumsum(random.exponential(scale_ns, queries))
        due_ns = np.concatenate([due_ns, more_ns])
    return np.round(due_ns).astype(np.int64)
