"""Idle windows: what the devices draw with the engine loaded and nothing running.

Total joules stay the headline. What is taken off here (dynamic joules) is of the same meter, the
same device and the same process, so that its gain and what else runs are in both.
"""

import time
from collections.abc import Iterable, Sequence

from jouleforge.energy import EnergyReading, EnergySource
from jouleforge.idle_power import IdlePower

_MOST_DRIFT = 0.05


def windows(source: EnergySource, length_s: float) -> list[EnergyReading]:
    """Return what a source reads while this thread sleeps for `length_s`, and no second without it.

    A meter that waits for its counter's edges takes `lead_s` longer. The list is empty where there
    is no meter, or no length.
    """
    if not length_s or not source.is_metering:
        return []
    lasts_s = length_s + source.lead_s
    source.start(lasts_s=lasts_s, idle=True)
    time.sleep(lasts_s)
    return source.stop()


def subtract(
    reading: EnergyReading,
    before: Sequence[EnergyReading],
    after: Sequence[EnergyReading],
    *,
    dithered: bool = True,
) -> EnergyReading:
    """Return a reading that knows the idle power of its device, and the joules above it.

    Args:
        reading: Of the window under load.
        before: Idle windows of the same source before the load, by any devices, and
        after: after it. Without both, or without joules, the reading stays as it is.
        dithered: Its pauses are for the sake of a part-time sensor, and no part of the work.
    """
    if reading.joules is None or not reading.window_s or not (before or after):
        return reading
    before_w, missing_before = _power_w(reading, before, "before")
    after_w, missing_after = _power_w(reading, after, "after")
    known = [watts for watts in (before_w, after_w) if watts is not None]
    idle_w = sum(known) / len(known) if known else 0.0
    dynamic_j = reading.joules - idle_w * reading.window_s
    pause_j = idle_w * reading.paused_s if dithered else 0.0
    reason = missing_before or missing_after or _unsteady(known, reading.joules / reading.window_s)
    return reading.model_copy(
        update={
            "idle": IdlePower(
                before_w=before_w,
                after_w=after_w,
                dynamic_joules=None if reason else dynamic_j,
                reason=reason or None,
                pause_joules=pause_j,
                pause_uncertainty_joules=pause_j / 2,
            )
        }
    )


def _power_w(
    reading: EnergyReading, found: Iterable[EnergyReading], when: str
) -> tuple[float | None, str]:
    """Return the idle power of the reading's device, or why it is not known."""
    for one in found:
        if (one.source, one.device, one.scope) != (reading.source, reading.device, reading.scope):
            continue
        if one.joules is not None and one.window_s:
            return one.joules / one.window_s, ""
        return None, f"E_IDLE_UNKNOWN: the idle power {when} the load was not read: {one.reason}"
    return None, f"E_IDLE_UNKNOWN: the idle power {when} the load was not read"


def _unsteady(watts: Sequence[float], load_w: float) -> str:
    """Return why two idle powers cannot be taken off a load's, or nothing."""
    low, high = min(watts), max(watts)
    if (high - low) / low > _MOST_DRIFT:
        return (
            f"E_IDLE_UNSTABLE: context idle before/after {watts[0]:.4g}/{watts[1]:.4g} W (limit "
            f"{100 * _MOST_DRIFT:g} %). Dynamic energy not reported"
        )
    if sum(watts) / len(watts) >= load_w:
        return (
            f"E_IDLE_ABOVE: context idle {sum(watts) / len(watts):.4g} W is not below the "
            f"{load_w:.4g} W under load. Dynamic energy not reported; what else was running?"
        )
    return ""
