"""The GPUs' own energy counters, through NVML, read at both ends of the window.

On current data-centre GPUs the counter is a staircase with a step each 100 ms or so. Read at any
moment it is wrong by up to a step at either end, which windows of seconds make small; windows
shorter than that are refused.
"""

import time

from jouleforge._core import NvmlDevice, NvmlError, nvml_device_count
from jouleforge.energy import EnergyReading

SHORTEST_WINDOW_S = 2.0
"""20 steps of 100 ms: below it an unaligned read may be wrong by tens of percent."""

_NAME = "nvml"


class _Gpu:
    """One GPU, with the counter at the start of the window or the reason why it has none."""

    def __init__(self, device: NvmlDevice) -> None:
        self._device = device
        self._start_mj = 0
        self.problem: str | None = None
        self.start()
        if device.mig_enabled:
            self.problem = (
                f"E_MIG: {self.label} is cut into MIG instances, and its counter covers all of them"
            )

    @property
    def label(self) -> str:
        return f"{self._device.name} ({self._device.uuid})"

    def start(self) -> None:
        if self.problem is None:
            try:
                self._start_mj = self._device.total_energy_mj()
            except NvmlError as error:
                self.problem = str(error)

    def stop(self, started_s: float) -> EnergyReading:
        joules, reason = None, self.problem
        if reason is None:
            try:
                used_mj = self._device.total_energy_mj() - self._start_mj
            except NvmlError as error:
                reason = str(error)
            else:
                reason = self._doubt(used_mj, time.monotonic() - started_s)
                joules = used_mj / 1000 if reason is None else None
        return EnergyReading(
            source=_NAME,
            device=self.label,
            scope="gpu_board",
            energy_class="unavailable" if joules is None else "counter",
            joules=joules,
            window_s=time.monotonic() - started_s,
            reason=reason,
        )

    def _doubt(self, used_mj: int, window_s: float) -> str | None:
        if used_mj < 0:
            return f"E_COUNTER_RESET: the counter of {self.label} fell by {-used_mj} mJ"
        if window_s < SHORTEST_WINDOW_S:
            return (
                f"E_WINDOW_TOO_SHORT: {window_s:.3g} s, and the counter's steps need at least "
                f"{SHORTEST_WINDOW_S:g} s; lengthen the measurement"
            )
        if used_mj == 0:
            return (
                f"E_COUNTER_FROZEN: the counter of {self.label} did not change in {window_s:.3g} s"
            )
        return None


class Source:
    """NVML's total-energy counter of every GPU that the driver shows."""

    def __init__(self, *, library: str = "libnvidia-ml.so.1") -> None:
        """Open all GPUs; `problem` says why none of them can be measured, if so."""
        self._gpus: list[_Gpu] = []
        self._started_s = 0.0
        self.problem: str | None = None
        try:
            count = nvml_device_count(library)
            self._gpus = [_Gpu(NvmlDevice(index, library=library)) for index in range(count)]
        except NvmlError as error:
            self.problem = str(error)
            return
        problems = [gpu.problem for gpu in self._gpus if gpu.problem is not None]
        if not self._gpus:
            self.problem = "E_NVML: the driver shows no GPU"
        elif len(problems) == len(self._gpus):
            self.problem = problems[0]

    def start(self) -> None:
        """Open the window."""
        self._started_s = time.monotonic()
        for gpu in self._gpus:
            gpu.start()

    def stop(self) -> list[EnergyReading]:
        """Close the window, and return one reading for each GPU."""
        readings = [gpu.stop(self._started_s) for gpu in self._gpus]
        return readings or [self._nothing()]

    def _nothing(self) -> EnergyReading:
        return EnergyReading(
            source=_NAME,
            device="gpu",
            scope="gpu_board",
            energy_class="unavailable",
            joules=None,
            window_s=time.monotonic() - self._started_s,
            reason=self.problem,
        )
