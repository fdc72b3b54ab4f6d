"""Work within a meter's window, and the joules per example that follow from it."""

import time
from typing import Any, get_args

import pytest
from samples import measurement, reading

from jouleforge import work
from jouleforge._core import CallableRunner, NullRunner, Trace, run_closed_loop
from jouleforge.comparison import compare
from jouleforge.counter import CounterDetail
from jouleforge.energy import EnergyReading


def trace() -> Trace:
    return run_closed_loop(NullRunner(2), order=[0, 1], warmup_s=0, duration_s=0, min_passes=1000)


def counted(loop: Trace, begin: int, end: int, **changes: Any) -> EnergyReading:
    """Return a reading of 5 J from the beginning of one run to that of another, counted."""
    stamps = loop.stamps_ns
    made = reading(5.0, begin_ns=int(stamps[begin]), end_ns=int(stamps[end]), **changes)
    return work.count(made, loop, batches=2)


def test_a_reading_gets_the_passes_of_its_own_window() -> None:
    loop = trace()
    assert counted(loop, 0, 2000).passes == pytest.approx(1000)
    assert counted(loop, 500, 1000).passes == pytest.approx(250, abs=1)


def test_a_window_that_the_loop_did_not_fill_has_no_joules() -> None:
    loop = trace()
    late = reading(5.0, begin_ns=0, end_ns=int(loop.stamps_ns[-1]))
    found = work.count(late, loop, batches=2)
    assert (found.joules, found.energy_class) == (None, "unavailable")
    assert found.reason is not None
    assert found.reason.startswith("E_WINDOW_CUT")


def test_a_reading_without_joules_or_instants_stays_as_it_is() -> None:
    for untouched in (reading(None), reading(5.0)):
        assert work.count(untouched, trace(), batches=2) is untouched


def detail(*, part_time: bool) -> CounterDetail:
    """Return what a counter with ticks of 20 ms showed."""
    absent = dict.fromkeys(
        name
        for name, field in CounterDetail.model_fields.items()
        if type(None) in get_args(field.annotation)
    )
    given = {
        "uuid": "GPU-aaaa",
        "driver": "999.00",
        "nvml_version": "",
        "tick_s": 0.02,
        "reads": 30,
        "missed_ticks": 0,
        "part_time": part_time,
        "brackets_s": (0.001, 0.001),
        "drift_per_s": 0.0,
        "power_capped": False,
    }
    return CounterDetail.model_validate(absent | given)


@pytest.mark.parametrize(("sensor_tick_s", "counted"), [(0.0, False), (0.02, True)])
def test_batches_in_pace_with_a_part_time_sensor_are_interrupted_or_refused(
    sensor_tick_s: float, counted: bool
) -> None:
    loop = run_closed_loop(
        CallableRunner(lambda _: time.sleep(0.005), 1), order=[0], warmup_s=0, duration_s=1.1,
        min_passes=1, sensor_tick_s=sensor_tick_s,
    )  # fmt: skip
    ends = {"begin_ns": int(loop.stamps_ns[0]), "end_ns": int(loop.stamps_ns[-1])}
    made = reading(5.0, window_s=1.1, detail=detail(part_time=True), **ends)
    found = work.count(made, loop, batches=1)
    assert (found.joules is not None) == counted
    assert counted or (found.reason or "").startswith("E_ALIASED")
    assert found.paused_s > 0 or not counted
    whole = work.count(made.model_copy(update={"detail": detail(part_time=False)}), loop, batches=1)
    assert whole.joules == 5.0


def test_joules_per_example_are_those_of_the_meters_window() -> None:
    whole = measurement(readings=[reading(100.0)], passes=4, examples=200)
    part = measurement(readings=[reading(100.0, passes=2.5)], passes=4, examples=200)
    for row, passes in ((whole, 4), (part, 2.5)):
        energy = compare([row]).rows[0].energy
        assert energy is not None
        assert energy.per_example_j.value == pytest.approx(100 / (200 * passes))
