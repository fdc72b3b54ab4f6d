"""Steps of `bench/gpu/run.sh` that examine the GPU's own energy counter and its meter.

They settle, on one board with one driver, what no documentation states: the counter's tick and lag,
what a read costs and does, whether the sensor looks all of the time, what the stamps of NVML's
fields mean, and by how much reading at any moment is wrong. `raw` of what they return goes to a
file alone.
"""

import ctypes
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jouleforge import cuda, meter_check, meter_trials
from jouleforge._core import CounterMeter, NvmlError
from jouleforge.errors import GateError, MissingError
from jouleforge.gpu_load import GpuLoad
from jouleforge.meter_trials import Load, Plan

Facts = dict[str, Any]

NVML = "libnvidia-ml.so.1"
FIELD_INSTANT_POWER = 186
WITHOUT_END_S = 3600.0
UNALIGNED = ((1.0, 6), (2.0, 4), (5.0, 2), (10.0, 2), (30.0, 1))
"""Lengths of windows that are read at both ends of a load [s], and how many of each."""


class Field(ctypes.Structure):
    """nvmlFieldValue_t of nvml.h."""

    _fields_ = (
        ("field", ctypes.c_uint),
        ("scope", ctypes.c_uint),
        ("timestamp_us", ctypes.c_longlong),
        ("latency_us", ctypes.c_longlong),
        ("value_type", ctypes.c_int),
        ("status", ctypes.c_int),
        ("value", ctypes.c_ulonglong),
    )


def open_meter() -> CounterMeter:
    """Return the meter of the GPU that CUDA counts first.

    Raises:
        MissingError: There is no GPU, or it has no counter.
    """
    try:
        meter = CounterMeter(cuda.uuid())
        meter.device.total_energy_mj()
    except NvmlError as error:
        raise MissingError(str(error)) from error
    return meter


def open_load() -> Load:
    """Return a load on the same GPU, whose context is open from now on."""
    return GpuLoad().batches


def doctor() -> Facts:
    """The examination that `jouleforge doctor --meter` makes, kept for the steps that follow."""
    meter = open_meter()
    check = meter_check.examine(meter, open_load())
    meter_check.save_check(meter.device, check)
    return check.model_dump() | {"part_time": check.part_time}


def idle() -> Facts:
    """Power without a context of ours, with one, and after work."""
    return idle_levels(open_meter(), open_load, Plan())


def idle_levels(meter: CounterMeter, open_context: Callable[[], Load], plan: Plan) -> Facts:
    """Return the three levels; the second thing that is asked for opens the context."""
    deep_w = meter_trials.power_w(meter_trials.idle(meter, plan))
    load = open_context()
    before_w = meter_trials.power_w(meter_trials.idle(meter, plan))
    meter_trials.steady(meter, load, plan)
    after_w = meter_trials.power_w(meter_trials.idle(meter, plan))
    return {"deep_idle_w": deep_w, "context_before_w": before_w, "context_after_w": after_w}


def lag() -> Facts:
    """How much later the counter shows what the GPU does."""
    return lag_of(open_meter(), open_load(), Plan(), times=3)


def lag_of(meter: CounterMeter, load: Load, plan: Plan, *, times: int) -> Facts:
    """Return the lag of a step from idleness to work, by where the two straight lines meet."""
    found = [_one_lag(meter, load, plan) for _ in range(times)]
    raw = [{"began_ns": began_ns, "edges": edges.tolist()} for _, began_ns, edges in found]
    lags = [lag_s for lag_s, _, _ in found]
    return {"lags_s": lags, "lag_s": float(np.median(lags)), "raw": raw}


