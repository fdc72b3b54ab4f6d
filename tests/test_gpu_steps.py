"""What `bench/gpu/run.sh` asks a GPU about its counter, tried on the fake NVML."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fake_nvml import FakeGpu

from jouleforge._core import CounterMeter
from jouleforge.errors import MissingError
from jouleforge.meter_trials import Load, Plan

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "bench" / "gpu"))

import meter_steps  # noqa: E402

BRIEF = Plan(lead_s=2.9, idle_s=0.5, steady_s=0.5, stretch_s=0.8, shortest_s=0.4)


@pytest.fixture
def gpu(nvml_library: Path) -> Iterator[FakeGpu]:
    made = FakeGpu(nvml_library)
    made.look()
    yield made
    made.restore()


@pytest.mark.slow
def test_idle_power_is_taken_before_a_context_is_opened_and_with_it(
    nvml_library: Path, gpu: FakeGpu
) -> None:
    def open_context() -> Load:
        gpu.load([0], [160.0])
        return gpu.work

    found = meter_steps.idle_levels(CounterMeter(0, library=str(nvml_library)), open_context, BRIEF)
    assert found["deep_idle_w"] == pytest.approx(130, rel=0.02)
    assert found["context_before_w"] == pytest.approx(160, rel=0.02)
    assert found["context_after_w"] == pytest.approx(130, rel=0.02), "as the fake's load leaves it"


@pytest.mark.slow
def test_the_lag_of_the_counter_is_found(nvml_library: Path, gpu: FakeGpu) -> None:
    gpu.look(lag_ns=60_000_000)
    meter = CounterMeter(0, library=str(nvml_library))
    found = meter_steps.lag_of(meter, gpu.work, BRIEF, times=1)
    assert found["lag_s"] == pytest.approx(0.06, abs=0.01)
    assert len(found["raw"][0]["edges"]) > 8


@pytest.mark.slow
def test_windows_from_edge_to_edge_are_closer_than_two_reads(
    nvml_library: Path, gpu: FakeGpu
) -> None:
    gpu.look(lag_ns=60_000_000)
    meter = CounterMeter(0, library=str(nvml_library))
    plan = Plan(lead_s=2.9, steady_s=3.5, shortest_s=0.4)
    found = meter_steps.compared(meter, gpu.work, plan, [(1.0, 2)])
    assert found["reference_w"] == pytest.approx(280, rel=0.01)
    assert found["1 s"]["aligned_windows"] > 0
    assert found["1 s"]["aligned_worst"] < 0.01 < found["1 s"]["unaligned_worst"]


def test_stamps_are_set_against_the_values_they_come_with(nvml_library: Path, gpu: FakeGpu) -> None:
    with gpu.work(0.03, 0.03):
        found = meter_steps.stamps_of(str(nvml_library), "GPU-aaaa", seconds=0.5, gap_s=0.001)
    assert found["reads"] == len(found["raw"]) > 20
    assert 0 < found["values_that_moved"] < 1
    assert found["stamps_that_moved"] == 0, "the fake gives none"
    with pytest.raises(MissingError, match="does not know GPU-zzzz"):
        meter_steps.stamps_of(str(nvml_library), "GPU-zzzz", seconds=0.1, gap_s=0.001)


def test_a_stamp_of_the_sample_moves_with_the_value_and_one_of_the_read_does_not() -> None:
    before = np.arange(0, 1_000_000, 10_000)
    value = before // 100_000
    of_sample = np.stack([before, before + 50, value * 100_000, 0 * before, value], axis=1)
    of_read = np.stack([before, before + 50, before + 20, 0 * before, value], axis=1)
    sample, read = map(meter_steps._stamp_facts, (of_sample, of_read))
    assert sample["moved_together"] == 1
    assert sample["value_period_ms"][1] == 100
    assert read["stamps_that_moved"] == 1
    assert read["moved_together"] < 0.2
    assert read["stamp_after_read_began_ms"] == [0.02] * 3


def test_a_board_becomes_one_line_of_a_table() -> None:
    check = {
        "name": "H200", "driver": "580", "checked_at": "2026-03-01T10:00:00+00:00",
        "tick_s": 0.1, "tick_p10_s": 0.098, "tick_p90_s": 0.101, "read_s": 0.0037,
        "part_time": False, "perturbation": 0.0001, "steady_w": 600.0,
        "again": {"ratio": 1.0002}, "throughput": {"ratio": 0.999}, "faults": ["E_X: y"],
    }  # fmt: skip
    levels = {"deep_idle_w": 70.0, "context_before_w": 130.0, "context_after_w": 131.0}
    text = meter_steps.table_of(check, levels, {"lag_s": 0.031})
    head, _, line = (part.strip("| ").split(" | ") for part in text.splitlines())
    cells = dict(zip(head, line, strict=True))
    assert cells["tick, ms (p10 to p90)"] == "100 (98 to 101)"
    assert (cells["lag, ms"], cells["faults"]) == ("31", "E_X")
    assert cells["cost of the meter, %"] == "+0.1"
    assert "not measured" in meter_steps.table_of(check, levels, {"lag_s": None})
