"""Studies that end when their intervals are narrow, for bench/interval_coverage.py.

An interval that decides when it is looked at is too short: the rule stops where the scatter so far
happens to be small (Chow and Robbins, Annals of Mathematical Statistics 36, 1965, 457-462, show
that it holds in the limit). Ten blocks at least are what keeps the loss small.
"""

from collections.abc import Callable, Iterator

import numpy as np

from jouleforge import stats

Random = np.random.Generator
Case = Callable[[Random], bool | None]

_FEWEST, _MOST = 10, 40
"""The defaults of a study's `repeats` and `max_repeats`."""


def _case(sd: float) -> Case:
    def case(random: Random) -> bool | None:
        values = list(np.exp(sd * random.normal(size=_MOST)))
        for blocks in range(_FEWEST, _MOST + 1):
            found = stats.geometric_mean(values[:blocks], resampled=False)
            width = stats.half_width(found)
            if width is not None and width <= stats.NARROW:
                break
        return None if found.interval is None else not found.interval.excludes(1.0)

    return case


def cases() -> Iterator[tuple[str, str, Case]]:
    """Give the interval, the data and the case of each design."""
    for sd in (0.03, 0.02, 0.014):
        data = f"normal, sd {100 * sd:g} %, {_FEWEST} to {_MOST} blocks"
        yield "examples/s, J/example, t, at the stop rule", data, _case(sd)
