"""NVML's source against a fake library of two GPUs, which the C++ tests use too."""

import ctypes
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jouleforge.energy import EnergyReading, nvml

FAKE = Path(__file__).parents[1] / "cpp" / "fake_nvml.cpp"
NOT_SUPPORTED = 3


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler to build the fake NVML with")
    path = tmp_path_factory.mktemp("nvml") / "libnvidia-ml.so.1"
    command = [compiler, "-std=c++20", "-shared", "-fPIC", "-o", str(path), str(FAKE)]
    subprocess.run(command, check=True)
    return path


@pytest.fixture
def fake(built: Path) -> Iterator[ctypes.CDLL]:
    library = ctypes.CDLL(str(built))
    library.fake_set_energy_mj.argtypes = [ctypes.c_uint, ctypes.c_ulonglong]
    for gpu in range(2):
        library.fake_set_energy_mj(gpu, 1000)
        library.fake_set_energy_status(gpu, 0)
        library.fake_set_mig(gpu, 0)
    yield library
    library.fake_set_init_status(0)


@pytest.fixture(autouse=True)
def short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "SHORTEST_WINDOW_S", 0.0)


def window(source: nvml.Source, fake: ctypes.CDLL, *ends_mj: int) -> list[EnergyReading]:
    """Open a window, let the counters reach these values, close it."""
    source.start()
    for gpu, end_mj in enumerate(ends_mj):
        fake.fake_set_energy_mj(gpu, end_mj)
    return source.stop()


def test_each_gpu_gives_a_reading_in_joules(built: Path, fake: ctypes.CDLL) -> None:
    source = nvml.Source(library=str(built))
    assert source.problem is None
    first, second = window(source, fake, 3500, 1250)
    assert (first.joules, second.joules) == (2.5, 0.25)
    assert first.device == "Fake GPU (GPU-aaaa)"
    assert (first.scope, first.energy_class) == ("gpu_board", "counter")


def test_a_missing_driver_is_one_reading_with_the_reason() -> None:
    source = nvml.Source(library="libnothing.so.1")
    source.start()
    (reading,) = source.stop()
    assert reading.reason is not None
    assert reading.reason.startswith("E_NVML_MISSING: libnothing.so.1")
    assert source.problem == reading.reason


def test_a_gpu_without_a_counter_does_not_hide_the_other(built: Path, fake: ctypes.CDLL) -> None:
    fake.fake_set_energy_status(0, NOT_SUPPORTED)
    source = nvml.Source(library=str(built))
    assert source.problem is None
    first, second = window(source, fake, 3500, 1250)
    assert first.reason is not None
    assert first.reason.startswith("E_NVML_ENERGY_UNSUPPORTED: GPU GPU-aaaa")
    assert second.joules == 0.25


def test_gpus_that_all_lack_a_counter_are_a_problem(built: Path, fake: ctypes.CDLL) -> None:
    for gpu in range(2):
        fake.fake_set_energy_status(gpu, NOT_SUPPORTED)
    problem = nvml.Source(library=str(built)).problem
    assert problem is not None
    assert "E_NVML_ENERGY_UNSUPPORTED" in problem


@pytest.mark.parametrize(("end_mj", "code"), [(1000, "E_COUNTER_FROZEN"), (999, "E_COUNTER_RESET")])
def test_a_counter_that_cannot_be_believed_gives_no_joules(
    built: Path, fake: ctypes.CDLL, end_mj: int, code: str
) -> None:
    first, second = window(nvml.Source(library=str(built)), fake, end_mj, 2000)
    assert first.joules is None
    assert first.reason is not None
    assert first.reason.startswith(code)
    assert second.joules == 1.0


def test_a_window_shorter_than_the_counters_steps_gives_no_joules(
    built: Path, fake: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvml, "SHORTEST_WINDOW_S", 3600.0)
    first, _ = window(nvml.Source(library=str(built)), fake, 3500, 1250)
    assert first.reason is not None
    assert first.reason.startswith("E_WINDOW_TOO_SHORT")


def test_a_gpu_cut_into_instances_gives_no_joules(built: Path, fake: ctypes.CDLL) -> None:
    fake.fake_set_mig(0, 1)
    first, second = window(nvml.Source(library=str(built)), fake, 3500, 1250)
    assert first.reason is not None
    assert first.reason.startswith("E_MIG")
    assert second.joules == 0.25


def test_a_counter_lost_in_the_window_gives_no_joules(built: Path, fake: ctypes.CDLL) -> None:
    source = nvml.Source(library=str(built))
    source.start()
    fake.fake_set_energy_status(0, 15)
    first, _ = source.stop()
    assert first.reason is not None
    assert "Some Error" in first.reason
