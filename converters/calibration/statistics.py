"""Statistics of one tensor, gathered in fixed memory while its values stream by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 2048
"""Bins of the histogram of magnitudes that collectors see."""

# The running histogram is finer than the one that is given out: its range doubles when a larger
# value comes, which merges its bins two by two, and it must still be the finer one afterwards.
_FINE_BINS = 16 * BINS
# Rows of a tensor that are kept as they are, for the search of SmoothQuant.
_SAMPLED_ROWS = 256


@dataclass(slots=True)
class TensorStatistics:
    """What has been seen of one tensor; memory does not grow with what is seen."""

    low: float = np.inf
    high: float = -np.inf
    channel_max: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    """Largest magnitude of each channel (last axis), shape (channels,)."""
    _counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_FINE_BINS, np.int64))
    _limit: float = 0.0
    _sample: NDArray[np.float32] | None = None
    _seen: int = 0
    _random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    @property
    def bound(self) -> float:
        """Return the largest magnitude."""
        return max(abs(self.low), abs(self.high))

    @property
    def sample(self) -> NDArray[np.float32]:
        """Return a uniform sample of rows, shape (rows, channels)."""
        assert self._sample is not None, "nothing was seen, or it was read from the cache"
        return self._sample[: min(self._seen, _SAMPLED_ROWS)]

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return all but the sample, to be stored."""
        return {
            "span": np.array([self.low, self.high, self._limit]),
            "channel_max": self.channel_max,
            "counts": self._counts,
        }

    @classmethod
    def of_arrays(cls, stored: Mapping[str, NDArray[Any]]) -> "TensorStatistics":
        """Return what `arrays` gave; it has no sample."""
        low, high, limit = stored["span"].tolist()
        return cls(low, high, stored["channel_max"], stored["counts"], limit)

    def update(self, values: NDArray[np.float32]) -> None:
        """Take in values of shape (…, channels), all of them real tokens."""
        rows = values.reshape(-1, values.shape[-1])
        magnitudes = np.abs(rows)
        channels = magnitudes.max(axis=0)
        if not self.channel_max.size:
            self.channel_max = np.zeros_like(channels)
        np.maximum(self.channel_max, channels, out=self.channel_max)
        self.low = min(self.low, float(rows.min()))
        self.high = max(self.high, float(rows.max()))
        self._count(magnitudes, float(channels.max()))
        self._keep(rows)

    def histogram(self) -> NDArray[np.float64]:
        """Return the counts of magnitudes in `BINS` equal bins from 0 to `bound`."""
        if not self.bound:
            return np.zeros(BINS)
        edges = np.linspace(0, self.bound, BINS + 1)
        fine = np.linspace(0, self._limit, _FINE_BINS + 1)
        cumulated = np.concatenate([[0.0], np.cumsum(self._counts)])
        counts: NDArray[np.float64] = np.diff(np.interp(edges, fine, cumulated))
        counts[-1] += cumulated[-1] - counts.sum()  # of the fine bin that holds the bound
        return counts

    def _count(self, magnitudes: NDArray[np.float32], largest: float) -> None:
        if largest > self._limit:
            self._widen(largest)
        if not self._limit:
            self._counts[0] += magnitudes.size
            return
        places = (magnitudes.ravel() * np.float32(_FINE_BINS / self._limit)).astype(np.int32)
        np.minimum(places, _FINE_BINS - 1, out=places)
        self._counts += np.bincount(places, minlength=_FINE_BINS)

    def _widen(self, largest: float) -> None:
        """Double the histogram's range until it holds the value, merging bins."""
        if not self._limit:
            self._limit = largest
            return
        while largest > self._limit:
            merged = self._counts.reshape(-1, 2).sum(axis=1)
            self._counts = np.concatenate([merged, np.zeros_like(merged)])
            self._limit *= 2

    def _keep(self, rows: NDArray[np.float32]) -> None:
        """Keep a uniform sample of all rows seen (reservoir sampling, Vitter 1985)."""
        if self._sample is None:
            self._sample = np.empty((_SAMPLED_ROWS, rows.shape[1]), np.float32)
        first = min(len(rows), max(0, _SAMPLED_ROWS - self._seen))
        self._sample[self._seen : self._seen + first] = rows[:first]
        later = np.arange(self._seen + first, self._seen + len(rows))
        places = self._random.integers(0, later + 1) if later.size else later
        for row, place in zip(rows[first:][places < _SAMPLED_ROWS], places[places < _SAMPLED_ROWS],
                              strict=True):  # fmt: skip
            self._sample[place] = row
        self._seen += len(rows)
