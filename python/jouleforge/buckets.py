"""Bucket lengths: the few sequence lengths that leave the least padding on a set of texts."""

import numpy as np
from numpy.typing import NDArray

from jouleforge.errors import InputError


def choose_buckets(lengths: NDArray[np.int64], most: int) -> tuple[int, ...]:
    """Return the lengths of at most so many buckets that cost the fewest computed tokens.

    Every text is padded to the shortest bucket that holds it. The choice is exact, not a
    heuristic: a bucket of the best set is always as long as some text, and an optimal set ends in
    an optimal set for the shorter texts, so dynamic programming over the distinct lengths finds it
    (Bellman 1957; the one-dimensional k-medians of Wang and Song, The R Journal 3/2, 2011, with
    another cost). It takes O(most x distinct lengths squared).

    Args:
        lengths: Tokens of each text, special tokens included, shape (texts,).
        most: How many buckets there may be.

    Returns:
        Increasing lengths in tokens; the last one is that of the longest text. Fewer than `most`
        if there are fewer distinct lengths.

    Raises:
        InputError: There is no text, or no bucket.
    """
    if most < 1 or len(lengths) == 0:
        raise InputError(f"expected texts and at least 1 bucket, found {len(lengths)} and {most}")
    widths, counts = np.unique(lengths, return_counts=True)
    texts = np.concatenate(([0], np.cumsum(counts)))  # texts[j]: how many are shorter than width j
    # best[j]: fewest tokens for the texts shorter than width j; cuts[k][j]: where its last bucket
    # begins when there are k + 1 of them.
    best = np.full(len(widths) + 1, np.iinfo(np.int64).max // 2)
    best[0] = 0
    cuts = []
    for _ in range(min(most, len(widths))):
        # tokens[j, i]: buckets for widths below i as they are, one more for widths i to j.
        tokens = best[None, :-1] + widths[:, None] * (texts[1:, None] - texts[None, :-1])
        tokens[np.triu_indices(len(widths), k=1)] = np.iinfo(np.int64).max
        cuts.append(np.concatenate(([0], tokens.argmin(axis=1))))
        best = np.concatenate(([0], tokens.min(axis=1)))
    return tuple(_traced(widths, cuts))


def _traced(widths: NDArray[np.int64], cuts: list[NDArray[np.int64]]) -> list[int]:
    """Return the buckets that the cuts lead back through, from the longest to the shortest."""
    chosen = []
    end = len(widths)
    for cut in reversed(cuts):
        if end == 0:
            break
        chosen.append(int(widths[end - 1]))
        end = int(cut[end])
    return chosen[::-1]
