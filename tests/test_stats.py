"""Tests of the intervals against published values and other code.

That they hold what they promise is tested in test_interval_coverage.py.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from jouleforge.stats import (
    Estimate,
    Interval,
    geometric_mean,
    mcnemar_p,
    median_of_repeats,
    paired_difference,
    paired_proportions,
    quotient,
    scaled,
    shown_intervals,
    wilson,
)


def test_geometric_mean_of_one_value_has_no_interval() -> None:
    assert geometric_mean([3.0]).interval is None
    assert geometric_mean([3.0]).value == pytest.approx(3.0)


def test_ratio_is_the_same_either_way_round() -> None:
    ratios = [1.2, 1.5, 1.1, 1.4]
    one, other = geometric_mean(ratios), geometric_mean([1 / ratio for ratio in ratios])
    assert one.interval is not None
    assert other.interval is not None
    assert one.value == pytest.approx(1 / other.value)
    assert one.interval.low == pytest.approx(1 / other.interval.high)


def test_geometric_mean_and_interval_agree_with_a_hand_computation() -> None:
    found = geometric_mean([math.exp(1.0), math.exp(2.0), math.exp(3.0)])
    assert found.interval is not None
    # Mean 2, standard deviation 1, t of 2 degrees of freedom 4.302653.
    half = 4.302653 / math.sqrt(3)
    assert found.value == pytest.approx(math.exp(2))
    assert found.interval.low == pytest.approx(math.exp(2 - half), rel=1e-5)
    assert found.interval.high == pytest.approx(math.exp(2 + half), rel=1e-5)


def test_one_slow_repeat_does_not_move_the_median() -> None:
    assert median_of_repeats([100.0, 101.0, 99.0, 100.0, 20.0]).value == 100.0


@pytest.mark.parametrize(("right", "count"), [(0, 10), (10, 10), (81, 263), (793, 872)])
def test_wilson_agrees_with_scipy(right: int, count: int) -> None:
    found = wilson(right, count)
    expected = binomtest(right, count).proportion_ci(method="wilson")
    assert found.low == pytest.approx(expected.low, abs=1e-12)
    assert found.high == pytest.approx(expected.high, abs=1e-12)


def test_wilson_agrees_with_newcombe() -> None:
    found = wilson(81, 263)  # Newcombe, Statistics in Medicine 17, 1998, 857-872, table I
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)


@pytest.mark.parametrize(("gained", "lost"), [(6, 16), (0, 5), (3, 3), (40, 20)])
def test_mcnemar_is_the_exact_binomial_test(gained: int, lost: int) -> None:
    expected = binomtest(gained, gained + lost, 0.5).pvalue
    assert mcnemar_p(gained=gained, lost=lost) == pytest.approx(expected)


def test_mcnemar_shows_nothing_where_no_example_changed_sides() -> None:
    assert mcnemar_p(gained=0, lost=0) == 1.0


@pytest.mark.parametrize(
    ("gained", "lost", "count", "bounds"),
    [
        # Fagerland, Lydersen and Laake, Statistical Analysis of Contingency Tables, 2017, ch. 8.
        (1, 7, 21, (-0.517, -0.026)),
        (6, 16, 161, (-0.124, -0.005)),
    ],
)
def test_interval_of_a_difference_agrees_with_published_ones(
    gained: int, lost: int, count: int, bounds: tuple[float, float]
) -> None:
    found = paired_difference(gained=gained, lost=lost, count=count).interval
    assert found is not None
    assert (round(found.low, 3), round(found.high, 3)) == bounds


def test_equal_answers_do_not_prove_equal_accuracy() -> None:
    found = paired_difference(gained=0, lost=0, count=872).interval
    assert found is not None
    # With z = 1.96 the score interval is z^2 / (n + z^2) to either side.
    assert found.high == pytest.approx(3.8414588 / (872 + 3.8414588))
    assert found.low == pytest.approx(-found.high)


@given(st.data())
def test_interval_of_a_difference_is_within_its_bounds(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 2000))
    gained = data.draw(st.integers(0, count))
    lost = data.draw(st.integers(0, count - gained))
    found = paired_difference(gained=gained, lost=lost, count=count)
    mirrored = paired_difference(gained=lost, lost=gained, count=count)
    assert found.interval is not None
    assert mirrored.interval is not None
    assert -1 <= found.interval.low <= found.value <= found.interval.high <= 1
    assert found.interval.low < found.interval.high
    assert found.interval.low == pytest.approx(-mirrored.interval.high, abs=1e-7)


def test_bootstrap_needs_ten_blocks() -> None:
    values = list(np.exp(np.random.default_rng(0).normal(size=10)))
    assert geometric_mean(values[:9]).bootstrap is None
    assert geometric_mean(values).bootstrap is not None
    assert geometric_mean(values) == geometric_mean(values), "the draws are seeded"


def test_bootstrap_agrees_with_t_on_normal_values_and_is_not_shown_then() -> None:
    # Evenly spread quantiles of a normal distribution: as normal as twenty values can be.
    values = list(np.exp(norm.ppf((np.arange(20) + 0.5) / 20)))
    found = geometric_mean(values)
    assert found.interval is not None
    assert found.bootstrap is not None
    assert math.log(found.bootstrap.low) == pytest.approx(math.log(found.interval.low), rel=0.1)
    assert found.intervals == (found.interval,)


def test_both_intervals_are_shown_where_one_block_is_far_off() -> None:
    found = geometric_mean([1.0, 1.01, 0.99, 1.0, 1.02, 0.98, 1.0, 1.01, 0.99, 1.0, 1.0, 0.2])
    assert found.bootstrap is not None
    assert found.intervals == (found.interval, found.bootstrap)


def test_intervals_that_differ_by_a_fifth_of_the_half_length_are_both_shown() -> None:
    first = Interval(math.exp(-1.0), math.exp(1.0))
    near, far = Interval(first.low, math.exp(1.19)), Interval(first.low, math.exp(1.21))
    assert shown_intervals(first, near) == (first,)
    assert shown_intervals(first, far) == (first, far)
    assert shown_intervals(None, None) == ()


def test_quotient_adds_the_distances_of_the_ends_as_standard_errors() -> None:
    dividend = Estimate(6.0, Interval(6.0 * math.exp(-0.3), 6.0 * math.exp(0.6)))
    divisor = Estimate(2.0, Interval(2.0 * math.exp(-0.8), 2.0 * math.exp(0.4)))
    found = quotient(dividend, divisor)
    assert found.value == pytest.approx(3.0)
    assert found.interval is not None
    # Down: 0.3 of the dividend and 0.4 of the divisor; up: 0.6 and 0.8.
    assert found.interval.low == pytest.approx(3.0 * math.exp(-0.5))
    assert found.interval.high == pytest.approx(3.0 * math.exp(1.0))
    assert quotient(Estimate(6.0, None), divisor).interval is None


def test_other_unit_changes_no_relative_length() -> None:
    values = list(np.exp(np.random.default_rng(1).normal(size=12)))
    given_, wanted = geometric_mean(values), geometric_mean([1e3 * value for value in values])
    found = scaled(given_, 1e3)
    assert found.value == pytest.approx(wanted.value)
    for own, other in ((found.interval, wanted.interval), (found.bootstrap, wanted.bootstrap)):
        assert own is not None
        assert other is not None
        assert (own.low, own.high) == pytest.approx((other.low, other.high))


def test_quotient_of_paired_accuracies_agrees_with_a_published_one() -> None:
    # Cavo et al. 2012, in Fagerland, Lydersen and Laake, Statistical Analysis of Contingency
    # Tables, 2017, chapter 8: Bonett and Price's hybrid of Wilson intervals.
    found = paired_proportions(both=59, gained=6, lost=16)
    assert found is not None
    assert found.interval is not None
    assert round(found.value, 4) == 0.8667
    assert (round(found.interval.low, 4), round(found.interval.high, 4)) == (0.7579, 0.9910)


def test_quotient_of_accuracies_is_undefined_where_one_is_never_right() -> None:
    assert paired_proportions(both=0, gained=5, lost=0) is None
    assert paired_proportions(both=0, gained=0, lost=0) is None
