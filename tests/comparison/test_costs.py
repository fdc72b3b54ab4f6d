"""Tests of the costs: joules per right answer and per token; two intervals where they differ."""

import math

import numpy as np
import pytest
from samples import EAGER, EXAMPLES, ORT, measurement, repeats

from jouleforge.comparison import Comparison, Ratio, compare
from jouleforge.reports import csv, html, markdown
from jouleforge.stats import Interval, paired_proportions, wilson
from jouleforge.terminal import print_comparison


def metered(wrong: range = range(14)) -> Comparison:
    """Return two rows whose joules vary by a few percent from block to block."""
    joules = (1.0, 1.02, 0.97)
    return compare(
        [
            measurement(recipe, repeat=repeat, joules_per_example=factor * each, wrong=rows)
            for recipe, factor, rows in ((EAGER, 1.0, range(20)), (ORT, 0.4, wrong))
            for repeat, each in enumerate(joules)
        ]
    )


def test_joules_per_right_answer_carry_the_noise_of_the_meter_and_of_the_sample() -> None:
    found = metered().baseline
    assert found.energy is not None
    assert found.joules_per_correct is not None
    mine, energy = found.joules_per_correct.interval, found.energy.per_example_j.interval
    assert mine is not None
    assert energy is not None
    accuracy, middle = wilson(180, EXAMPLES), math.exp(np.log([1.0, 1.02, 0.97]).mean())
    down = math.hypot(math.log(middle / energy.low), math.log(accuracy.high / 0.9))
    up = math.hypot(math.log(energy.high / middle), math.log(0.9 / accuracy.low))
    assert mine.low == pytest.approx(middle / 0.9 * math.exp(-down))
    assert mine.high == pytest.approx(middle / 0.9 * math.exp(up))


def test_ratio_per_right_answer_is_of_the_same_examples() -> None:
    found = metered().rows[1]
    ratio = found.correct_energy_ratio
    correct = paired_proportions(both=180, gained=6, lost=0)
    assert ratio is not None
    assert ratio.interval is not None
    assert correct is not None
    assert correct.interval is not None
    assert ratio.value == pytest.approx(0.4 * 180 / 186)
    # The joules have the same ratio in every block, so all of the interval is the accuracies'.
    assert ratio.interval.low == pytest.approx(0.4 / correct.interval.high)
    assert ratio.interval.high == pytest.approx(0.4 / correct.interval.low)
    assert metered().baseline.correct_energy_ratio is None


def test_joules_per_token_are_those_of_an_example_by_its_tokens() -> None:
    found = compare(repeats([100, 101], EAGER, padding="static:128", joules_per_example=0.5))
    real, computed = (
        found.baseline.joules_per_real_token,
        found.baseline.joules_per_computed_token,
    )
    assert real is not None
    assert computed is not None
    assert real.value == pytest.approx(0.5 / 25)
    assert computed.value == pytest.approx(0.5 / 128)


def test_regression_has_joules_per_token_but_none_per_right_answer() -> None:
    values = np.linspace(0, 5, EXAMPLES, dtype=np.float32)
    rows = [
        measurement(
            recipe, kind="regression", given=values, metrics={"pearson": 0.9}, joules_per_example=1
        )
        for recipe in (EAGER, ORT)
    ]
    found = compare(rows).rows[1]
    assert found.joules_per_correct is None
    assert found.correct_energy_ratio is None
    assert found.joules_per_real_token is not None


def test_every_report_has_the_joules_per_right_answer_and_token(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = metered()
    print_comparison(found)
    terminal = " ".join(capsys.readouterr().out.split())
    for text in (terminal, markdown.render(found), html.render(found)):
        assert "1.11 J/correct [1.0" in text
        assert "40.0 mJ/real token [3" in text
        assert "mJ/computed token" in text
    assert "0.387 [0.37" in terminal
    columns = csv.render(found).split("\r\n")[0].split(",")
    assert {
        "energy_per_correct_j_low", "energy_per_real_token_j", "energy_per_computed_token_j_high",
        "correct_energy_ratio_low", "speed_ratio_bootstrap_low", "latency_p95_s_interval",
    } <= set(columns)  # fmt: skip


def outlying() -> Comparison:
    """Return two rows of ten blocks, in one of which the engine was nearly stopped."""
    eager = [100.0 + number for number in range(10)]
    return compare(repeats(eager) + repeats([*(3 * rate for rate in eager[:9]), 20.0], ORT))


def test_intervals_that_differ_are_both_printed(capsys: pytest.CaptureFixture[str]) -> None:
    found = outlying()
    ratio = found.rows[1].speed_ratio
    assert ratio.bootstrap is not None
    assert len(ratio.intervals) == 2
    print_comparison(found)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 100
    for text in (out, markdown.render(found), html.render(found)):
        assert "bootstrap [" in text


def test_faster_needs_every_interval_that_is_shown() -> None:
    narrow, wide = Interval(1.1, 2.0), Interval(0.9, 2.0)
    assert Ratio(1.5, narrow, 10, bootstrap=narrow).shown == "above"
    assert Ratio(1.5, narrow, 10, bootstrap=wide).shown == "neither"
    assert Ratio(1.5, wide, 10, bootstrap=narrow).shown == "neither"


def test_ten_steady_blocks_print_one_interval() -> None:
    rates = [100.0, 101.0, 99.0, 100.5, 99.5, 102.0, 98.0, 100.2, 99.8, 100.1]
    found = compare(repeats(rates) + repeats([3 * rate for rate in reversed(rates)], ORT))
    assert found.rows[1].speed_ratio.bootstrap is not None
    assert "bootstrap [" not in markdown.render(found)


def test_percentiles_of_few_blocks_are_labelled() -> None:
    few, many = (html.render(compare(repeats([100.0] * count, EAGER))) for count in (9, 10))
    assert "<i>within-block</i>" in few
    assert "<i>within-block</i>" not in many