def _one_lag(meter: CounterMeter, load: Load, plan: Plan) -> tuple[float, int, NDArray[np.int64]]:
    """Return the lag of one step [s], when the work began [ns], and the edges around it."""
    half_s = plan.lead_s + plan.stretch_s * 2
    meter.start(lasts_s=2 * half_s, shortest_s=plan.shortest_s, edge_every_s=plan.stretch_s / 4)
    time.sleep(half_s)
    with load(WITHOUT_END_S, 0.0):
        began_ns = time.monotonic_ns()
        time.sleep(half_s)
        edges = meter.stop().edges
    # Half a stretch on either side belongs to neither line: the power rises, the counter lags.
    clear_ns = int(plan.stretch_s / 2 * 1e9)
    before = edges[edges[:, 0] < began_ns]
    after = edges[edges[:, 0] > began_ns + clear_ns]
    if len(before) < 2 or len(after) < 2:
        raise GateError("too few edges of the counter were seen around a step of the load")
    lines = [np.polyfit((part[:, 0] - began_ns) / 1e9, part[:, 1] / 1e3, 1) for part in
             (before, after)]  # fmt: skip
    (idle_w, idle_j), (busy_w, busy_j) = lines
    if busy_w < 1.1 * idle_w:
        raise GateError(f"the load changed the power from {idle_w:.4g} to {busy_w:.4g} W only")
    return float((idle_j - busy_j) / (busy_w - idle_w)), began_ns, edges


def stamps() -> Facts:
    """What the time stamp of field 186 (power of the moment) is of: the sample, or the read."""
    meter = open_meter()
    with open_load()(0.5, 0.5):
        return stamps_of(NVML, meter.device.uuid, seconds=10.0, gap_s=0.002)


def stamps_of(library: str, uuid: str, *, seconds: float, gap_s: float) -> Facts:
    """Return how values and stamps change, read again and again; the library is open already."""
    nvml = ctypes.CDLL(library)
    nvml.nvmlInit_v2()
    device = ctypes.c_void_p()
    if nvml.nvmlDeviceGetHandleByUUID(uuid.encode(), ctypes.byref(device)):
        raise MissingError(f"{library} does not know {uuid}")
    reads = []
    field = Field(field=FIELD_INSTANT_POWER)
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        before_us = time.time_ns() // 1000
        status = nvml.nvmlDeviceGetFieldValues(device, 1, ctypes.byref(field))
        after_us = time.time_ns() // 1000
        if status or field.status:
            raise MissingError(f"field {FIELD_INSTANT_POWER} is answered with status "
                               f"{status or field.status}")  # fmt: skip
        reads.append((before_us, after_us, field.timestamp_us, field.latency_us,
                      field.value & 0xFFFFFFFF))  # fmt: skip
        time.sleep(gap_s)
    nvml.nvmlShutdown()
    return _stamp_facts(np.array(reads, dtype=np.int64))


def _stamp_facts(reads: NDArray[np.int64]) -> Facts:
    """Return the facts of reads.

    Args:
        reads: Shape (reads, 5): before, after, stamp, latency, all in us, and power in mW.
    """
    before, after, stamp, latency, _ = reads.T
    stamp_moved, value_moved = (np.diff(reads[:, column]) != 0 for column in (2, 4))
    changes_us = after[1:][value_moved]
    return {
        "reads": len(reads),
        "read_ms": _spread((after - before) / 1e3),
        "stamp_after_read_began_ms": _spread((stamp - before) / 1e3),
        "latency_us": _spread(latency),
        "stamps_that_moved": float(stamp_moved.mean()),
        "values_that_moved": float(value_moved.mean()),
        "moved_together": float((stamp_moved == value_moved).mean()),
        "value_period_ms": _spread(np.diff(changes_us) / 1e3),
        "raw": reads.tolist(),
    }


def _spread(values: NDArray[Any]) -> list[float] | None:
    """Return p10, the median and p90; None of nothing."""
    return [float(found) for found in np.percentile(values, (10, 50, 90))] if len(values) else None


def unaligned() -> Facts:
    """Windows from edge to edge against reading at both ends, by a window of a minute."""
    return compared(open_meter(), open_load(), Plan(steady_s=60.0), UNALIGNED)


