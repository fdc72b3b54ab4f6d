"""No energy source: one reading that says that, and why."""

import time

from jouleforge.energy import EnergyReading
from jouleforge.meter_calibration import Calibration


class Source:
    """Measures the window's length, and no energy."""

    lead_s = 0.0
    sensor_tick_s = 0.0

    def __init__(self, *, reason: str = "not asked for") -> None:
        """Give this reason with each reading."""
        self.problem: str | None = reason
        self._reason = reason
        self._started_s = 0.0

    @property
    def is_metering(self) -> bool:
        """Return False: there is no meter."""
        return False

    def calibrate(self, calibration: Calibration) -> None:
        """Leave it: there are no joules."""

    def start(self, *, lasts_s: float = 0.0, idle: bool = False) -> None:  # noqa: ARG002
        """Open the window."""
        self._started_s = time.monotonic()

    def stop(self) -> list[EnergyReading]:
        """Close the window, and return one reading without joules."""
        window_s = time.monotonic() - self._started_s
        return [
            EnergyReading.unavailable(
                self._reason, source="none", device="none", scope="machine", window_s=window_s
            )
        ]
