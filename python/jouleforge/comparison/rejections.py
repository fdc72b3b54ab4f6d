"""Rejections: windows that a meter gave no joules for, and how many of them a row stands."""

from collections import Counter
from collections.abc import Collection, Iterable

from jouleforge.comparison.cells import Cell

_MOST = 0.2
"""Share of a row's windows; what is left of fewer would be chosen by its faults."""


def too_many(rejected: int, windows: int) -> bool:
    """Return whether so many rejected windows leave a row without joules."""
    return rejected > _MOST * windows


def reasons(cell: Cell, source: str, scope: str, accepted: Collection[int]) -> tuple[str, ...]:
    """Return why each window of a meter that is not among the accepted blocks has no joules."""
    found = []
    for repeat, row in cell.repeats.items():
        if repeat not in accepted:
            own = [one for one in row.energy if (one.source, one.scope) == (source, scope)]
            told = [one.reason for one in own if one.reason]
            found.append(told[0] if told else "it was not read")
    return tuple(found)


def refusal(source: str, rejected: tuple[str, ...], windows: int) -> str:
    """Return what is said in place of the joules of a row with too many rejected windows."""
    return (
        f"E_WINDOWS_REJECTED: {source} rejected {len(rejected)} of {windows} windows (limit "
        f"{100 * _MOST:g} %): {counted(rejected)}"
    )


def counted(found: Iterable[str]) -> str:
    """Return each code once with how often it came, or the reason where it has no code."""
    codes = Counter(
        reason.partition(":")[0] if reason.startswith("E_") else reason for reason in found
    )
    return ", ".join(f"{code} {count}" for code, count in codes.most_common())
