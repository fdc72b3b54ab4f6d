"""Surroundings: what is read and waited for about a timed loop, with the engine loaded."""

from collections.abc import Sequence

from jouleforge import idle, thermal
from jouleforge._core import Runner
from jouleforge.energy import Device, EnergyReading, EnergySource
from jouleforge.gpu_source import GpuSource
from jouleforge.measurement import Memory, ThermalGate, begin_c
from jouleforge.memory import MemoryWatch
from jouleforge.schedule import Schedule


class Surroundings:
    """Made when the engine is loaded and has its batches, just before they first run."""

    def __init__(
        self,
        source: EnergySource,
        schedule: Schedule,
        runner: Runner,
        *,
        batches: int,
        device: Device,
        temperature_c: int | None,
    ) -> None:
        """Note the memory, read the idle power, then bring the GPU to a temperature.

        Args:
            source: What will meter the loop.
            schedule: How long the idle power is read.
            runner: What the loop will run.
            batches: How many batches make one pass.
            device: What the engine runs on.
            temperature_c: What the GPU is brought to; `None` leaves it as it is.
        """
        self._source = source
        self._schedule = schedule
        self._memory = MemoryWatch(device)
        self._before = idle.windows(source, schedule.idle_s)
        self._gate: ThermalGate | None = None
        if temperature_c is not None and isinstance(source, GpuSource):
            self._gate = thermal.approach(
                temperature_c, source.temperature_c, runner, range(batches)
            )

    def memory(self) -> Memory:
        """Return what the process held before the loop, and its peak until now, just after it."""
        return self._memory.stop()

    def completed(self, readings: Sequence[EnergyReading]) -> list[EnergyReading]:
        """Return the loop's readings with the idle power before it, and after it, that is now."""
        after = idle.windows(self._source, self._schedule.idle_s)
        # In other loops the time without work is the scenario's own, and is paid for.
        dithered = self._schedule.is_closed_loop
        return [idle.subtract(one, self._before, after, dithered=dithered) for one in readings]

    def gate(self, readings: Sequence[EnergyReading]) -> ThermalGate | None:
        """Return how the loop came to its temperature, and what that was; None without a gate."""
        if self._gate is None:
            return None
        return self._gate.model_copy(update={"begin_c": begin_c(readings)})
