"""The examination of a GPU's energy counter: what it is worth on this board with this driver.

Takes some five minutes, and is kept: its results hold until the driver changes. Without it a
measurement says that its meter was not examined.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from jouleforge._core import CounterMeter, GpuReading, NvmlDevice, SparedCore
from jouleforge.errors import GateError
from jouleforge.files import cache_folder, write_atomic
from jouleforge.stored import Stored

Load = Callable[[float, float], AbstractContextManager[None]]
"""Works for some seconds and rests for some, again and again, until the context is left."""

_MOST_PERTURBED = 0.003
_MOST_INCONSISTENT = 0.01
_PART_TIME_RIPPLE = 0.03
_PART_TIME_FACTOR = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each part takes, in s."""

    lead_s: float = 4.0
    """Before each window, and a little after it."""
    idle_s: float = 10.0
    steady_s: float = 25.0
    """Long enough for the counter's power to be compared with averages over a second."""
    perturbed_s: float = 20.0
    dense_s: float = 0.005
    """From read to read where it is tried whether reads do harm."""
    stretch_s: float = 2.0
    stretches: int = 20
    slow_s: float = 0.052
    """Half a batch that beats slowly with ticks of 100 ms."""
    fast_s: float = 0.005
    """Half a batch that does not."""
    shortest_s: float = 2.0


class MeterCheck(Stored):
    """What an examination found."""

    schema_version: Literal[1] = 1
    checked_at: str
    uuid: str
    name: str
    driver: str
    nvml_version: str
    tick_s: float
    tick_p10_s: float
    tick_p90_s: float
    tick_jitter_s: float
    read_s: float
    """Median cost of reading the counter."""
    idle_w: float
    """With a context open and nothing to do."""
    steady_w: float
    average_w: float | None
    """Of the same time, by NVML's averages over a second; `None` if it gives none."""
    perturbation: float
    """Relative change of the counter's power when it is read 200 times a second."""
    slow_ripple: float
    """Relative standard deviation of the power of stretches, with batches of 104 ms."""
    fast_ripple: float
    """The same with batches of 10 ms."""
    faults: list[str]
    """Why the counter is not to be trusted; each begins with a code."""

    @property
    def part_time(self) -> bool:
        """Whether the sensor looks a part of each tick only."""
        return (
            self.slow_ripple > _PART_TIME_RIPPLE
            and self.slow_ripple > _PART_TIME_FACTOR * self.fast_ripple
        )


def examine(meter: CounterMeter, load: Load, plan: Plan | None = None) -> MeterCheck:
    """Try what a counter does under loads that are known.

    Args:
        meter: The GPU's meter.
        load: What makes the same GPU work.
        plan: How long each part takes.

    Raises:
        GateError: A part could not be measured; the message says why.
    """
    plan = plan or Plan()
    device = meter.device
    idle = _window(meter, nullcontext(), plan, plan.idle_s)
    steady = _window(meter, load(3600.0, 0.0), plan, plan.steady_s)
    perturbation = _perturbation(meter, load, plan)
    slow, fast = (_ripple(meter, load(half, half), plan) for half in (plan.slow_s, plan.fast_s))
    average_w = steady.facts.average_power_w
    return MeterCheck(
        checked_at=datetime.now(UTC).isoformat(timespec="seconds"),
        uuid=device.uuid,
        name=device.name,
        driver=device.driver,
        nvml_version=device.nvml_version,
        tick_s=steady.tick_s or 0.0,
        tick_p10_s=steady.tick_p10_s or 0.0,
        tick_p90_s=steady.tick_p90_s or 0.0,
        tick_jitter_s=steady.tick_jitter_s or 0.0,
        read_s=steady.read_s or 0.0,
        idle_w=_power_w(idle),
        steady_w=_power_w(steady),
        average_w=average_w,
        perturbation=perturbation,
        slow_ripple=slow,
        fast_ripple=fast,
        faults=_faults(device, _power_w(steady), average_w, perturbation),
    )


def load_check(device: NvmlDevice) -> MeterCheck | None:
    """Return the examination of this GPU with this driver, if there was one."""
    try:
        return MeterCheck.model_validate_json(_file(device).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None


def save_check(device: NvmlDevice, check: MeterCheck) -> Path:
    """Keep an examination for the measurements that follow.

    Raises:
        InputError: It cannot be written.
    """
    file = _file(device)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file, check.model_dump_json(indent=2) + "\n")
    return file


def _file(device: NvmlDevice) -> Path:
    return cache_folder("meters") / f"{device.uuid}-{device.driver}.json"


def _window(
    meter: CounterMeter,
    load: AbstractContextManager[None],
    plan: Plan,
    length_s: float,
    *,
    edge_every_s: float = 0.0,
    read_every_s: float = 0.0,
) -> GpuReading:
    """Return a window of about this length within the load; edges are there whatever came of it."""
    core = SparedCore()
    lasts_s = length_s + plan.lead_s
    with load:
        meter.start(
            lasts_s=lasts_s,
            shortest_s=plan.shortest_s,
            edge_every_s=edge_every_s,
            read_every_s=read_every_s,
            cpu=core.cpu,
        )
        time.sleep(lasts_s)
        found = meter.stop()
    if len(found.edges) < 2:
        raise GateError(f"the counter could not be examined: {found.reason}")
    return found


def _perturbation(meter: CounterMeter, load: Load, plan: Plan) -> float:
    """Return by how much dense reads change the power, from two windows of each kind in turn."""
    watts: dict[float, list[float]] = {0.0: [], plan.dense_s: []}
    for read_every_s in (0.0, plan.dense_s) * 2:
        found = _window(meter, load(3600.0, 0.0), plan, plan.perturbed_s, read_every_s=read_every_s)
        watts[read_every_s].append(_power_w(found))
    return float(np.mean(watts[plan.dense_s]) / np.mean(watts[0.0]) - 1)


def _ripple(meter: CounterMeter, load: AbstractContextManager[None], plan: Plan) -> float:
    length_s = plan.stretches * plan.stretch_s
    found = _window(meter, load, plan, length_s, edge_every_s=plan.stretch_s)
    return ripple(found.edges)


def ripple(edges: NDArray[np.int64]) -> float:
    """Return the relative standard deviation of the power from edge to edge.

    Args:
        edges: Shape (edges, 2): instants [ns] and energy until then [mJ].
    """
    steps = np.diff(edges, axis=0).astype(np.float64)
    watts = steps[:, 1] / steps[:, 0]
    return float(watts.std(ddof=1) / watts.mean()) if len(watts) > 1 else 0.0


def _power_w(found: GpuReading) -> float:
    """Return the power from the first edge to the last."""
    nanoseconds, millijoules = found.edges[-1] - found.edges[0]
    return float(millijoules) * 1e6 / float(nanoseconds)


def _faults(
    device: NvmlDevice, steady_w: float, average_w: float | None, perturbation: float
) -> list[str]:
    faults = []
    if abs(perturbation) > _MOST_PERTURBED:
        faults.append(
            f"E_COUNTER_PERTURBED: the counter of {device.name} ({device.uuid}) shows "
            f"{100 * perturbation:+.2g} % when it is read 200 times a second (limit "
            f"{100 * _MOST_PERTURBED:g} %)"
        )
    if average_w is not None and abs(steady_w / average_w - 1) > _MOST_INCONSISTENT:
        faults.append(
            f"E_COUNTER_INCONSISTENT: the counter of {device.name} ({device.uuid}) gives "
            f"{steady_w:.4g} W, and NVML's averages over a second {average_w:.4g} W (limit "
            f"{100 * _MOST_INCONSISTENT:g} %)"
        )
    return faults
