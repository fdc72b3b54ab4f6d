"""Energy sources: each module here reads one kind of meter; its name is the source's.

A module defines `class Source`, an `EnergySource` that also says in `problem` why it cannot measure
here. An absent counter never aborts a run: it gives an `unavailable` reading with the reason.
"""

from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Literal, Protocol, Self

from pydantic import Field, model_validator

from jouleforge import variants
from jouleforge.counter import CounterDetail
from jouleforge.idle_power import IdlePower
from jouleforge.meter_calibration import AppliedCalibration, Calibration
from jouleforge.stored import Stored

if TYPE_CHECKING:  # stored readings are read without the native harness
    from jouleforge._core import EnergyWindow

Scope = Literal["gpu_board", "cpu_package", "dram", "machine"]

EnergyClass = Literal["counter", "integrated", "estimated", "unavailable"]

Device = Literal["cpu", "gpu"]

_AUTOMATIC: dict[Device, tuple[str, ...]] = {"cpu": ("rapl",), "gpu": ("nvml",)}
"""What `auto` tries: the counters of the device that does the work, and of no other."""

_ROUNDING = 1e-9


class EnergyReading(Stored):
    """Energy of one device over one window, or the reason why there is none."""

    source: str
    """Which source read it: the name of a module here."""
    device: str
    scope: Scope
    """What the figure covers; figures of different scope or class are never added."""
    energy_class: EnergyClass
    """Counted by a meter, integrated from sampled power, estimated by a model; never added up."""
    joules: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
    """`None` where unavailable; never 0, which no device uses."""
    window_s: Annotated[float, Field(ge=0)] | None
    reason: str | None = None
    """Why the energy is unavailable; begins with a code where there is one."""
    begin_ns: int | None = None
    """When the joules began, on CLOCK_MONOTONIC; `None` if the meter does not tell."""
    end_ns: int | None = None
    uncertainty: Annotated[float, Field(ge=0)] | None = None
    """Relative standard deviation of the joules that comes from the window's two ends. The sensor's
    gain, of which vendors say nothing, is not in it."""
    passes: Annotated[float, Field(gt=0)] | None = None
    """Passes over the data from `begin_ns` to `end_ns`; `None` if the joules are those of the whole
    timed window."""
    paused_s: Annotated[float, Field(ge=0)] = 0.0
    """So long nothing ran within it, for the sake of a part-time sensor or, in the scenario
    `server`, for want of queries; its energy is in `joules`, and its time in `window_s`."""
    detail: CounterDetail | None = None
    """How a GPU's counter was read."""
    idle: IdlePower | None = None
    """What the device drew without work; `None` if that was not measured."""
    calibration: AppliedCalibration | None = None
    """What turned the counter's joules into `joules`; `None` if they are the counter's own."""

    @classmethod
    def unavailable(
        cls,
        reason: str | None,
        *,
        source: str,
        device: str,
        scope: Scope,
        window_s: float | None = None,
    ) -> Self:
        """Return a reading without joules; the reason may not be missing."""
        return cls(
            source=source,
            device=device,
            scope=scope,
            energy_class="unavailable",
            joules=None,
            window_s=window_s,
            reason=reason,
        )

    @classmethod
    def of_window(
        cls,
        window: "EnergyWindow",
        *,
        source: str,
        device: str,
        scope: Scope,
        energy_class: EnergyClass,
        detail: CounterDetail | None = None,
        calibration: Calibration | None = None,
    ) -> Self:
        """Return what a native meter found, of this class if it found joules.

        Raises:
            InputError: There is a calibration, and it does not know the device.
        """
        found = window.joules is not None
        applied, joules = None, window.joules
        if calibration is not None and window.joules is not None:
            correction = calibration.of(detail.uuid if detail else device)
            applied = AppliedCalibration.of(correction, window.joules)
            joules = correction.joules(window.joules, window.window_s)
        return cls(
            source=source,
            device=device,
            scope=scope,
            energy_class=energy_class if found else "unavailable",
            joules=joules,
            window_s=window.window_s,
            reason=window.reason or None,
            begin_ns=window.begin_ns,
            end_ns=window.end_ns,
            uncertainty=window.uncertainty if found else None,
            detail=detail,
            calibration=applied,
        )

    @property
    def work_joules(self) -> float | None:
        """Return the joules without those of pauses for a part-time sensor's sake."""
        if self.joules is None or self.idle is None:
            return self.joules
        return self.joules - self.idle.pause_joules

    @model_validator(mode="after")
    def _joules_or_a_reason(self) -> Self:
        unavailable = self.energy_class == "unavailable"
        if unavailable != (self.joules is None):
            raise ValueError("joules are null if, and only if, energy_class is 'unavailable'")
        if unavailable and not self.reason:
            raise ValueError("an unavailable energy needs a reason")
        return self

    @model_validator(mode="after")
    def _calibration_agrees(self) -> Self:
        if self.calibration is None:
            return self
        if self.joules is None or self.window_s is None:
            raise ValueError("there are no joules to be calibrated")
        made = self.calibration.correction.joules(self.calibration.counted_j, self.window_s)
        if abs(made / self.joules - 1) > _ROUNDING:
            raise ValueError(
                f"joules are {self.joules:.6g}, and {made:.6g} by their calibration; was the file "
                "edited?"
            )
        return self


