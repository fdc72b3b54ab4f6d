"""The examination of a GPU's energy counter: what it is worth on this board with this driver.

Takes some seven minutes, and is kept: its results hold until the driver changes. Without it a
measurement says that its meter was not examined.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from jouleforge import meter_trials
from jouleforge._core import CounterMeter, NvmlDevice
from jouleforge.files import cache_folder, write_atomic
from jouleforge.meter_trials import Against, Load, Plan
from jouleforge.stored import Stored

_MOST_PERTURBED = 0.003
_MOST_INCONSISTENT = 0.01
_MOST_OVERHEAD = 0.005
_PART_TIME_RIPPLE = 0.03
_PART_TIME_FACTOR = 5


class MeterCheck(Stored):
    """What an examination found."""

    schema_version: Literal[2] = 2
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
    again: Against
    """Power of a window over that of another of the same load (A/A): what windows differ by."""
    throughput: Against
    """Of the load with the meter over that without it."""
    answers: dict[str, str]
    """Every call of NVML that a meter makes, with "ok" or the status it gave."""
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
    answers = device.answers()
    idle = meter_trials.idle(meter, plan)
    steady = meter_trials.steady(meter, load, plan)
    perturbation = meter_trials.perturbation(meter, load, plan)
    slow, fast = (
        meter_trials.batches_ripple(meter, load, plan, half_s)
        for half_s in (plan.slow_s, plan.fast_s)
    )
    again = meter_trials.again(meter, load, plan)
    steady_w, average_w = meter_trials.power_w(steady), steady.facts.average_power_w
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
        idle_w=meter_trials.power_w(idle),
        steady_w=steady_w,
        average_w=average_w,
        perturbation=perturbation,
        slow_ripple=slow,
        fast_ripple=fast,
        again=again.power,
        throughput=again.throughput,
        answers=answers,
        faults=[
            *_faults(device, steady_w, average_w, perturbation),
            *_overhead(device, again.throughput),
        ],
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


def _overhead(device: NvmlDevice, throughput: Against) -> list[str]:
    """Return the fault of a meter that slows the load down, where that is shown."""
    cost = 1 - throughput.ratio
    if cost <= _MOST_OVERHEAD or throughput.high >= 1:
        return []
    return [
        f"E_OVERHEAD: metering {device.name} ({device.uuid}) costs {100 * cost:.2g} % throughput "
        f"(limit {100 * _MOST_OVERHEAD:g} %)"
    ]