def compared(
    meter: CounterMeter, load: Load, plan: Plan, lengths: Iterable[tuple[float, int]]
) -> Facts:
    """Return the errors of both ways of reading [relative], at each length.

    The reference is the power of one long window. Windows from edge to edge are parts of it, of the
    same load that goes on; the others begin and end with a load of their own, after idleness.
    """
    work = load(WITHOUT_END_S, 0.0)
    edges = meter_trials.window(meter, work, plan, plan.steady_s, edge_every_s=1.0).edges
    nanoseconds, millijoules = (edges[-1] - edges[0]).astype(np.float64)
    reference_w = millijoules * 1e6 / nanoseconds
    found: Facts = {"reference_w": reference_w, "raw": {"edges": edges.tolist(), "naive": []}}
    for length_s, times in lengths:
        naive = [_naive(meter, load, length_s, reference_w) for _ in range(times)]
        aligned = _aligned(edges, length_s, reference_w)
        found["raw"]["naive"].append([length_s, naive])
        found[f"{length_s:g} s"] = {
            "aligned_windows": len(aligned),
            "aligned_worst": max(map(abs, aligned), default=None),
            "unaligned_mean": float(np.mean(naive)),
            "unaligned_worst": max(map(abs, naive)),
        }
    return found


def _naive(meter: CounterMeter, load: Load, length_s: float, reference_w: float) -> float:
    """Return the error of a difference of two reads, one before a load and one after it."""
    time.sleep(1.5)
    with load(WITHOUT_END_S, 0.0):
        begin_ns, before_mj = time.monotonic_ns(), meter.device.total_energy_mj()
        time.sleep(length_s)
        after_mj, end_ns = meter.device.total_energy_mj(), time.monotonic_ns()
    return (after_mj - before_mj) * 1e6 / (end_ns - begin_ns) / reference_w - 1


def _aligned(edges: NDArray[np.int64], length_s: float, reference_w: float) -> list[float]:
    """Return the errors of all windows of about this length between two of the edges."""
    errors = []
    for number, (begin_ns, before_mj) in enumerate(edges):
        later = edges[number + 1 :]
        fits = later[np.abs(later[:, 0] - begin_ns - length_s * 1e9) < 0.3e9]
        errors += [
            float((after_mj - before_mj) * 1e6 / (end_ns - begin_ns) / reference_w - 1)
            for end_ns, after_mj in fits
        ]
    return errors


def table() -> Facts:
    """One line of a table of boards, of what the other steps wrote into $OUT."""
    out = Path(os.environ.get("OUT", "."))
    found = []
    for name in ("meter-doctor", "meter-idle", "meter-lag"):
        file = out / f"{name}.json"
        if file.exists():
            found.append(json.loads(file.read_text(encoding="utf-8")))
        elif name == "meter-lag":
            found.append({"lag_s": None})
        else:
            raise MissingError(f"{file} is not there: the step {name} gave nothing")
    text = table_of(*found)
    (out / "meter.md").write_text(text, encoding="utf-8")
    return {"table": text.splitlines()[-1]}


def table_of(check: Facts, levels: Facts, lags: Facts) -> str:
    """Return a Markdown table of one board."""
    cells = {
        "GPU": check["name"],
        "driver": check["driver"],
        "date": check["checked_at"][:10],
        "tick, ms (p10 to p90)": f"{1e3 * check['tick_s']:.4g} ({1e3 * check['tick_p10_s']:.4g} "
        f"to {1e3 * check['tick_p90_s']:.4g})",
        "read, ms": f"{1e3 * check['read_s']:.3g}",
        "lag, ms": "not measured" if lags["lag_s"] is None else f"{1e3 * lags['lag_s']:.3g}",
        "sensor": "part-time" if check["part_time"] else "full-time",
        "dense reads, %": f"{100 * check['perturbation']:+.2g}",
        "A/A, %": f"{100 * (check['again']['ratio'] - 1):+.2g}",
        "cost of the meter, %": f"{100 * (1 - check['throughput']['ratio']):+.2g}",
        "idle, W (deep, context before, after)": f"{levels['deep_idle_w']:.4g}, "
        f"{levels['context_before_w']:.4g}, {levels['context_after_w']:.4g}",
        "load, W": f"{check['steady_w']:.4g}",
        "faults": "; ".join(fault.partition(":")[0] for fault in check["faults"]) or "none",
    }
    lines = [list(cells), ["---"] * len(cells), list(cells.values())]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


STEPS: dict[str, Callable[[], Facts]] = {
    "meter-idle": idle,
    "meter-doctor": doctor,
    "meter-lag": lag,
    "meter-stamps": stamps,
    "meter-unaligned": unaligned,
    "meter-table": table,
}
