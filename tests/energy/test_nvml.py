"""NVML's source against a fake library of two GPUs, which the C++ tests use too."""

import ctypes
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jouleforge import cuda
from jouleforge.energy import EnergyReading, nvml, nvml_power
from jouleforge.gpu_source import GpuSource

NOT_SUPPORTED = 3
TICK_NS = 20_000_000
LASTS_S = 3.5
SHORTEST_S = 0.4


@pytest.fixture
def fake(nvml_library: Path) -> Iterator[ctypes.CDLL]:
    library = ctypes.CDLL(str(nvml_library))
    library.fake_set_steady.argtypes = [ctypes.c_uint, ctypes.c_double, ctypes.c_longlong]
    library.fake_restore()
    for gpu, watts in enumerate((250.0, 100.0)):
        library.fake_set_steady(gpu, watts, TICK_NS)
    yield library
    library.fake_restore()


def source(nvml_library: Path) -> nvml.Source:
    return nvml.Source(library=str(nvml_library), shortest_s=SHORTEST_S)


def window(source: GpuSource, *, lasts_s: float = LASTS_S) -> list[EnergyReading]:
    """Open a window, work for so long, close it."""
    source.start(lasts_s=lasts_s)
    time.sleep(lasts_s)
    return source.stop()


@pytest.mark.usefixtures("fake")
def test_each_gpu_gives_the_power_of_its_load(nvml_library: Path) -> None:
    meter = source(nvml_library)
    assert meter.problem is None
    readings = window(meter)
    assert [reading.device for reading in readings] == [
        "Fake GPU (GPU-aaaa)",
        "Fake GPU (GPU-bbbb)",
    ]
    for reading, watts in zip(readings, (250.0, 100.0), strict=True):
        assert reading.detail is not None
        assert reading.detail.tick_s == pytest.approx(TICK_NS / 1e9, rel=0.05)
        if reading.joules is None:  # on a machine too busy for any edge
            assert reading.reason is not None
            assert reading.reason.startswith("E_EDGE")
            continue
        assert (reading.scope, reading.energy_class) == ("gpu_board", "counter")
        assert reading.window_s is not None
        assert reading.joules / reading.window_s == pytest.approx(watts, rel=0.02)
        assert reading.begin_ns is not None
        assert reading.end_ns is not None
        assert (reading.end_ns - reading.begin_ns) / 1e9 == pytest.approx(reading.window_s)
        assert reading.uncertainty is not None
        assert 0 < reading.uncertainty < 0.01
    assert EnergyReading.model_validate_json(readings[0].model_dump_json()) == readings[0]


def test_a_missing_driver_is_one_reading_with_the_reason() -> None:
    meter = nvml.Source(library="libnothing.so.1")
    (reading,) = window(meter, lasts_s=0)
    assert reading.reason is not None
    assert reading.reason.startswith("E_NVML_MISSING: libnothing.so.1")
    assert meter.problem == reading.reason


def test_a_gpu_without_a_counter_does_not_hide_the_other(
    nvml_library: Path, fake: ctypes.CDLL
) -> None:
    fake.fake_set_energy_status(0, NOT_SUPPORTED)
    meter = source(nvml_library)
    assert meter.problem is None
    first, second = window(meter, lasts_s=0)
    assert first.reason is not None
    assert first.reason.startswith("E_NVML_ENERGY_UNSUPPORTED: GPU GPU-aaaa")
    assert second.detail is not None


def test_gpus_that_all_lack_a_counter_are_a_problem(nvml_library: Path, fake: ctypes.CDLL) -> None:
    for gpu in range(2):
        fake.fake_set_energy_status(gpu, NOT_SUPPORTED)
    problem = source(nvml_library).problem
    assert problem is not None
    assert "E_NVML_ENERGY_UNSUPPORTED" in problem


def test_a_gpu_cut_into_instances_gives_no_joules(nvml_library: Path, fake: ctypes.CDLL) -> None:
    fake.fake_set_mig(0, 1)
    first, _ = window(source(nvml_library), lasts_s=0)
    assert first.reason is not None
    assert first.reason.startswith("E_MIG")


@pytest.mark.usefixtures("fake")
def test_a_load_that_ends_early_gives_no_joules(nvml_library: Path) -> None:
    meter = source(nvml_library)
    meter.start(lasts_s=3600)
    for reading in meter.stop():
        assert reading.joules is None
        assert reading.reason is not None
        assert reading.reason.startswith("E_WINDOW_CUT")


@pytest.mark.usefixtures("fake")
def test_a_source_dropped_within_its_window_leaves_no_thread(nvml_library: Path) -> None:
    before = len(list(Path("/proc/self/task").iterdir()))
    meter = source(nvml_library)
    meter.start(lasts_s=3600)
    assert len(list(Path("/proc/self/task").iterdir())) == before + 2
    del meter
    assert len(list(Path("/proc/self/task").iterdir())) == before


@pytest.mark.usefixtures("fake")
def test_sampled_power_is_a_class_of_its_own(nvml_library: Path) -> None:
    meter = nvml_power.Source(library=str(nvml_library), shortest_s=SHORTEST_S)
    assert meter.problem is None
    readings = window(meter, lasts_s=3.0)
    for reading, watts in zip(readings, (250.0, 100.0), strict=True):
        assert (reading.source, reading.energy_class) == ("nvml_power", "integrated")
        assert reading.joules is not None
        assert reading.window_s is not None
        assert reading.joules / reading.window_s == pytest.approx(watts, rel=0.01)


def test_a_gpu_that_does_not_tell_its_power_is_a_problem(
    nvml_library: Path, fake: ctypes.CDLL
) -> None:
    for gpu in range(2):
        fake.fake_set_power_status(gpu, NOT_SUPPORTED)
    problem = nvml_power.Source(library=str(nvml_library)).problem
    assert problem is not None
    assert problem.startswith("E_NVML_POWER_UNSUPPORTED")


@pytest.mark.usefixtures("fake")
def test_the_gpu_that_cuda_counts_first_is_measured_alone(
    nvml_library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda, "uuid", lambda: "GPU-bbbb")
    (reading,) = window(source(nvml_library), lasts_s=0)
    assert reading.device == "Fake GPU (GPU-bbbb)"
