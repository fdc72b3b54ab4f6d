"""Work: how much was done between the two instants of a meter's window."""

import numpy as np

from jouleforge._core import Trace, beats_with, work_between
from jouleforge.energy import EnergyReading

_SLACK = 0.01
"""A meter that needs no edges is opened just before the first stamp and closed just after the last;
so much of its window, at most, may lie outside."""


def count(reading: EnergyReading, trace: Trace, *, batches: int) -> EnergyReading:
    """Return the reading with the passes that were done within its window.

    Args:
        reading: What the meter gave.
        trace: The timed loop that ran at the same time.
        batches: How many runs make one pass.

    Returns:
        The same without joules, with the reason, if the work cannot be told (a batch stalled at an
        end of the window, or the loop did not go on until there), or if the batches kept pace with
        a sensor that looks a part of the time only.
    """
    if reading.joules is None or reading.begin_ns is None or reading.end_ns is None:
        return reading
    slack_ns = 0 if reading.detail else int(_SLACK * (reading.end_ns - reading.begin_ns))
    work = work_between(
        trace,
        batches=batches,
        begin_ns=reading.begin_ns,
        end_ns=reading.end_ns,
        slack_ns=slack_ns,
    )
    if reason := work.reason or _aliasing(reading, trace):
        return reading.model_copy(
            update={
                "energy_class": "unavailable",
                "joules": None,
                "calibration": None,
                "reason": reason,
            }
        )
    return reading.model_copy(update={"passes": work.passes, "paused_s": work.paused_s})


def _aliasing(reading: EnergyReading, trace: Trace) -> str | None:
    """Return why a part-time sensor cannot have seen all parts of the batches alike, if so."""
    detail = reading.detail
    if detail is None or not detail.part_time or not detail.tick_s or len(trace.pauses):
        return None
    batch_s = float(np.median(np.diff(trace.stamps_ns))) / 1e9
    window_s = reading.window_s or 0.0
    if not beats_with(tick_s=detail.tick_s, batch_s=batch_s, window_s=window_s):
        return None
    return (
        f"E_ALIASED: batches of {1e3 * batch_s:.4g} ms beat with a sensor that looks a part of "
        f"each {1e3 * detail.tick_s:.4g} ms only, and were not interrupted. Change the batch size"
    )
