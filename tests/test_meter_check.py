"""The examination of a GPU's counter, against the fake NVML, and what follows from its results."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_nvml import FakeGpu

from jouleforge import meter_check
from jouleforge._core import CounterMeter, NvmlDevice
from jouleforge.energy import nvml
from jouleforge.errors import GateError
from jouleforge.meter_check import MeterCheck, examine, load_check, save_check
from jouleforge.meter_trials import Against, Plan, ripple
from jouleforge.terminal import print_meter_check

SOUND: dict[str, Any] = {
    "checked_at": "2026-03-01T10:00:00+00:00",
    "uuid": "GPU-aaaa",
    "name": "Fake GPU",
    "driver": "999.00",
    "nvml_version": "13.999.00",
    "tick_s": 0.1,
    "tick_p10_s": 0.098,
    "tick_p90_s": 0.101,
    "tick_jitter_s": 0.001,
    "read_s": 0.004,
    "idle_w": 130.0,
    "steady_w": 600.0,
    "average_w": 600.5,
    "perturbation": 0.0001,
    "slow_ripple": 0.01,
    "fast_ripple": 0.001,
    "again": {"ratio": 1.0001, "low": 0.9995, "high": 1.0007, "pairs": 6},
    "throughput": {"ratio": 0.9999, "low": 0.999, "high": 1.001, "pairs": 6},
    "answers": {"nvmlDeviceGetTotalEnergyConsumption": "ok"},
    "faults": [],
}

BRIEF = Plan(
    lead_s=2.9,
    idle_s=0.5,
    steady_s=0.5,
    perturbed_s=0.6,
    dense_s=0.005,
    stretch_s=0.1,
    stretches=20,
    shortest_s=0.4,
    again_s=0.5,
    blocks=2,
    slow_s=0.0104,
    fast_s=0.0005,
)
"""For ticks of 20 ms."""


@pytest.fixture(autouse=True)
def no_examination(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept here must not meet other tests."""
    monkeypatch.setenv("JOULEFORGE_CACHE", str(tmp_path))


@pytest.fixture
def gpu(nvml_library: Path) -> Iterator[FakeGpu]:
    made = FakeGpu(nvml_library)
    yield made
    made.restore()


def test_ripple_is_how_far_stretches_differ_in_power() -> None:
    second = 1_000_000_000
    steady = np.array([[0, 0], [second, 100_000], [3 * second, 300_000]])
    assert ripple(steady) == 0
    uneven = np.array([[0, 0], [second, 90_000], [2 * second, 200_000]])
    assert ripple(uneven) == pytest.approx(np.std([90, 110], ddof=1) / 100)


@pytest.mark.parametrize(
    ("slow", "fast", "part_time"), [(0.09, 0.001, True), (0.09, 0.05, False), (0.01, 0.001, False)]
)
def test_a_sensor_that_beats_with_slow_batches_alone_looks_part_of_the_time(
    slow: float, fast: float, part_time: bool
) -> None:
    check = MeterCheck.model_validate(SOUND | {"slow_ripple": slow, "fast_ripple": fast})
    assert check.part_time == part_time


def test_an_examination_is_found_again_for_that_gpu_alone(nvml_library: Path) -> None:
    first, second = (NvmlDevice(index, library=str(nvml_library)) for index in range(2))
    assert load_check(first) is None
    file = save_check(first, MeterCheck.model_validate(SOUND))
    assert load_check(first) == MeterCheck.model_validate(SOUND)
    assert load_check(second) is None
    file.write_text("{}", encoding="utf-8")
    assert load_check(first) is None


def test_a_counter_that_was_found_wrong_is_not_used(nvml_library: Path, gpu: FakeGpu) -> None:
    gpu.look(0)
    device = NvmlDevice(0, library=str(nvml_library))
    save_check(device, MeterCheck.model_validate(SOUND | {"faults": ["E_COUNTER_PERTURBED: x"]}))
    source = nvml.Source(library=str(nvml_library))
    assert source.problem is None
    source.start()
    first, second = source.stop()
    assert first.reason == "E_COUNTER_PERTURBED: x"
    assert second.detail is not None
    assert second.detail.checked_at is None