class EnergySource(Protocol):
    """Something that can say how much energy a stretch of time used."""

    lead_s: float
    """How much longer than the energy's window the load has to go on."""
    sensor_tick_s: float
    """The tick of a sensor that looks a part of the time only; 0 where there is none."""

    @property
    def is_metering(self) -> bool:
        """Whether it reads a meter here, which shows the power of a device at rest too."""
        ...

    def start(self, *, lasts_s: float = 0.0, idle: bool = False) -> None:
        """Open the window, in the thread that runs the load, which goes on for at least so long.

        Args:
            lasts_s: So long the load goes on.
            idle: There is none: the window is one of rest.
        """
        ...

    def calibrate(self, calibration: Calibration) -> None:
        """Correct the joules of all windows that follow.

        Raises:
            InputError: The calibration does not know a device that can be read, or the joules are
                none that a meter could be held against.
        """
        ...

    def stop(self) -> list[EnergyReading]:
        """Close the window, and return one reading for each device."""
        ...


class _Variant(EnergySource, Protocol):
    problem: str | None


def open_source(
    name: str, *, device: Device, calibration: Calibration | None = None
) -> EnergySource:
    """Return an energy source by name.

    Args:
        name: A module here, or `auto`: the counter of the device if it can be read, else none.
        device: What the engine runs on. The counter of an idle GPU says nothing about an engine
            on the processor, so `auto` never takes it.
        calibration: What the joules of its devices are corrected by.

    Raises:
        InputError: There is no such source, or the calibration does not fit it.
        MissingError: The source needs a package that is not installed.
    """
    source = _open(name, device)
    if calibration is not None:
        source.calibrate(calibration)
    return source


def _open(name: str, device: Device) -> EnergySource:
    if name != "auto":
        return _load(name)
    problems = []
    for candidate in _AUTOMATIC[device]:
        source = _load(candidate)
        if source.problem is None:
            return source
        problems.append(f"{candidate}: {source.problem}")
    nothing: EnergySource = _module("none").Source(reason="; ".join(problems))
    return nothing


def problem(name: str) -> str | None:
    """Return why a source cannot measure on this machine, or None if it can.

    Raises:
        InputError: There is no such source.
        MissingError: The source needs a package that is not installed.
    """
    return _load(name).problem


def _load(name: str) -> _Variant:
    source: _Variant = _module(name).Source()
    return source


def _module(name: str) -> ModuleType:
    return variants.load("jouleforge.energy", name)
