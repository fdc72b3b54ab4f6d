"""Work: how much was done between the two instants of a meter's window."""

from jouleforge._core import Trace, work_between
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
        The same without joules, with the reason, if the work cannot be told: a batch stalled at an
        end of the window, or the loop did not go on until there.
    """
    if reading.joules is None or reading.begin_ns is None or reading.end_ns is None:
        return reading
    slack_ns = 0 if reading.detail else int(_SLACK * (reading.end_ns - reading.begin_ns))
    work = work_between(
        trace.stamps_ns,
        batches=batches,
        begin_ns=reading.begin_ns,
        end_ns=reading.end_ns,
        slack_ns=slack_ns,
    )
    if not work.reason:
        return reading.model_copy(update={"passes": work.passes})
    return reading.model_copy(
        update={"energy_class": "unavailable", "joules": None, "reason": work.reason}
    )
