"""The processor's own energy counters (RAPL): packages, and memory where it has a counter."""

import time
from pathlib import Path

from jouleforge._core import Rapl, RaplError, RaplReading
from jouleforge.energy import EnergyReading
from jouleforge.meter_calibration import Calibration

_NAME = "rapl"


class Source:
    """The RAPL counters of every package."""

    lead_s = 0.0
    """They advance every millisecond, so that no edge has to be waited for."""
    sensor_tick_s = 0.0

    def __init__(self, *, sysfs: Path = Path("/sys")) -> None:
        """Open the counters; `problem` says why they cannot be read, if so."""
        self._rapl: Rapl | None = None
        self._calibration: Calibration | None = None
        self._started_s = 0.0
        self.problem: str | None = None
        try:
            self._rapl = Rapl(sysfs=sysfs)
        except RaplError as error:
            self.problem = str(error)

    @property
    def is_metering(self) -> bool:
        """Return whether there are counters."""
        return self._rapl is not None

    def calibrate(self, calibration: Calibration) -> None:
        """Correct the joules of each domain from now on.

        Raises:
            InputError: A domain is not calibrated.
        """
        for domain in self._rapl.domains if self._rapl else ():
            calibration.of(domain)
        self._calibration = calibration

    def start(self, *, lasts_s: float = 0.0, idle: bool = False) -> None:  # noqa: ARG002
        """Open the window."""
        self._started_s = time.monotonic()
        if self._rapl is None:
            return
        try:
            self._rapl.start()
        except RaplError as error:
            self._rapl, self.problem = None, str(error)

    def stop(self) -> list[EnergyReading]:
        """Close the window, and return one reading for each package and each memory."""
        if self._rapl is None:
            return [self._nothing(self.problem)]
        try:
            return [self._reading(found) for found in self._rapl.stop()]
        except RaplError as error:
            return [self._nothing(str(error))]

    def _nothing(self, reason: str | None) -> EnergyReading:
        return EnergyReading.unavailable(
            reason,
            source=_NAME,
            device="cpu",
            scope="cpu_package",
            window_s=time.monotonic() - self._started_s,
        )

    def _reading(self, found: RaplReading) -> EnergyReading:
        return EnergyReading.of_window(
            found,
            source=_NAME,
            device=found.domain,
            scope=found.scope,
            energy_class="counter",
            calibration=self._calibration,
        )
