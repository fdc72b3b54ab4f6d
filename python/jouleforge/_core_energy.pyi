"""The part of `jouleforge._core` that measures energy; there is no module of this name."""

import os
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from jouleforge._core import Trace

class NvmlError(RuntimeError):
    """The message begins with a code: E_NVML_MISSING, E_NVML_ENERGY_UNSUPPORTED, E_NVML."""

class RaplError(RuntimeError):
    """The message begins with E_RAPL_PERMISSION, E_RAPL_ABSENT or E_RAPL."""

def nvml_device_count(library: str = "libnvidia-ml.so.1") -> int:
    """Return the number of GPUs that the driver knows.

    Raises:
        NvmlError: There is no driver.
    """

@final
class NvmlDevice:
    """One GPU and its energy counter."""

    def __init__(self, device: int | str, *, library: str = "libnvidia-ml.so.1") -> None:
        """Open a GPU by NVML index, which is not CUDA's, or by UUID.

        Raises:
            NvmlError: There is no driver, or no such GPU.
        """

    @property
    def uuid(self) -> str:
        """As NVML prints it: "GPU-..."."""

    @property
    def name(self) -> str:
        """The product name."""

    @property
    def driver(self) -> str:
        """The driver's version."""

    @property
    def nvml_version(self) -> str:
        """NVML's own version; empty if it does not tell."""

    @property
    def is_vgpu(self) -> bool:
        """Whether this machine sees a share of a GPU; its counter then covers the whole."""

    @property
    def mig_enabled(self) -> bool:
        """Whether the GPU is cut into MIG instances; its counter then covers all of them."""

    @property
    def temperature_c(self) -> int | None:
        """The temperature of this moment; None if it does not tell."""

    def instant_power_mw(self) -> int:
        """Return the power of the moment.

        Raises:
            NvmlError: The GPU does not tell it.
        """

    def answers(self) -> dict[str, str]:
        """Return every call a meter makes with "ok", or with the status and its text."""

    def total_energy_mj(self) -> int:
        """Return millijoules since the driver was loaded.

        Raises:
            NvmlError: The GPU has no energy counter.
        """

class EnergyWindow:
    """The energy between two instants, or the reason why there is none."""

    @property
    def begin_ns(self) -> int:
        """Where the joules begin, on CLOCK_MONOTONIC."""

    @property
    def end_ns(self) -> int:
        """Where they end."""

    @property
    def joules(self) -> float | None:
        """Energy, or None where the meter cannot be believed."""

    @property
    def reason(self) -> str:
        """Why `joules` is None; begins with a code. Empty otherwise."""

    @property
    def uncertainty(self) -> float:
        """Relative standard deviation of `joules`, from how well the two instants are known."""

    @property
    def window_s(self) -> float:
        """The length of the window."""

@final
class WorkDone:
    """Work between two instants of a timed loop."""

    @property
    def paused_s(self) -> float:
        """How long nothing ran between them, for the sensor's sake."""

    @property
    def passes(self) -> float:
        """Passes, the parts of them weighed by the usual time of each batch."""

    @property
    def reason(self) -> str:
        """Why the window cannot stand: E_BATCH_STALLED, E_WINDOW_CUT; else empty."""

def work_between(
    trace: Trace,
    *,
    batches: int,
    begin_ns: int,
    end_ns: int,
    slack_ns: int = 0,
) -> WorkDone:
    """Return the passes that were done between two instants.

    Args:
        trace: The loop's.
        batches: How many runs make one pass.
        begin_ns: First instant, not before the first stamp.
        end_ns: Last instant, not after the last stamp.
        slack_ns: So much of the window may lie outside the stamps, where no work is counted.

    Raises:
        ValueError: The trace is of no whole passes.
    """

def beats_with(*, tick_s: float, batch_s: float, window_s: float) -> bool:
    """Return whether batches beat with a sensor's looks so slowly that a window cannot average it.

    Args:
        tick_s: Time from look to look.
        batch_s: Time of one batch.
        window_s: The window's length; it should hold twenty beats.
    """

@final
class SparedCore:
    """Keeps the calling thread off one core, which is left to a meter, until this is dropped."""

    def __init__(self) -> None:
        """Take the core; on a machine of one core there is none to take."""

    @property
    def cpu(self) -> int | None:
        """The core."""

@final
class GpuFacts:
    """What a GPU was like within a window; None is what it does not tell."""

    @property
    def power_limit_mw(self) -> int | None: ...
    @property
    def temperature_begin_c(self) -> int | None: ...
    @property
    def temperature_end_c(self) -> int | None: ...
    @property
    def sm_clock_min_mhz(self) -> int | None: ...
    @property
    def sm_clock_median_mhz(self) -> int | None: ...
    @property
    def clock_events(self) -> int | None:
        """Bits of nvml.h: why clocks were low, of all moments looked at."""

    @property
    def thermal_violation_ns(self) -> int | None: ...
    @property
    def power_violation_ns(self) -> int | None: ...
    @property
    def average_power_w(self) -> float | None:
        """Mean of NVML's averages over a second: what the counter is compared with."""

    @property
    def power_capped(self) -> bool:
        """Whether the power cap held clocks down."""

