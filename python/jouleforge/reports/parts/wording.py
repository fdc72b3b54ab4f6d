"""Wording: how numbers and table cells read, the same in every report.

Absolute figures carry three significant digits: no meter or clock here supports more.
"""

import math
from collections.abc import Sequence

from jouleforge.comparison import Comparison, Ratio, Row
from jouleforge.stats import Estimate, Interval, scaled

MISSING = "—"
_MINUS = "\N{MINUS SIGN}"


def number(value: float) -> str:
    """Return a number to three significant digits, without an exponent."""
    rounded = float(f"{value:.2e}")
    if rounded == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{decimals}f}".replace("-", _MINUS)


def interval(found: Interval | None) -> str:
    """Return an interval in brackets; empty where there is none."""
    return "" if found is None else f"[{number(found.low)}, {number(found.high)}]"


def bounds(found: Sequence[Interval]) -> tuple[str, ...]:
    """Return the t interval of a value in brackets and, where it differs, the bootstrap's."""
    names = ("", "bootstrap ")
    return tuple(f"{name}{interval(each)}" for name, each in zip(names, found, strict=False))


def intervals(found: Sequence[Interval]) -> str:
    """Return the same in one line."""
    return ", ".join(bounds(found))


def estimate(found: Estimate, unit: str, *, scale: float = 1.0) -> str:
    """Return a value with its unit and intervals."""
    given = scaled(found, scale)
    return f"{number(given.value)} {unit} {intervals(given.intervals)}".rstrip()


def milliseconds(found: Estimate | None) -> str:
    """Return a time in ms, or the mark of what is missing."""
    return MISSING if found is None else number(found.value * 1e3)


def in_milliseconds(found: Estimate) -> Estimate:
    """Return the same estimate of a time in ms instead of s."""
    return scaled(found, 1e3)


def metric(value: float | None) -> str:
    """Return a metric to four decimals, or the mark of what is missing."""
    return MISSING if value is None else f"{value:.4f}".replace("-", _MINUS)


def points(value: float) -> str:
    """Return a share in percentage points with its sign."""
    text = f"{100 * value:+.2f}".replace("-", _MINUS)
    return "0.00" if text.strip(f"+{_MINUS}") == "0.00" else text


def points_interval(found: Interval) -> str:
    """Return an interval of shares in percentage points."""
    return f"[{points(found.low)}, {points(found.high)}]"


def percent(share: float) -> str:
    """Return a share in percent."""
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.1f} %"


def p_value(value: float) -> str:
    """Return a p-value, or that it is tiny."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def joules(row: Row) -> str:
    """Return joules per example with their class, or the mark of what is missing."""
    if row.energy is None:
        return MISSING
    return f"{number(row.energy.per_example_j.value)} ({row.energy.meter.energy_class})"


def same_answers(row: Row) -> str:
    """Return how many examples are answered as the baseline answers them."""
    if row.decisions_equal is None:
        return MISSING
    return f"{row.decisions_equal:,}/{row.first.facts.examples:,}"


def speed_ratio(row: Row) -> str:
    """Return the speed ratio with its interval; 1 for the baseline."""
    if row.is_baseline:
        return "1 (baseline)"
    return ratio(row.speed_ratio)


def energy_ratio(row: Row) -> str:
    """Return the energy ratio with its interval; 1 for the baseline, a dash without energy."""
    if row.energy_ratio is None:
        return MISSING
    if row.is_baseline:
        return "1 (baseline)"
    return ratio(row.energy_ratio)


def ratio(found: Ratio) -> str:
    """Return a ratio with its intervals."""
    return f"{number(found.value)} {intervals(found.intervals)}".rstrip()


def enumeration(parts: Sequence[str], *, last: str = "and") -> str:
    """Return parts as a sentence names them: a, b and c."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def which(labels: Sequence[str], comparison: Comparison) -> str:
    """Return what rows are meant: all, all but some, or these."""
    others = [row.label for row in comparison.rows if row.label not in labels]
    if not labels or not others:
        return "all rows"
    if len(others) <= 2 < len(labels):
        return f"all rows but {'; '.join(others)}"
    return "; ".join(labels)
