"""Joules: what an example, a right answer and a token cost, row by row."""

from jouleforge.comparison import Comparison, Row
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
    return [*found, *correct(row), *tokens(row)]


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
