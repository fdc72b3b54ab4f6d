"""Chosen buckets, against every other set of as many."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from jouleforge.buckets import choose_buckets
from jouleforge.errors import InputError


def tokens(lengths: NDArray[np.int64], buckets: tuple[int, ...]) -> int:
    return int(np.array(buckets)[np.searchsorted(buckets, lengths)].sum())


def fewest_of_all(lengths: NDArray[np.int64], most: int) -> int:
    """Try every set of at most so many widths that ends at the longest text."""
    *shorter, longest = sorted({int(length) for length in lengths})
    sets = (
        (*some, longest) for count in range(most) for some in combinations(shorter, count)
    )  # fmt: skip
    return min(tokens(lengths, buckets) for buckets in sets)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_no_other_set_of_buckets_costs_fewer_tokens(texts: list[int], most: int) -> None:
    lengths = np.array(texts, dtype=np.int64)
    chosen = choose_buckets(lengths, most)
    assert len(chosen) <= most
    assert list(chosen) == sorted(set(chosen))
    assert chosen[-1] == lengths.max()
    assert tokens(lengths, chosen) == fewest_of_all(lengths, most)


def test_as_many_buckets_as_lengths_leave_no_padding() -> None:
    lengths = np.array([5, 9, 9, 30, 5])
    assert choose_buckets(lengths, 3) == choose_buckets(lengths, 8) == (5, 9, 30)


def test_one_bucket_is_as_long_as_the_longest_text() -> None:
    assert choose_buckets(np.array([5, 9, 30]), 1) == (30,)


def test_a_rare_long_text_gets_a_bucket_of_its_own() -> None:
    lengths = np.array([20] * 50 + [24] * 50 + [512])
    assert choose_buckets(lengths, 2) == (24, 512)


@pytest.mark.parametrize(("texts", "most"), [([], 3), ([4, 5], 0)])
def test_nothing_to_choose_from_is_an_error(texts: list[int], most: int) -> None:
    with pytest.raises(InputError, match="expected texts and at least 1 bucket"):
        choose_buckets(np.array(texts, dtype=np.int64), most)
