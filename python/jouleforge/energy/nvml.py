"""The GPUs' own energy counters, through NVML, read where they change.

On current data-centre GPUs the counter is a staircase with a step each 100 ms or so. Read at any
moment it is wrong by up to a step at either end. A native thread per GPU learns the steps, opens
the window at one and closes it at another, both within the load (csrc/energy/counter_window.h).
"""

from jouleforge._core import CounterMeter, NvmlDevice
from jouleforge.gpu_source import GpuSource


class Source(GpuSource):
    """NVML's total-energy counter of the GPU that works, or of all where that is not known."""

    name = "nvml"
    energy_class = "counter"
    meter = CounterMeter
    lead_s = 4.0
    """Before the window: 12 ticks to learn them and two seconds of load; after it, a few ticks."""

    def probe(self, device: NvmlDevice) -> None:
        """Read the counter.

        Raises:
            NvmlError: The GPU has none.
        """
        device.total_energy_mj()