def test_a_part_time_sensor_makes_windows_long_and_batches_pause(
    nvml_library: Path, gpu: FakeGpu
) -> None:
    gpu.look(0)
    device = NvmlDevice(0, library=str(nvml_library))
    save_check(device, MeterCheck.model_validate(SOUND | {"slow_ripple": 0.2}))
    source = nvml.Source(library=str(nvml_library))
    assert source.sensor_tick_s == 0.1
    source.start()
    first, second = source.stop()
    assert first.detail is not None
    assert second.detail is not None
    assert (first.detail.part_time, second.detail.part_time) == (True, False)
    assert first.detail.checked_at == SOUND["checked_at"]


def test_faults_are_named_with_their_code(nvml_library: Path) -> None:
    device = NvmlDevice(0, library=str(nvml_library))
    found = meter_check._faults(device, 600.0, 580.0, 0.01)
    assert [fault.partition(":")[0] for fault in found] == [
        "E_COUNTER_PERTURBED",
        "E_COUNTER_INCONSISTENT",
    ]
    assert meter_check._faults(device, 600.0, None, 0.002) == []


@pytest.mark.parametrize(
    ("ratio", "high", "faults"),
    [(0.99, 0.995, ["E_OVERHEAD"]), (0.99, 1.002, []), (0.998, 0.999, []), (1.01, 1.02, [])],
)
def test_a_meter_that_is_shown_to_slow_the_load_down_is_a_fault(
    nvml_library: Path, ratio: float, high: float, faults: list[str]
) -> None:
    device = NvmlDevice(0, library=str(nvml_library))
    found = meter_check._overhead(device, Against(ratio=ratio, low=0.98, high=high, pairs=6))
    assert [fault.partition(":")[0] for fault in found] == faults


def test_what_an_examination_found_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    refused = {"nvmlDeviceGetMigMode": "3 Not Supported", "nvmlDeviceGetClockInfo": "ok"}
    print_meter_check(MeterCheck.model_validate(SOUND | {"answers": refused}))
    printed = capsys.readouterr().out
    assert "1.00010 [0.99950, 1.00070]" in printed
    assert "0.99990 [0.99900, 1.00100]" in printed
    assert "nvmlDeviceGetMigMode: 3 Not Supported" in printed
    assert "nvmlDeviceGetClockInfo" not in printed


def test_a_counter_without_ticks_is_not_examined(nvml_library: Path, gpu: FakeGpu) -> None:
    gpu.look(0)
    gpu.freeze()
    meter = CounterMeter(0, library=str(nvml_library))
    with pytest.raises(GateError, match="E_COUNTER_FROZEN"):
        examine(meter, gpu.work, BRIEF)


@pytest.mark.slow
def test_a_sensor_that_looks_a_quarter_of_the_time_is_found_out(
    nvml_library: Path, gpu: FakeGpu
) -> None:
    gpu.look(5_000_000)
    check = examine(CounterMeter(0, library=str(nvml_library)), gpu.work, BRIEF)
    assert check.part_time, check
    assert check.tick_s == pytest.approx(0.02, rel=0.01)
    assert check.idle_w == pytest.approx(130, rel=0.01)
    assert check.steady_w == pytest.approx(280, rel=0.01)
    assert abs(check.perturbation) < 0.01
    assert check.again.low < check.again.ratio < check.again.high
    assert check.again.ratio == pytest.approx(1, abs=0.02)
    assert (check.again.pairs, check.throughput.pairs) == (2, 2)
    assert check.throughput.ratio == pytest.approx(1, abs=0.01)
    assert set(check.answers.values()) == {"ok", "3 Not Supported"}, "field 83 is not there"
