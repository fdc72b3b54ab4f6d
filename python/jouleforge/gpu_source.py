"""What the energy sources of NVIDIA GPUs have in common: which GPUs, and their meters' threads."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from jouleforge import cuda
from jouleforge._core import (
    CounterMeter,
    GpuReading,
    NvmlDevice,
    NvmlError,
    PowerMeter,
    SparedCore,
    nvml_device_count,
)
from jouleforge.counter import CounterDetail
from jouleforge.energy import EnergyReading, Scope
from jouleforge.meter_calibration import Calibration
from jouleforge.meter_check import MeterCheck, load_check

Meter = CounterMeter | PowerMeter

_SCOPE: Scope = "gpu_board"


@dataclass(frozen=True, slots=True)
class _Metered:
    """A GPU's meter, what its examination found, and why it cannot be used, if so."""

    meter: Meter
    check: MeterCheck | None
    problem: str | None

    @property
    def sensor_tick_s(self) -> float:
        """The tick of a sensor that looks a part of it only, as far as is known; else 0."""
        return self.check.tick_s if self.check and self.check.part_time else 0.0


class GpuSource:
    """A meter on the GPU that works, or on all where that is not known."""

    name: ClassVar[str]
    energy_class: ClassVar[Literal["counter", "integrated"]]
    meter: ClassVar[type[CounterMeter] | type[PowerMeter]]
    lead_s: float

    def __init__(
        self,
        *,
        library: str = "libnvidia-ml.so.1",
        shortest_s: float = 2.0,
    ) -> None:
        """Open the GPUs; `problem` says why none of them can be measured, if so.

        Args:
            library: The driver's library.
            shortest_s: Windows that would be shorter are refused.
        """
        self._meters: list[_Metered] = []
        self._core: SparedCore | None = None
        self._calibration: Calibration | None = None
        self._shortest_s = shortest_s
        self.sensor_tick_s = 0.0
        self.problem: str | None = None
        try:
            meters = [self.meter(device, library=library) for device in _devices(library)]
        except NvmlError as error:
            self.problem = str(error)
            return
        self._meters = [self._examined(meter) for meter in meters]
        self.sensor_tick_s = max((one.sensor_tick_s for one in self._meters), default=0.0)
        problems = [one.problem for one in self._meters if one.problem is not None]
        if not self._meters:
            self.problem = "E_NVML: the driver shows no GPU"
        elif len(problems) == len(self._meters):
            self.problem = problems[0]

    def probe(self, device: NvmlDevice) -> None:
        """Read what the meter reads, once.

        Raises:
            NvmlError: It cannot be read.
        """
        raise NotImplementedError

    @property
    def is_metering(self) -> bool:
        """Return whether a GPU can be read."""
        return any(one.problem is None for one in self._meters)

    def calibrate(self, calibration: Calibration) -> None:
        """Correct the joules of each GPU that can be measured, from now on.

        Raises:
            InputError: One is not calibrated.
        """
        for one in self._meters:
            if one.problem is None:
                calibration.of(one.meter.device.uuid)
        self._calibration = calibration

    def start(self, *, lasts_s: float = 0.0, idle: bool = False) -> None:
        """Open the window in the load that goes on for so long, in the thread that runs the load.

        Until `stop` that thread leaves one core to the meters'.
        """
        self._core = SparedCore()
        for one in self._meters:
            if one.problem is None:
                one.meter.start(
                    lasts_s=lasts_s,
                    shortest_s=self._shortest_s,
                    part_time=one.sensor_tick_s > 0 and not idle,
                    idle=idle,
                    cpu=self._core.cpu,
                )

    def temperature_c(self) -> int | None:
        """Return the temperature of the GPU, of the first one if there are several, if it tells."""
        return self._meters[0].meter.device.temperature_c if self._meters else None

    def stop(self) -> list[EnergyReading]:
        """Close the window, and return one reading for each GPU."""
        cpu = self._core.cpu if self._core else None
        readings = [
            self._reading(one, cpu)
            if one.problem is None
            else self._unavailable(_label(one.meter.device), one.problem)
            for one in self._meters
        ]
        self._core = None
        return readings or [self._unavailable("gpu", self.problem)]

    def _examined(self, meter: Meter) -> "_Metered":
        check = load_check(meter.device)
        problem = self._find_problem(meter.device)
        if check and check.faults and self.energy_class == "counter":
            problem = problem or check.faults[0]
        return _Metered(meter, check, problem)

    def _find_problem(self, device: NvmlDevice) -> str | None:
        try:
            if device.mig_enabled:
                return (
                    f"E_MIG: {_label(device)} is cut into MIG instances, and its counter covers "
                    "all of them"
                )
            self.probe(device)
        except NvmlError as error:
            return str(error)
        return None

    def _reading(self, one: "_Metered", cpu: int | None) -> EnergyReading:
        found = one.meter.stop()
        return EnergyReading.of_window(
            found,
            source=self.name,
            device=_label(one.meter.device),
            scope=_SCOPE,
            energy_class=self.energy_class,
            detail=_detail(one, found, cpu),
            calibration=self._calibration,
        )

    def _unavailable(self, device: str, reason: str | None) -> EnergyReading:
        return EnergyReading.unavailable(reason, source=self.name, device=device, scope=_SCOPE)


def _devices(library: str) -> list[str | int]:
    """Return the UUID of the GPU that CUDA counts first, which is what engines run on.

    Without CUDA every GPU that NVML shows is taken, by NVML's index.
    """
    count = nvml_device_count(library)
    working = cuda.working_gpu()
    return list(range(count)) if working is None else [working]


def _label(device: NvmlDevice) -> str:
    return f"{device.name} ({device.uuid})"


def _detail(one: _Metered, found: GpuReading, cpu: int | None) -> CounterDetail:
    device = one.meter.device
    facts = found.facts
    return CounterDetail(
        uuid=device.uuid,
        driver=device.driver,
        nvml_version=device.nvml_version,
        tick_s=found.tick_s,
        tick_p10_s=found.tick_p10_s,
        tick_p90_s=found.tick_p90_s,
        tick_jitter_s=found.tick_jitter_s,
        read_s=found.read_s,
        reads=found.reads,
        missed_ticks=found.missed_ticks,
        part_time=one.sensor_tick_s > 0,
        checked_at=one.check.checked_at if one.check else None,
        brackets_s=(found.begin_bracket_ns / 1e9, found.end_bracket_ns / 1e9),
        drift_per_s=found.drift_per_s,
        power_limit_w=None if facts.power_limit_mw is None else facts.power_limit_mw / 1e3,
        average_power_w=facts.average_power_w,
        power_capped=facts.power_capped,
        temperature_begin_c=facts.temperature_begin_c,
        temperature_end_c=facts.temperature_end_c,
        sm_clock_min_mhz=facts.sm_clock_min_mhz,
        sm_clock_median_mhz=facts.sm_clock_median_mhz,
        clock_events=facts.clock_events,
        thermal_violation_ns=facts.thermal_violation_ns,
        power_violation_ns=facts.power_violation_ns,
        meter_cpu=cpu,
    )
