"""Tests of the resolution: an engine against itself, and what that forbids to be claimed."""

from collections.abc import Sequence
from typing import Any

import pytest
from samples import EAGER, ORT, SDPA, measurement, repeats

from jouleforge.comparison import compare
from jouleforge.measurement import Measurement
from jouleforge.reports import csv, html, markdown
from jouleforge.reports.parts.summary import summary, winner

STEADY = [100.0, 101.0, 99.0]
NEARLY = [100.9, 102.1, 100.1]
"""One percent above STEADY in every block: an interval that excludes 1."""


def twins(rates: Sequence[float], recipe: dict[str, str] = EAGER, **given: Any) -> list[
    Measurement
]:  # fmt: skip
    """Return the second measurements of a cell in their blocks."""
    rows = repeats(rates, recipe, **given)
    blocks = [row.block.model_copy(update={"twin": True}) for row in rows if row.block]
    return [
        row.model_copy(update={"block": block}) for row, block in zip(rows, blocks, strict=True)
    ]


def test_twin_is_no_row_and_gives_the_resolution() -> None:
    found = compare(repeats(STEADY) + twins([102.0, 100.0, 99.5]) + repeats([300, 301, 299], ORT))
    assert [row.label for row in found.rows] == ["pytorch eager fp32", "ort fused fp32"]
    assert [row.repeats for row in found.rows] == [3, 3]
    resolution = found.resolution
    assert resolution is not None
    assert resolution.label == "pytorch eager fp32"
    assert resolution.speed.pairs == 3
    interval = resolution.speed.interval
    assert interval is not None
    bound = max(interval.high, 1 / interval.low)
    assert [row.speed_ratio.resolution for row in found.rows] == [pytest.approx(bound)] * 2


def test_effect_within_that_of_an_engine_on_itself_is_no_difference() -> None:
    rows = repeats(STEADY) + repeats(NEARLY, ORT)
    alone = compare(rows)
    assert alone.rows[1].verdict == "faster"
    found = compare([*rows, *twins([101.5, 100.0, 99.5])])
    assert found.rows[1].speed_ratio.excludes_one
    assert found.rows[1].verdict == "no difference shown"
    assert winner(found) is None
    (note,) = [note for note in found.notes if "speed ratio excludes 1" in note.text]
    assert note.rows == ("ort fused fp32",)


def test_effect_beyond_that_of_an_engine_on_itself_is_a_difference() -> None:
    close = [100.02, 101.01, 98.99]
    found = compare(repeats(STEADY) + repeats(NEARLY, ORT) + twins(close))
    assert found.rows[1].verdict == "faster"
    assert not any("excludes 1" in note.text for note in found.notes)


def joules(per_example: Sequence[float], recipe: dict[str, str], *, twin: bool = False) -> list[
    Measurement
]:  # fmt: skip
    make = twins if twin else repeats
    return [
        row
        for repeat, each in enumerate(per_example)
        for row in make(STEADY, recipe, joules_per_example=each)
        if row.block is not None and row.block.repeat == repeat
    ]


@pytest.mark.parametrize(
    ("itself", "shown"), [([1.03, 0.98, 1.01], "neither"), ([1.0001, 0.9999, 1.0], "below")]
)
def test_fewer_joules_need_more_than_the_meters_own_difference(
    itself: list[float], shown: str
) -> None:
    found = compare(
        joules([1.0, 1.0, 1.0], EAGER)
        + joules([0.98, 0.981, 0.979], ORT)
        + joules(itself, EAGER, twin=True)
    )
    ratio = found.rows[1].energy_ratio
    assert ratio is not None
    assert ratio.excludes_one
    assert ratio.shown == shown
    assert (winner(found) is None) == (shown == "neither")
    noted = any("energy ratio excludes 1" in note.text for note in found.notes)
    assert noted == (shown == "neither")


def test_report_says_in_plain_words_that_the_resolution_was_not_measured() -> None:
    found = compare(repeats(STEADY) + repeats([300, 301, 299], ORT))
    sentence = "The resolution was not measured: no engine was measured against itself (A/A)"
    assert sentence in " ".join(summary(found))
    for report in (html, markdown):
        assert sentence in report.render(found)


def test_report_says_what_is_called_no_difference() -> None:
    found = compare(repeats(STEADY) + repeats([300, 301, 299], ORT) + twins([101.5, 100.0, 99.5]))
    text = " ".join(summary(found))
    assert "Measured against itself (A/A), pytorch eager fp32 is 1.003 [0.9" in text
    assert "no effect on speed of 3.5 % or less is called a difference." in text
    assert "not measured: no engine" not in text
    assert "each row once, and pytorch eager fp32 twice (A/A)" in markdown.render(found)
    assert "speed_ratio_resolution" in csv.render(found)


def test_resolution_of_energy_is_said_where_a_meter_saw_both() -> None:
    found = compare(
        joules([1.0, 1.0, 1.0], EAGER)
        + joules([0.5, 0.5, 0.5], ORT)
        + joules([1.01, 0.99, 1.0], EAGER, twin=True)
    )
    assert "none on energy of 2.5 % or less" in " ".join(summary(found))


def test_one_block_resolves_nothing() -> None:
    rows = [measurement(EAGER, repeat=0), measurement(ORT, repeat=0), *twins([101.0])]
    text = " ".join(summary(compare(rows)))
    assert "in one block only, which gives no interval" in text


def test_worst_of_several_engines_against_themselves_counts() -> None:
    found = compare(
        repeats(STEADY)
        + twins([100.1, 101.0, 99.0])
        + repeats([200, 201, 199], SDPA)
        + twins([210, 195, 199], SDPA)
    )
    assert found.resolution is not None
    assert found.resolution.label == "pytorch sdpa fp32"


def test_row_whose_first_measurements_failed_is_that_of_its_twins() -> None:
    found = compare([*twins(STEADY), *repeats([300, 301, 299], ORT)])
    assert [row.repeats for row in found.rows] == [3, 3]
    assert found.resolution is None
