"""Tests of the percentiles of batch times: which exist, and what their intervals are made of."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from jouleforge.quantiles import fewest_for_quantile, percentile, quantile_ranks
from jouleforge.stats import Interval


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


def numbers(count: int) -> NDArray[np.float64]:
    """Return 1 to a number in random order: a value is its own rank."""
    return np.random.default_rng(0).permutation(np.arange(1.0, count + 1))


def interval(blocks: list[NDArray[np.float64]], level: float) -> Interval:
    found = percentile(blocks, level)
    assert found is not None
    assert found.interval is not None
    assert found.interval.low <= found.value <= found.interval.high
    return found.interval


def test_percentile_of_too_few_values_is_none_and_not_the_largest() -> None:
    assert percentile([numbers(367)], 0.99) is None
    assert percentile([numbers(368)], 0.99) is not None
    assert percentile([], 0.5) is None


def test_percentile_is_an_observed_value() -> None:
    found = percentile([numbers(1000)], 0.95)
    assert found is not None
    assert found.value == 950.0


@pytest.mark.parametrize(
    ("count", "level"), [(8, 0.5), (100, 0.5), (72, 0.95), (1000, 0.95), (368, 0.99)]
)
def test_ends_lie_between_the_ranks_that_are_too_wide_and_too_narrow(
    count: int, level: float
) -> None:
    found, ranks = interval([numbers(count)], level), quantile_ranks(count, level)
    assert ranks is not None
    assert ranks[0] <= found.low <= ranks[0] + 1
    assert ranks[1] - 1 <= found.high <= ranks[1]
    # A whole rank is exact: so many independent values lie below the quantile by chance.
    assert binom.cdf(ranks[0] - 1, count, level) <= 0.025 < binom.cdf(ranks[0], count, level)


def test_interval_of_few_blocks_is_marked_within_block() -> None:
    nine, ten = ([numbers(100) for _ in range(count)] for count in (9, 10))
    assert percentile(nine, 0.95).within_block  # type: ignore[union-attr]
    assert not percentile(ten, 0.95).within_block  # type: ignore[union-attr]


def test_interval_of_few_batches_beyond_the_percentile_is_marked_within_block() -> None:
    few, enough = ([numbers(count) for _ in range(10)] for count in (99, 100))
    assert percentile(few, 0.99).within_block  # type: ignore[union-attr]
    assert not percentile(enough, 0.99).within_block  # type: ignore[union-attr]


def test_blocks_that_differ_widen_the_interval() -> None:
    random = np.random.default_rng(3)
    noise = random.normal(size=(12, 100))
    alike = interval(list(np.exp(0.05 * noise)), 0.95)
    apart = interval(list(np.exp(0.05 * (noise + random.normal(size=(12, 1))))), 0.95)
    assert apart.high - apart.low > 2 * (alike.high - alike.low)


def test_blocks_that_share_every_value_count_for_one() -> None:
    random = np.random.default_rng(4)
    values = random.normal(size=20)
    repeated = interval([np.repeat(value, 50) for value in values], 0.5)
    ordered = np.sort(values)
    # Twenty values bound their median by the 6th and the 15th.
    assert repeated.low <= ordered[6]
    assert repeated.high >= ordered[13]


def test_blocks_that_are_alike_bound_a_percentile_more_closely_than_independent_values() -> None:
    blocks = [numbers(100) + 0.001 * number for number in range(10)]
    pooled = interval([np.concatenate(blocks)], 0.5)
    by_block = interval(blocks, 0.5)
    assert by_block.high - by_block.low < 0.5 * (pooled.high - pooled.low)


def test_gap_at_the_median_is_within_its_interval() -> None:
    blocks = [np.array([1.0, 1.0, 9.0, 9.0])] * 12
    assert interval(blocks, 0.5) == Interval(1.0, 9.0)


def test_blocks_may_differ_in_size() -> None:
    blocks = [numbers(60 + number) for number in range(12)]
    found = interval(blocks, 0.95)
    assert 55 < found.low < found.high < 72
