"""The processor's own energy counters (RAPL): packages, and memory where it has a counter."""

import time
from pathlib import Path

from jouleforge._core import Rapl, RaplError, RaplReading
from jouleforge.energy import EnergyReading

_NAME = "rapl"


class Source:
    """The RAPL counters of every package."""

    lead_s = 0.0
    """They advance every millisecond, so that no edge has to be waited for."""
    sensor_tick_s = 0.0

    def __init__(self, *, sysfs: Path = Path("/sys")) -> None:
        """Open the counters; `problem` says why they cannot be read, if so."""
        self._rapl: Rapl | None = None
        self._started_s = 0.0
        self.problem: str | None = None
        try:
            self._rapl = Rapl(sysfs=sysfs)
        except RaplError as error:
            self.problem = str(error)

    def start(self, *, lasts_s: float = 0.0) -> None:  # noqa: ARG002
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
            return [_reading(reading) for reading in self._rapl.stop()]
        except RaplError as error:
            return [self._nothing(str(error))]

    def _nothing(self, reason: str | None) -> EnergyReading:
        return EnergyReading(
            source=_NAME,
            device="cpu",
            scope="cpu_package",
            energy_class="unavailable",
            joules=None,
            window_s=time.monotonic() - self._started_s,
            reason=reason,
        )


def _reading(reading: RaplReading) -> EnergyReading:
    return EnergyReading(
        source=_NAME,
        device=reading.domain,
        scope=reading.scope,
        energy_class="unavailable" if reading.joules is None else "counter",
        joules=reading.joules,
        window_s=reading.window_s,
        reason=reading.reason or None,
        begin_ns=reading.begin_ns,
        end_ns=reading.end_ns,
        uncertainty=None if reading.joules is None else reading.uncertainty,
    )
