"""What a GPU's energy counter showed about itself and its GPU, beside the energy of a window."""

from typing import Annotated

from pydantic import Field

from jouleforge.stored import Stored

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0)]


class CounterDetail(Stored):
    """How one window over a counter was measured; `None` is what the GPU does not tell."""

    uuid: str
    driver: str
    nvml_version: str
    tick_s: Positive | None
    """Time from one change of the counter to the next, as found before the window."""
    tick_p10_s: Share | None
    tick_p90_s: Share | None
    tick_jitter_s: Share | None
    """Standard deviation of a change about its place."""
    read_s: Share | None
    """Median cost of reading the counter."""
    reads: int
    """Reads within the window."""
    missed_ticks: int
    """Changes that did not come when waited for; nothing is lost, since the counter adds up."""
    part_time: bool
    """The sensor was found to look a part of each tick only."""
    checked_at: str | None
    """When the meter was examined on this board with this driver; `None` if it was not."""
    brackets_s: tuple[float, float]
    """Between which two reads the window's first and last instant lie."""
    drift_per_s: float
    """Relative change of the power when the window was opened all the same; 0 if steady."""
    power_limit_w: float | None
    average_power_w: float | None
    """Mean of NVML's own averages over a second: what the counter's power is compared with."""
    power_capped: bool
    temperature_begin_c: int | None
    temperature_end_c: int | None
    sm_clock_min_mhz: int | None
    sm_clock_median_mhz: int | None
    clock_events: int | None
    """Bits of nvml.h: why clocks were as low as they were, of all moments looked at."""
    thermal_violation_ns: int | None
    power_violation_ns: int | None
    meter_cpu: int | None
    """The core that was left to the meter's thread; `None` where none could be spared."""
