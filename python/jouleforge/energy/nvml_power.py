"""Sampled power of GPUs, added up: for those whose energy counter cannot be read.

Never taken by `auto`. What a sensor does between its looks nobody sees, and on some GPUs it looks a
quarter of the time: its joules are of a class of their own, `integrated`.
"""

from jouleforge._core import NvmlDevice, PowerMeter
from jouleforge.gpu_source import GpuSource


class Source(GpuSource):
    """NVML's power of the moment, integrated over a stretch within the load."""

    name = "nvml_power"
    energy_class = "integrated"
    meter = PowerMeter
    lead_s = 2.5
    """Two seconds before the window, so that it lies within a steady load."""

    def probe(self, device: NvmlDevice) -> None:
        """Read the power.

        Raises:
            NvmlError: The GPU does not tell it.
        """
        device.instant_power_mw()
