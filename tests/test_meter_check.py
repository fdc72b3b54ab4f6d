"""The examination of a GPU's counter, against the fake NVML, and what follows from its results."""

import ctypes
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jouleforge import meter_check
from jouleforge._core import CounterMeter, NvmlDevice
from jouleforge.energy import nvml
from jouleforge.errors import GateError
from jouleforge.meter_check import MeterCheck, Plan, examine, load_check, ripple, save_check

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
    slow_s=0.0104,
    fast_s=0.0005,
)
"""For ticks of 20 ms."""


class Sensor(ctypes.Structure):
    """As in tests/cpp/fake_gpu.h."""

    _fields_ = (
        ("period_ns", ctypes.c_int64),
        ("phase_ns", ctypes.c_int64),
        ("lag_ns", ctypes.c_int64),
        ("jitter_ns", ctypes.c_int64),
        ("late_to_show", ctypes.c_bool),
        ("missing", ctypes.c_double),
        ("looks_ns", ctypes.c_int64),
    )


class FakeGpu:
    """The first GPU of the fake NVML, behind a sensor with ticks of 20 ms."""

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))
        self._library.fake_restore()

    def look(self, looks_ns: int) -> None:
        sensor = Sensor(period_ns=20_000_000, looks_ns=looks_ns)
        self._library.fake_set_sensor(0, ctypes.byref(sensor), ctypes.c_int64(0))
        self._set(np.array([0]), np.array([130.0]))

    @contextmanager
    def batches(self, busy_s: float, idle_s: float = 0.0) -> Iterator[None]:
        """Half a minute of them."""
        begins = time.monotonic_ns() + np.arange(0, 30, busy_s + idle_s) * 1e9
        at = np.stack([begins, begins + busy_s * 1e9], axis=1).ravel()
        watts = np.tile([280.0, 130.0 if idle_s else 280.0], len(begins))
        self._set(np.insert(at, 0, 0), np.insert(watts, 0, 130.0))
        yield
        self._set(np.array([0]), np.array([130.0]))

    def _set(self, at_ns: np.ndarray[Any, Any], watts: np.ndarray[Any, Any]) -> None:
        at_ns, watts = at_ns.astype(np.int64), watts.astype(np.float64)
        power = ctypes.c_void_p(watts.ctypes.data)
        place = ctypes.c_void_p(at_ns.ctypes.data)
        self._library.fake_set_load(0, ctypes.c_size_t(len(at_ns)), place, power, power)


@pytest.fixture(autouse=True)
def no_examination(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept here must not meet other tests."""
    monkeypatch.setenv("JOULEFORGE_CACHE", str(tmp_path))


@pytest.fixture
def gpu(nvml_library: Path) -> Iterator[FakeGpu]:
    made = FakeGpu(nvml_library)
    yield made
    made._library.fake_restore()


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


def test_a_counter_without_ticks_is_not_examined(nvml_library: Path, gpu: FakeGpu) -> None:
    gpu.look(0)
    gpu._library.fake_freeze(0, ctypes.c_int64(0))
    meter = CounterMeter(0, library=str(nvml_library))
    with pytest.raises(GateError, match="E_COUNTER_FROZEN"):
        examine(meter, gpu.batches, BRIEF)


@pytest.mark.slow
def test_a_sensor_that_looks_a_quarter_of_the_time_is_found_out(
    nvml_library: Path, gpu: FakeGpu
) -> None:
    gpu.look(5_000_000)
    check = examine(CounterMeter(0, library=str(nvml_library)), gpu.batches, BRIEF)
    assert check.part_time, check
    assert check.tick_s == pytest.approx(0.02, rel=0.01)
    assert check.idle_w == pytest.approx(130, rel=0.01)
    assert check.steady_w == pytest.approx(280, rel=0.01)
    assert abs(check.perturbation) < 0.01
