"""Work within a meter's window, and the joules per example that follow from it."""

from typing import Any

import pytest
from samples import measurement, reading

from jouleforge import work
from jouleforge._core import NullRunner, Trace, run_closed_loop
from jouleforge.comparison import compare
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


def test_joules_per_example_are_those_of_the_meters_window() -> None:
    whole = measurement(readings=[reading(100.0)], passes=4, examples=200)
    part = measurement(readings=[reading(100.0, passes=2.5)], passes=4, examples=200)
    for row, passes in ((whole, 4), (part, 2.5)):
        energy = compare([row]).rows[0].energy
        assert energy is not None
        assert energy.per_example_j.value == pytest.approx(100 / (200 * passes))