@final
class GpuReading(EnergyWindow):
    """One window over a GPU."""

    @property
    def tick_s(self) -> float | None:
        """Time from change to change; None until it was found."""

    @property
    def tick_p10_s(self) -> float | None: ...
    @property
    def tick_p90_s(self) -> float | None: ...
    @property
    def tick_jitter_s(self) -> float | None:
        """Standard deviation of a change about its place."""

    @property
    def read_s(self) -> float | None:
        """Median cost of a read."""

    @property
    def missed_ticks(self) -> int:
        """Changes that did not come where one was waited for."""

    @property
    def begin_bracket_ns(self) -> int:
        """How well the window's begin is known."""

    @property
    def end_bracket_ns(self) -> int:
        """How well its end is known."""

    @property
    def reads(self) -> int:
        """Reads within the window."""

    @property
    def edges(self) -> NDArray[np.int64]:
        """Edges from its begin to its end, shape (edges, 2): the instant [ns], the energy [mJ]."""

    @property
    def drift_per_s(self) -> float:
        """Relative change of the power when the window was opened; 0 if it was steady."""

    @property
    def facts(self) -> GpuFacts:
        """What the GPU was like meanwhile."""

@final
class CounterMeter:
    """A GPU's energy counter, followed by a native thread while the load runs in another."""

    def __init__(self, device: int | str, *, library: str = "libnvidia-ml.so.1") -> None:
        """Open a GPU by NVML index, which is not CUDA's, or by UUID.

        Raises:
            NvmlError: There is no driver, or no such GPU.
        """

    @property
    def device(self) -> NvmlDevice:
        """The GPU."""

    def start(
        self,
        *,
        lasts_s: float,
        pre_roll_s: float = 2.0,
        longest_pre_roll_s: float = 10.0,
        shortest_s: float = 2.0,
        part_time: bool = False,
        idle: bool = False,
        edge_every_s: float = 0.0,
        read_every_s: float = 0.0,
        cpu: int | None = None,
    ) -> None:
        """Open a window in the load that goes on from now; one that is open is given up.

        Args:
            lasts_s: The load goes on for at least so long.
            pre_roll_s: The window opens after so long, when the counter's ticks are known and the
                power no longer drifts.
            longest_pre_roll_s: It does not wait longer than this for the power.
            shortest_s: A window that would be shorter, or under 20 ticks, is refused.
            part_time: The counter's sensor looks a part of the time only: the window has to be of
                half a minute.
            idle: Nothing runs within it; the GPU may cool down.
            edge_every_s: Also look for an edge each time so long has passed, and
            read_every_s: read so often in between: for the examination of a counter.
            cpu: The core on which the thread stays.
        """

    def stop(self) -> GpuReading:
        """Close the window when the load has ended.

        Raises:
            NvmlError: No window is open. What else goes wrong is the reading's reason.
        """

@final
class PowerMeter:
    """A GPU's sampled power, added up by a native thread: for GPUs without a counter."""

    def __init__(self, device: int | str, *, library: str = "libnvidia-ml.so.1") -> None:
        """Open a GPU, as CounterMeter."""

    @property
    def device(self) -> NvmlDevice:
        """The GPU."""

    def start(
        self,
        *,
        lasts_s: float,
        pre_roll_s: float = 2.0,
        longest_pre_roll_s: float = 10.0,
        shortest_s: float = 2.0,
        part_time: bool = False,
        idle: bool = False,
        edge_every_s: float = 0.0,
        read_every_s: float = 0.0,
        cpu: int | None = None,
    ) -> None:
        """Open a window, as CounterMeter.start; the power is not waited for to settle."""

    def stop(self) -> GpuReading:
        """Close the window, as CounterMeter.stop."""

@final
class GpuMemoryWatch:
    """How much of a GPU's memory this process holds, looked at once a second by a native thread."""

    def __init__(
        self, device: int | str, *, library: str = "libnvidia-ml.so.1", cpu: int | None = None
    ) -> None:
        """Look for the first time, and start the thread, which stays on a core if there is one.

        Raises:
            NvmlError: There is no driver, or no such GPU.
        """

    @property
    def loaded_bytes(self) -> int | None:
        """What the first look showed; None where the driver does not tell."""

    def stop(self) -> int | None:
        """End the thread, and return the most that a look showed; None if one did not tell."""

@final
class RaplReading(EnergyWindow):
    """Energy of one RAPL domain over one window."""

    @property
    def domain(self) -> str:
        """The domain: "package-0", "package-0/dram"."""

    @property
    def scope(self) -> Literal["cpu_package", "dram"]:
        """What the counter covers."""

@final
class Rapl:
    """The processor's energy counters: perf events, else powercap files.

    While a window is open, a native thread follows counters that wrap.
    """

    def __init__(self, *, sysfs: str | os.PathLike[str] = "/sys") -> None:
        """Open the counters of all packages, and of their DRAM where it has some.

        Raises:
            RaplError: There are none (E_RAPL_ABSENT), or they may not be read
                (E_RAPL_PERMISSION).
        """

    @property
    def source(self) -> Literal["perf_event", "powercap"]:
        """Where the counters are read."""

    @property
    def domains(self) -> list[str]:
        """The domains, in the order of the readings."""

    def start(self) -> None:
        """Open a window; one that is open is given up."""

    def stop(self) -> list[RaplReading]:
        """Close the window.

        Raises:
            RaplError: No window is open, or a counter cannot be read.
        """
