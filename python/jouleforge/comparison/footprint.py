"""Footprint: the memory of a row's process with its engine loaded, and what work adds to it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from jouleforge.measurement import Memory


@dataclass(frozen=True, slots=True)
class Footprint:
    """Medians over the repeats of what was loaded, and the most that any of them added, in bytes.

    `None` is what a repeat does not tell.
    """

    loaded_rss: int | None
    working_rss: int | None
    """Peak at work over the loaded level."""
    loaded_gpu: int | None
    working_gpu: int | None
    reasons: tuple[str, ...]
    """Why something is missing."""


def footprint(found: Sequence[Memory]) -> Footprint:
    """Return the footprint of a row's repeats."""
    reasons = dict.fromkeys(why for one in found for why in (one.reason, one.gpu_reason) if why)
    return Footprint(
        loaded_rss=_median(one.loaded_rss_bytes for one in found),
        working_rss=_most(one.working_rss_bytes for one in found),
        loaded_gpu=_median(one.loaded_gpu_bytes for one in found),
        working_gpu=_most(one.working_gpu_bytes for one in found),
        reasons=tuple(reasons),
    )


def _median(found: Iterable[int | None]) -> int | None:
    known = _all(found)
    return int(np.median(known)) if known else None


def _most(found: Iterable[int | None]) -> int | None:
    return max(_all(found), default=None)


def _all(found: Iterable[int | None]) -> list[int]:
    """Return all values, or none where one is missing."""
    values = list(found)
    known = [one for one in values if one is not None]
    return known if len(known) == len(values) else []
