"""The GPUs' own energy counters, through NVML, read where they change.

On current data-centre GPUs the counter is a staircase with a step each 100 ms or so. Read at any
moment it is wrong by up to a step at either end. A native thread per GPU learns the steps, opens
the window at one and closes it at another, both within the load (csrc/energy/counter_window.h).
"""

from jouleforge import cuda
from jouleforge._core import CounterMeter, CounterReading, NvmlError, SparedCore, nvml_device_count
from jouleforge.counter import CounterDetail
from jouleforge.energy import EnergyReading
from jouleforge.errors import JouleforgeError

_NAME = "nvml"


class _Gpu:
    """One GPU and its meter, or the reason why it cannot be measured."""

    def __init__(self, meter: CounterMeter) -> None:
        self._meter = meter
        self.problem = self._find_problem()

    @property
    def label(self) -> str:
        return f"{self._meter.device.name} ({self._meter.device.uuid})"

    def _find_problem(self) -> str | None:
        try:
            if self._meter.device.mig_enabled:
                return (
                    f"E_MIG: {self.label} is cut into MIG instances, and its counter covers all of "
                    "them"
                )
            self._meter.device.total_energy_mj()
        except NvmlError as error:
            return str(error)
        return None

    def start(self, lasts_s: float, cpu: int | None, shortest_s: float) -> None:
        if self.problem is None:
            self._meter.start(lasts_s=lasts_s, cpu=cpu, shortest_s=shortest_s)

    def stop(self, cpu: int | None) -> EnergyReading:
        if self.problem is not None:
            return _unavailable(self.label, self.problem)
        found = self._meter.stop()
        return EnergyReading(
            source=_NAME,
            device=self.label,
            scope="gpu_board",
            energy_class="unavailable" if found.joules is None else "counter",
            joules=found.joules,
            window_s=found.window_s,
            reason=found.reason or None,
            begin_ns=found.begin_ns,
            end_ns=found.end_ns,
            uncertainty=None if found.joules is None else found.uncertainty,
            detail=self._detail(found, cpu),
        )

    def _detail(self, found: CounterReading, cpu: int | None) -> CounterDetail:
        device, facts = self._meter.device, found.facts
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
            brackets_s=(found.begin_bracket_ns / 1e9, found.end_bracket_ns / 1e9),
            drift_per_s=found.drift_per_s,
            power_limit_w=None if facts.power_limit_mw is None else facts.power_limit_mw / 1e3,
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


class Source:
    """NVML's total-energy counter of the GPU that works, or of all where that is not known."""

    lead_s = 4.0
    """Before the window: 12 ticks to learn them and two seconds of load; after it, a few ticks."""

    def __init__(self, *, library: str = "libnvidia-ml.so.1", shortest_s: float = 2.0) -> None:
        """Open the GPUs; `problem` says why none of them can be measured, if so.

        Args:
            library: The driver's library.
            shortest_s: Windows that would be shorter are refused, as are those of under 20 ticks.
        """
        self._gpus: list[_Gpu] = []
        self._core: SparedCore | None = None
        self._shortest_s = shortest_s
        self.problem: str | None = None
        try:
            self._gpus = [_Gpu(CounterMeter(one, library=library)) for one in _devices(library)]
        except NvmlError as error:
            self.problem = str(error)
            return
        problems = [gpu.problem for gpu in self._gpus if gpu.problem is not None]
        if not self._gpus:
            self.problem = "E_NVML: the driver shows no GPU"
        elif len(problems) == len(self._gpus):
            self.problem = problems[0]

    def start(self, *, lasts_s: float = 0.0) -> None:
        """Open the window in the load that goes on for so long, in the thread that runs the load.

        Until `stop` that thread leaves one core to the meters'.
        """
        self._core = SparedCore()
        for gpu in self._gpus:
            gpu.start(lasts_s, self._core.cpu, self._shortest_s)

    def stop(self) -> list[EnergyReading]:
        """Close the window, and return one reading for each GPU."""
        cpu = self._core.cpu if self._core else None
        readings = [gpu.stop(cpu) for gpu in self._gpus]
        self._core = None
        return readings or [_unavailable("gpu", self.problem)]


def _devices(library: str) -> list[str | int]:
    """Return the UUID of the GPU that CUDA counts first, which is what engines run on.

    CUDA's order is not NVML's, and CUDA_VISIBLE_DEVICES changes it. Without CUDA every GPU that
    NVML shows is taken, by NVML's index.
    """
    count = nvml_device_count(library)
    try:
        working: list[str | int] = [cuda.uuid()]
    except JouleforgeError:
        return list(range(count))
    return working


def _unavailable(device: str, reason: str | None) -> EnergyReading:
    return EnergyReading(
        source=_NAME,
        device=device,
        scope="gpu_board",
        energy_class="unavailable",
        joules=None,
        window_s=None,
        reason=reason,
    )
