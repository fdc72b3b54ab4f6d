"""Joules: what an example, a right answer and a token cost, row by row."""

from jouleforge.comparison import Comparison, Row, counted_reasons
from jouleforge.reports.parts import wording

_MILLI = 1e3


def lines(comparison: Comparison) -> list[tuple[str, str]]:
    """Return the label and the joules of every row that has any."""
    return [(row.label, "; ".join(details(row))) for row in comparison.rows if row.energy]


def details(row: Row) -> list[str]:
    """Return the joules per example, right answer and token of a row, with their intervals."""
    if row.energy is None:
        return []
    found = [
        f"{wording.estimate(row.energy.per_example_j, 'J/example')} "
        f"({row.energy.meter.energy_class})"
    ]
    return [
        *found,
        *rejected(row),
        *dynamic(row),
        *paused(row),
        *correct(row),
        *tokens(row),
    ]


def rejected(row: Row) -> list[str]:
    """Return how many windows gave no joules, and why; nothing if all did."""
    reasons = row.energy.rejected if row.energy else ()
    if not reasons:
        return []
    return [f"{len(reasons)} of {row.repeats} windows rejected ({counted_reasons(reasons)})"]


def dynamic(row: Row) -> list[str]:
    """Return the joules above those of rest, or the code of why there are none."""
    rest = row.energy.rest if row.energy else None
    if rest is None:
        return []
    if rest.dynamic_per_example_j is None:
        return [f"no dynamic joules ({counted_reasons([rest.reason]).rpartition(' ')[0]})"]
    return [wording.estimate(rest.dynamic_per_example_j, "J/example dynamic")]


def paused(row: Row) -> list[str]:
    """Return what was taken out for pauses that a part-time sensor needed."""
    rest = row.energy.rest if row.energy else None
    if rest is None or not rest.pause_share:
        return []
    share = 100 * rest.pause_share
    return [f"dithered: {share:.2g} % taken out for pauses, \N{PLUS-MINUS SIGN} {share / 2:.2g} %"]


def correct(row: Row) -> list[str]:
    """Return the joules per right answer, and their ratio to the baseline's."""
    if row.joules_per_correct is None:
        return []
    found = [wording.estimate(row.joules_per_correct, "J/correct")]
    if row.correct_energy_ratio is not None:
        found.append(f"{wording.ratio(row.correct_energy_ratio)} times the baseline's J/correct")
    return found


def tokens(row: Row) -> list[str]:
    """Return the millijoules per token of the texts, and per token that was computed."""
    return [
        wording.estimate(found, f"mJ/{what} token", scale=_MILLI)
        for what, found in (
            ("real", row.joules_per_real_token),
            ("computed", row.joules_per_computed_token),
        )
        if found is not None
    ]
