"""Summary: what a comparison shows, in sentences that claim no more than the rows do."""

from collections.abc import Iterator

from jouleforge.caveats import Caveat
from jouleforge.comparison import AccuracyDifference, Comparison, Row
from jouleforge.reports.parts import resolution, wording

# Who answers like this has not answered: its speed is not worth a headline.
_BROKEN = frozenset({Caveat.CONSTANT_PREDICTION, Caveat.LABEL_ORDER})
_NOTICEABLE = 0.01
"""Loss of a metric without a paired test from which on a row is not praised."""


def summary(comparison: Comparison) -> list[str]:
    """Return the sentences that stand above the table, the most important first."""
    if len(comparison.rows) == 1:
        return [_alone(comparison), *_energy(comparison)]
    return [
        *_findings(comparison),
        *_energy(comparison),
        resolution.sentence(comparison),
        *_warnings(comparison),
    ]


def winner(comparison: Comparison) -> Row | None:
    """Return the row that the summary praises, or None if none deserves it.

    It is shown to be better than the baseline (less energy where a counter measured every row, or
    else faster), is not shown to be less accurate, and gives answers that are answers.
    """
    by_joules = comparison.frontier_cost == "joules"
    found = [
        row
        for row in comparison.rows
        if _is_sound(row)
        and not _is_worse(row, comparison)
        and (_saves_energy(row) if by_joules else row.verdict == "faster")
    ]
    if by_joules:
        return min(found, key=_energy_factor, default=None)
    return max(found, key=lambda row: row.speed_ratio.value, default=None)


def _energy_factor(row: Row) -> float:
    return row.energy_ratio.value if row.energy_ratio else 1.0


def _saves_energy(row: Row) -> bool:
    return row.energy_ratio is not None and row.energy_ratio.shown == "below"


def _is_sound(row: Row) -> bool:
    return not row.is_baseline and not _BROKEN.intersection(row.caveats)


def _is_worse(row: Row, comparison: Comparison) -> bool:
    """Return whether a row likely answers worse than the baseline: enough to deny it praise."""
    difference = row.accuracy_difference
    if difference is not None:
        return difference.interval.high < 0
    if row.headline is None or comparison.baseline.headline is None:
        return row.headline is None
    return row.headline < comparison.baseline.headline - _NOTICEABLE


def _alone(comparison: Comparison) -> str:
    row = comparison.baseline
    return (
        f"{row.label} answers {wording.number(row.examples_per_s.value)} examples per second "
        f"with {comparison.headline} {wording.metric(row.headline)}; nothing else was measured, so "
        "nothing is compared."
    )


def _findings(comparison: Comparison) -> Iterator[str]:
    best = winner(comparison)
    if best is None:
        yield _nothing(comparison)
    else:
        yield f"{best.label} {_claim(best, comparison)}, {_answers(best, comparison)}."
        if len(best.changed) > 1:
            changes = wording.enumeration(best.changed)
            yield f"The two differ in {changes}; the factor is of all that."
    worse = _fastest_of_the_worse(comparison)
    if worse and (best is None or worse.speed_ratio.value > best.speed_ratio.value):
        yield (
            f"{worse.label} is faster {'still ' if best else ''}({wording.speed_ratio(worse)} "
            f"times), but {_loss(worse, comparison)}."
        )


def _loss(row: Row, comparison: Comparison) -> str:
    difference = row.accuracy_difference
    if difference is None:
        return _untested(row, comparison)
    likely = "" if difference.shown == "below" else "likely "
    return f"{likely}less accurate: {_difference(difference)}"


def _fastest_of_the_worse(comparison: Comparison) -> Row | None:
    worse = [
        row
        for row in comparison.rows
        if _is_sound(row) and _is_worse(row, comparison) and row.verdict == "faster"
    ]
    return max(worse, key=lambda row: row.speed_ratio.value, default=None)


def _claim(row: Row, comparison: Comparison) -> str:
    baseline = comparison.baseline.label
    speed = (
        f"answers {wording.number(row.speed_ratio.value)} times as many examples per second as "
        f"{baseline} ({_certainty(row)})"
    )
    if comparison.frontier_cost == "time" or row.energy_ratio is None:
        return speed
    if row.verdict == "no difference shown":
        speed = "no difference of speed is shown"
    else:
        speed = f"answers {wording.speed_ratio(row)} times as many examples per second"
    saved = 1 - row.energy_ratio.value
    return (
        f"needs {100 * saved:.0f} % fewer joules per example than {baseline} (ratio "
        f"{wording.energy_ratio(row)}, {row.energy_ratio.pairs} pairs) and {speed}"
    )


def _certainty(row: Row) -> str:
    bounds = wording.intervals(row.speed_ratio.intervals)
    return f"95 % interval {bounds}, {row.speed_ratio.pairs} pairs"


def _answers(row: Row, comparison: Comparison) -> str:
    """Return how the answers compare; equal accuracy is said of equal answers alone."""
    if row.decisions_equal == row.first.facts.examples:
        return f"at equal accuracy: both give the same answer to all {row.decisions_equal} examples"
    if row.accuracy_difference is None:
        return _untested(row, comparison)
    own, other = (
        wording.metric(one.first.quality.metrics["accuracy"]) for one in (row, comparison.baseline)
    )
    return f"with accuracy {own} against {other}: {_difference(row.accuracy_difference)}"


def _untested(row: Row, comparison: Comparison) -> str:
    own, other = (wording.metric(one.headline) for one in (row, comparison.baseline))
    return f"with {comparison.headline} {own} against {other} (not tested)"


def _difference(found: AccuracyDifference) -> str:
    return (
        f"{wording.points(found.value)} points {wording.points_interval(found.interval)}, "
        f"{wording.p_value(found.p_value)}"
    )


def _nothing(comparison: Comparison) -> str:
    baseline, others = comparison.baseline, comparison.rows[1:]
    what = "to need less energy" if comparison.frontier_cost == "joules" else "to be faster"
    text = f"No row is shown {what} than {baseline.label}"
    faster = [row for row in others if row.verdict == "faster" or _saves_energy(row)]
    if any(_BROKEN.intersection(row.caveats) for row in faster):
        text += " with answers that can be trusted"
    elif faster:
        text += " without being less accurate"
    if all(row.speed_ratio.pairs < 2 for row in others):
        fastest = max(others, key=lambda row: row.speed_ratio.value)
        text += (
            "; each pair was measured once, which gives no interval. In that one run "
            f"{fastest.label} answered {wording.number(fastest.speed_ratio.value)} times as many "
            "examples per second"
        )
    return f"{text}."


def _energy(comparison: Comparison) -> Iterator[str]:
    """Say what kind of joules there are, unless all rows were counted."""
    if comparison.meter is None:
        yield "Energy was not measured: nothing here says how many joules an answer costs."
    elif comparison.meter.energy_class == "estimated":
        yield "The joules are estimates of a model, not readings of a meter."
    elif comparison.meter.energy_class == "integrated":
        yield "The joules are sampled power, added up, not readings of an energy counter."
    elif comparison.frontier_cost == "time":
        yield "Energy was counted for some rows only, so rows are ranked by time."


def _warnings(comparison: Comparison) -> Iterator[str]:
    if broken := _BROKEN.intersection(comparison.baseline.caveats):
        texts = " ".join(caveat.text for caveat in sorted(broken))
        yield f"The baseline's answers are not to be trusted: {texts}"
    if any(raised.caveat == Caveat.SYNTHETIC_TEXT for raised in comparison.caveats):
        yield Caveat.SYNTHETIC_TEXT.text
