"""Conditions: how often was measured, after which warm-up, with how much memory and idle power."""

from collections.abc import Iterable

from jouleforge.comparison import Comparison, Row
from jouleforge.reports.parts import wording
from jouleforge.stats import NARROW

_MIB = 2**20


def repetition(comparison: Comparison) -> list[tuple[str, str]]:
    """Return how many blocks were planned, whether more were added, and how narrow that made it."""
    planned, most = comparison.planned, comparison.most
    if planned is None:
        return []
    blocks = max(row.repeats for row in comparison.rows)
    if most is None:
        added = "none were to be added"
    elif blocks > planned:
        added = f"{blocks - planned} added, of at most {most} in all"
    else:
        added = f"none added, of at most {most} in all"
    widths = sorted(row.half_width for row in comparison.rows if row.half_width is not None)
    reached = f"; 95 % half-width {_percentages(widths)}" if widths else ""
    aim = f" (aim: {100 * NARROW:g} %, of J/example or else examples/s)" if widths else ""
    return [("Repetition", f"n = {blocks}: {planned} blocks planned, {added}{reached}{aim}")]


def warmup(rows: Iterable[Row]) -> list[tuple[str, str]]:
    """Return how long was warmed up, and how many windows began in a steady state."""
    known = [(row, row.warmup_s) for row in rows if row.warmup_s is not None]
    if not known:
        return []
    steady = sum(row.steady_repeats for row, _ in known)
    windows = sum(row.repeats for row, _ in known)
    longest = wording.number(max(seconds for _, seconds in known))
    return [
        (
            "Warm-up",
            f"up to {longest} s; {steady} of {windows} windows began in a steady state: the times "
            "of the same batches differed by at most 2 % between the two latest stretches",
        )
    ]


def memory(rows: Iterable[Row]) -> list[tuple[str, str]]:
    """Return what each row's process holds when loaded, and what work adds to that."""
    found = []
    for row in rows:
        memory = row.memory
        parts = [
            f"{level / _MIB:,.0f} MiB {where}, {added / _MIB:,.0f} more at work"
            for where, level, added in (
                ("resident", memory.loaded_rss, memory.working_rss),
                ("on the GPU", memory.loaded_gpu, memory.working_gpu),
            )
            if level is not None and added is not None
        ]
        if parts or memory.reasons:
            found.append(f"{row.label}: {'; '.join([*parts, *memory.reasons])}")
    return [("Memory", "; ".join(found))] if found else []


def idle(rows: Iterable[Row]) -> list[tuple[str, str]]:
    """Return what the meter's devices drew before and after the load of each row."""
    found = []
    for row in rows:
        rest = row.energy.rest if row.energy else None
        watts = [rest.before_w, rest.after_w] if rest else []
        before_after = [f"{wording.number(one)} W" for one in watts if one is not None]
        if before_after:
            found.append(f"{row.label}: {' / '.join(before_after)}")
    return [("Idle power, before / after", "; ".join(found))] if found else []


def _percentages(shares: list[float]) -> str:
    found = list(dict.fromkeys(wording.number(100 * share) for share in (shares[0], shares[-1])))
    return f"{' to '.join(found)} %"
