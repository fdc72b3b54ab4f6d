"""Queues whose latencies are known, for bench/interval_coverage.py."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from jouleforge import stats
from jouleforge.quantiles import percentile, queued_worth

_SEED = 20261121
_LEVELS = (0.5, 0.9, 0.95, 0.99)

Random = np.random.Generator
Case = Callable[[Random], bool | None]


@dataclass(frozen=True, slots=True)
class Queue:
    """Queries that arrive at random and are served one by one: an M/G/1 queue, begun empty."""

    load: float
    """Share of the time that the worker is busy."""
    block_sd: float = 0.0
    """By how much the worker's speed differs between blocks, on the log scale."""

    def draw(self, random: Random, blocks: int, queries: int) -> list[NDArray[np.float64]]:
        """Return the latencies of every block, in units of the mean service time."""
        shape = (blocks, queries)
        # Every length comes equally often, in a random order, as in a pass over the data.
        services = random.permuted(np.broadcast_to(_services(queries), shape), axis=1)
        services = services * np.exp(self.block_sd * random.normal(size=(blocks, 1)))
        steps = services[:, :-1] - random.exponential(1 / self.load, (blocks, queries - 1))
        walk = np.concatenate([np.zeros((blocks, 1)), np.cumsum(steps, axis=1)], axis=1)
        waits = walk - np.minimum.accumulate(walk, axis=1)
        return list(waits + services)


def _services(queries: int) -> NDArray[np.float64]:
    """Return service times of mean 1 that differ by a factor of up to e."""
    found = np.exp(np.linspace(-0.5, 0.5, queries))
    return np.asarray(found / found.mean())


@cache
def _truths(queue: Queue) -> dict[float, float]:
    """Return the true quantiles: those of four million queries in long blocks."""
    found = np.stack(queue.draw(np.random.default_rng(_SEED), 640, 6000))
    return {level: float(np.quantile(found, level)) for level in _LEVELS}


def _case(queue: Queue, level: float, blocks: int, queries: int) -> Case:
    worth = queued_worth(queue.load, float(_services(queries).var()))

    def case(random: Random) -> bool | None:
        found = percentile(queue.draw(random, blocks, queries), level, worth=worth)
        if found is None or found.interval is None:
            return None
        return not found.interval.excludes(_truths(queue)[level])

    return case


def cases() -> Iterator[tuple[str, str, Case]]:
    """Give every percentile of `server`, by the blocks or by stretches of them.

    Returns:
        The interval, the data, and a function that simulates one study and returns whether the
        interval holds the truth, `None` if none is printed.
    """
    for queue, blocks, queries in (
        (Queue(0.6), 1, 5232), (Queue(0.7), 1, 10_464), (Queue(0.7), 5, 1744),
        (Queue(0.8), 20, 1744), (Queue(0.7, 0.03), 10, 872),
    ):  # fmt: skip
        kind = "blocks" if blocks >= stats.FEWEST_BLOCKS else "stretches"
        differ = f", speed differs by {100 * queue.block_sd:g} %" if queue.block_sd else ""
        for level in _LEVELS:
            yield (
                f"p{100 * level:g} of a queue, {kind}",
                f"load {queue.load:g}, {blocks} blocks of {queries} queries{differ}",
                _case(queue, level, blocks, queries),
            )
