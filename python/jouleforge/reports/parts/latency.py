"""Latency: the percentiles of every row with their intervals, scenario by scenario."""

from collections.abc import Iterable

from jouleforge.comparison import Comparison, Row
from jouleforge.comparison.latencies import LEVELS
from jouleforge.reports.parts import wording
from jouleforge.stats import Estimate

_WHERE_KNOWN = "p99.9"
"""It needs so many values that its column stands only where a row has it."""


def unit(rows: Iterable[Row]) -> str:
    """Return what the times are of: a batch, or a query where the scenario has queries."""
    return "batch" if all(row.first.schedule.query_size is None for row in rows) else "query"


def names(comparison: Comparison) -> list[str]:
    """Return the percentiles that are shown."""
    is_known = any(row.latencies.percentiles_s[_WHERE_KNOWN] for row in comparison.rows)
    return [name for name in LEVELS if name != _WHERE_KNOWN or is_known]


def columns(comparison: Comparison) -> list[str]:
    """Return the heads of the table."""
    return ["Scenario", "Timed", *(f"{name}, ms" for name in names(comparison))]


def cells(row: Row, comparison: Comparison) -> list[str]:
    """Return the texts of `columns` for a row."""
    return [
        scenario(row),
        f"{row.latencies.count:,}",
        *(_cell(row.latencies.percentiles_s[name]) for name in names(comparison)),
    ]


def _cell(found: Estimate | None) -> str:
    if found is None:
        return wording.MISSING
    bounds = wording.intervals(wording.in_milliseconds(found).intervals)
    label = " within-block" if found.within_block else ""
    return f"{wording.milliseconds(found)} {bounds}{label}".rstrip()


def scenario(row: Row) -> str:
    """Return how the queries of a row came, and what that made of the engine's time."""
    found = row.first.schedule.name
    arrivals = row.first.timing.arrivals
    if arrivals is None or row.latencies.load is None:
        return found
    offered, capacity = map(wording.number, (arrivals.rate_per_s, arrivals.capacity_per_s))
    busy = _busy(row.latencies.load)
    return f"{found}; {offered}/s of {capacity}/s one after the other, {busy}"


def _busy(load: float) -> str:
    return "overloaded" if load >= 1 else f"busy {wording.percent(load)} of the time"


def is_of_interest(comparison: Comparison) -> bool:
    """Return whether any row has queries, so that its latencies are what it was measured for."""
    return unit(comparison.rows) == "query"
