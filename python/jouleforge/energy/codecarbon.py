"""CodeCarbon's estimate: a second opinion to print beside a counter, never a meter.

Where CodeCarbon finds no counter it multiplies a rated power by the load, and takes memory to draw
a constant per module. It does not say which figure came from where, so each is `estimated`.
"""

import logging
import time
from unittest import mock

from jouleforge import cuda
from jouleforge._core import NvmlDevice, NvmlError, nvml_device_count
from jouleforge.energy import EnergyReading, Scope
from jouleforge.errors import InputError, MissingError
from jouleforge.meter_calibration import Calibration

try:
    from codecarbon import OfflineEmissionsTracker, emissions_tracker
except ImportError as error:
    raise MissingError(
        "the energy source codecarbon needs CodeCarbon, which is not installed: "
        "pip install 'jouleforge[carbon]'"
    ) from error

_JOULES_PER_KWH = 3.6e6

_COUNTRY = "FRA"
"""CodeCarbon wants a country for its grams of CO2, and would ask the network for it. Not its
joules but only those grams, which we do not read, depend on it."""

SHORTEST_WINDOW_S = 10.0
"""CodeCarbon reads a GPU's counter whenever it is asked and a processor's load once a second. What
that blurs at the two ends is a small part of a window only if the window is long."""


class Source:
    """CodeCarbon's figures for the whole processor and memory, and for the GPU that works."""

    lead_s = 0.0
    sensor_tick_s = 0.0

    def __init__(self) -> None:
        """Set up the tracker, which takes two seconds, and writes and sends nothing."""
        self.problem: str | None = None
        self._started_s = 0.0
        logging.getLogger("codecarbon").setLevel(logging.ERROR)
        # CodeCarbon merges ~/.codecarbon.config, ./.codecarbon.config and CODECARBON_* variables
        # into what it is told: rated powers, a PUE that multiplies joules, tokens for web services.
        working = cuda.working_gpu()
        with mock.patch.object(emissions_tracker, "get_hierarchical_config", return_value={}):
            self._tracker = OfflineEmissionsTracker(
                country_iso_code=_COUNTRY,
                output_methods=[],
                log_level="error",
                pue=1.0,
                # Left alone, it reads CUDA_VISIBLE_DEVICES as if NVML counted in the same order.
                gpu_ids=None if working is None else _indices(working),
            )
        # The first task looks for the hardware. No window should wait for that.
        self._tracker.start_task()
        self._tracker.stop_task()

    @property
    def is_metering(self) -> bool:
        """Return False: a model is no meter."""
        return False

    def calibrate(self, calibration: Calibration) -> None:  # noqa: ARG002
        """Refuse: a model's figure does not become a measured one by a factor.

        Raises:
            InputError: Always.
        """
        raise InputError(
            "a calibration file corrects counters, and the energy source codecarbon estimates; "
            "measure with nvml, nvml_power or rapl, or without the file"
        )

    def start(self, *, lasts_s: float = 0.0, idle: bool = False) -> None:  # noqa: ARG002
        """Open the window."""
        self._started_s = time.monotonic()
        self._tracker.start_task()

    def stop(self) -> list[EnergyReading]:
        """Close the window, and return one reading for each kind of device."""
        window_s = time.monotonic() - self._started_s
        data = self._tracker.stop_task()
        readings = [
            _reading("cpu_package", data.cpu_model, data.cpu_energy, window_s),
            _reading("dram", f"{data.ram_total_size:.0f} GiB of memory", data.ram_energy, window_s),
        ]
        if data.gpu_count:
            readings.append(_reading("gpu_board", data.gpu_model, data.gpu_energy, window_s))
        return readings


def _indices(uuid: str) -> list[int]:
    """Return NVML's index of a GPU, in a list.

    By its UUID CodeCarbon 3.3.2 never finds it: it strips the letters M, I and G off the front, for
    the sake of `MIG-`, and compares what is left with the whole.
    """
    try:
        uuids = [NvmlDevice(index).uuid for index in range(nvml_device_count())]
    except NvmlError:  # nor does CodeCarbon see any
        return []
    return [index for index, found in enumerate(uuids) if found == uuid]


def _reading(scope: Scope, device: str, energy_kwh: float, window_s: float) -> EnergyReading:
    reason = None
    if window_s < SHORTEST_WINDOW_S:
        reason = (
            f"E_WINDOW_TOO_SHORT: {window_s:.3g} s, and CodeCarbon's estimate needs at least "
            f"{SHORTEST_WINDOW_S:g} s; lengthen the measurement"
        )
    elif energy_kwh <= 0:
        reason = "CodeCarbon gave no energy for it"
    return EnergyReading(
        source="codecarbon",
        device=device or scope,
        scope=scope,
        energy_class="estimated" if reason is None else "unavailable",
        joules=energy_kwh * _JOULES_PER_KWH if reason is None else None,
        window_s=window_s,
        reason=reason,
    )
