"""Tests of the intervals: against published values, other code, and their own promise of 95 %."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from jouleforge.stats import (
    Interval,
    fewest_for_quantile,
    geometric_mean,
    mcnemar_p,
    median_of_repeats,
    paired_difference,
    percentile,
    quantile_ranks,
    wilson,
)


def coverage(trials: int, covers: Callable[[np.random.Generator], bool]) -> float:
    """Return how often an interval holds the truth over seeded trials."""
    random = np.random.default_rng(7)
    return sum(covers(random) for _ in range(trials)) / trials


@pytest.mark.parametrize(
    ("count", "level", "ranks"),
    [
        (10, 0.5, (2, 9)), (20, 0.5, (6, 15)), (50, 0.5, (18, 33)), (100, 0.5, (40, 61)),
        (300, 0.5, (133, 168)), (1000, 0.5, (469, 532)), (100, 0.9, (84, 96)),
        (1000, 0.95, (936, 964)), (1000, 0.99, (983, 997)), (10_000, 0.99, (9880, 9920)),
    ],
)  # fmt: skip
def test_ranks_are_those_of_the_binomial(count: int, level: float, ranks: tuple[int, int]) -> None:
    assert quantile_ranks(count, level) == ranks


@pytest.mark.parametrize(
    ("level", "fewest"), [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368), (0.999, 3688)]
)
def test_quantile_has_no_upper_bound_below_a_number_of_values(level: float, fewest: int) -> None:
    assert fewest_for_quantile(level) == fewest
    assert quantile_ranks(fewest, level) is not None
    assert quantile_ranks(fewest - 1, level) is None


def test_low_quantile_of_few_values_has_no_lower_bound() -> None:
    assert quantile_ranks(20, 0.01) is None


def test_percentile_of_too_few_values_is_none_and_not_the_largest() -> None:
    assert percentile(np.arange(367.0), 0.99) is None
    assert percentile(np.arange(0.0), 0.5) is None


def test_percentile_is_an_observed_value_inside_its_interval() -> None:
    values = np.random.default_rng(0).permutation(np.arange(1.0, 1001.0))
    found = percentile(values, 0.95)
    assert found is not None
    assert (found.value, found.interval) == (950.0, Interval(936.0, 964.0))


@pytest.mark.parametrize(("count", "level"), [(70, 0.5), (100, 0.9), (400, 0.95)])
def test_order_statistics_hold_a_skewed_quantile_in_95_of_100_cases(
    count: int, level: float
) -> None:
    truth = -math.log(1 - level)

    def covers(random: np.random.Generator) -> bool:
        found = percentile(random.exponential(size=count), level)
        assert found is not None
        assert found.interval is not None
        return not found.interval.excludes(truth)

    assert 0.94 <= coverage(3000, covers) <= 0.97


@pytest.mark.parametrize("pairs", [3, 5, 10])
def test_interval_of_a_paired_ratio_holds_it_in_95_of_100_cases(pairs: int) -> None:
    def covers(random: np.random.Generator) -> bool:
        # What slows a block down slows both of the pair down, and cancels.
        drift = np.exp(random.normal(0, 0.3, size=pairs))
        own = 2.5 * drift * np.exp(random.normal(0, 0.02, size=pairs))
        other = drift * np.exp(random.normal(0, 0.02, size=pairs))
        found = geometric_mean(list(own / other)).interval
        assert found is not None
        return not found.excludes(2.5)

    assert 0.935 <= coverage(3000, covers) <= 0.965


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


def test_wilson_holds_an_accuracy_in_95_of_100_cases() -> None:
    def covers(random: np.random.Generator) -> bool:
        return not wilson(int(random.binomial(872, 0.91)), 872).excludes(0.91)

    assert 0.935 <= coverage(4000, covers) <= 0.965


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


def test_interval_of_a_difference_holds_it_in_95_of_100_cases() -> None:
    gain, loss = 0.01, 0.03

    def covers(random: np.random.Generator) -> bool:
        gained, lost, _ = random.multinomial(872, [gain, loss, 1 - gain - loss])
        found = paired_difference(gained=int(gained), lost=int(lost), count=872).interval
        assert found is not None
        return not found.excludes(gain - loss)

    assert 0.935 <= coverage(3000, covers) <= 0.965
