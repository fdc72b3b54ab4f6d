"""Memory: what this process holds with its engine loaded, and the most it held at work."""

import resource
import sys
from pathlib import Path

from jouleforge import cuda
from jouleforge._core import GpuMemoryWatch, NvmlError, SparedCore
from jouleforge.energy import Device
from jouleforge.measurement import Memory

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"
"""What proc(5) has written there to set the peak resident set back to the present one."""

_HIDDEN = (
    "E_GPU_MEMORY_HIDDEN: the driver does not tell how much memory this process holds, as in many "
    "containers"
)


class MemoryWatch:
    """Made when the engine is loaded and has its batches, before the first of them runs."""

    def __init__(
        self, device: Device, *, library: str = "libnvidia-ml.so.1", clear: Path = _CLEAR
    ) -> None:
        """Note the level, and begin to watch the peak.

        Args:
            device: What the engine runs on. Of a GPU a native thread asks once a second.
            library: NVML.
            clear: Where the kernel takes the order to forget a peak.
        """
        self._peak_before = _lifetime_peak()
        self._is_reset = _forget_peak(clear)
        self._loaded = _from_status("VmRSS")
        self._gpu: GpuMemoryWatch | None = None
        self._gpu_reason: str | None = None
        if device == "gpu":
            try:
                # The core that a meter takes as well; the work is kept off it while that one runs.
                self._gpu = GpuMemoryWatch(
                    cuda.working_gpu() or 0, library=library, cpu=SparedCore().cpu
                )
            except NvmlError as error:
                self._gpu_reason = str(error)

    def stop(self) -> Memory:
        """Return the levels and the peaks until now."""
        peak, at_work = _lifetime_peak(), None
        if self._is_reset:
            at_work = _from_status("VmHWM")
        elif peak > self._peak_before:
            at_work = peak
        reason = None
        if at_work is None or self._loaded is None:
            reason = "this system tells one peak of all, and that was reached while loading"
        gpu_loaded = self._gpu.loaded_bytes if self._gpu else None
        gpu_peak = self._gpu.stop() if self._gpu else None
        hidden = self._gpu is not None and (gpu_loaded is None or gpu_peak is None)
        return Memory(
            peak_rss_bytes=max(peak, self._peak_before),
            reason=reason,
            loaded_rss_bytes=self._loaded,
            working_peak_rss_bytes=at_work,
            loaded_gpu_bytes=gpu_loaded,
            working_peak_gpu_bytes=gpu_peak,
            gpu_reason=_HIDDEN if hidden else self._gpu_reason,
        )


def _lifetime_peak() -> int:
    """Return the peak resident set of this process so far, or since it was made to forget it."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak if sys.platform == "darwin" else peak * 1024


def _forget_peak(file: Path) -> bool:
    try:
        file.write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return False
    return True


def _from_status(name: str) -> int | None:
    """Return a size that the kernel shows of this process [bytes]; None if it shows none."""
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(found[0]) * 1024 if found else None
