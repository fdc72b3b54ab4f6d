"""CodeCarbon as an energy source: estimates only, no network, no hidden settings, no files."""

import importlib
import os
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import NoReturn
from unittest import mock

import pytest

from jouleforge import energy
from jouleforge._core import NvmlDevice, nvml_device_count
from jouleforge.energy import EnergyReading
from jouleforge.errors import MissingError

POWER_W = 12345.0


@pytest.fixture(scope="module")
def windows(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[list[EnergyReading], list[EnergyReading]]:
    """Two windows, the first of which counts as long enough and the second as too short.

    With the network cut, in a folder and a home whose settings would spoil them.
    """
    pytest.importorskip("codecarbon", reason="needs the package codecarbon")

    def refuse(*_: object) -> NoReturn:
        raise AssertionError("CodeCarbon asked the network")

    folder = tmp_path_factory.mktemp("codecarbon")
    settings = f"[codecarbon]\nforce_cpu_power = {POWER_W}\nforce_ram_power = {POWER_W}\n"
    (folder / ".codecarbon.config").write_text(settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setenv("HOME", str(folder))
        patch.setenv("CODECARBON_PUE", "1000")
        patch.setenv("CODECARBON_FORCE_CPU_POWER", str(POWER_W))
        patch.chdir(folder)
        source = energy.open_source("codecarbon", device="cpu")
        with pytest.MonkeyPatch.context() as lenient:
            lenient.setattr("jouleforge.energy.codecarbon.SHORTEST_WINDOW_S", 0.1)
            long_enough = window(source)
        too_short = window(source)
    assert [path.name for path in folder.iterdir()] == [".codecarbon.config"]
    return long_enough, too_short


def window(source: energy.EnergySource) -> list[EnergyReading]:
    source.start()
    time.sleep(0.2)
    return source.stop()


@pytest.fixture
def readings(windows: tuple[list[EnergyReading], list[EnergyReading]]) -> list[EnergyReading]:
    return windows[0]


def test_each_figure_is_an_estimate(readings: list[EnergyReading]) -> None:
    scopes = [reading.scope for reading in readings]
    assert scopes[:2] == ["cpu_package", "dram"]
    assert {reading.energy_class for reading in readings} <= {"estimated", "unavailable"}
    assert any(reading.joules for reading in readings)


def test_short_windows_have_no_estimate(
    windows: tuple[list[EnergyReading], list[EnergyReading]],
) -> None:
    for reading in windows[1]:
        assert reading.joules is None
        assert (reading.reason or "").startswith("E_WINDOW_TOO_SHORT: ")
        assert "at least 10 s" in (reading.reason or "")


def test_files_and_variables_do_not_change_the_figures(readings: list[EnergyReading]) -> None:
    for reading in readings:
        if reading.joules is not None and reading.window_s:
            assert reading.joules / reading.window_s < POWER_W / 2


@pytest.mark.parametrize("uuid", ["GPU-bbbb", None])
def test_only_the_gpu_that_works_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, nvml_library: Path, uuid: str | None
) -> None:
    pytest.importorskip("codecarbon", reason="needs the package codecarbon")

    def first_gpu() -> str:
        if uuid is None:
            raise MissingError("no driver")
        return uuid

    module = importlib.import_module("jouleforge.energy.codecarbon")
    tracker = mock.Mock()
    monkeypatch.setattr(module, "OfflineEmissionsTracker", tracker)
    monkeypatch.setattr("jouleforge.cuda.uuid", first_gpu)
    monkeypatch.setattr(module, "nvml_device_count", partial(nvml_device_count, str(nvml_library)))
    monkeypatch.setattr(module, "NvmlDevice", partial(NvmlDevice, library=str(nvml_library)))
    module.Source()
    assert tracker.call_args.kwargs["gpu_ids"] == ([1] if uuid else None)
    assert tracker.call_args.kwargs["pue"] == 1
    assert tracker.call_args.kwargs["output_methods"] == []


OF_THE_SECOND = """
import time
from fake_nvml import FakeNvml, NAME
fake = FakeNvml(NAME)
for gpu, watts in enumerate((100.0, 250.0)):
    fake.sensor(gpu=gpu, period_ns=20_000_000)
    fake.load([0], [watts], gpu=gpu)
from jouleforge import cuda
from jouleforge.energy import codecarbon
cuda.uuid = lambda: "GPU-bbbb"
codecarbon.SHORTEST_WINDOW_S = 0.1
source = codecarbon.Source()
source.start()
time.sleep(1)
(found,) = [one for one in source.stop() if one.scope == "gpu_board"]
print(found.joules / found.window_s)
"""


def test_its_joules_are_those_of_the_gpu_that_works(tmp_path: Path, nvml_library: Path) -> None:
    pytest.importorskip("codecarbon", reason="needs the package codecarbon")
    # CodeCarbon looks for a GPU only where this program is.
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    environ = {
        "LD_LIBRARY_PATH": str(nvml_library.parent),
        "PATH": os.pathsep.join([str(tmp_path), os.environ["PATH"]]),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    done = subprocess.run([sys.executable, "-c", OF_THE_SECOND], env=os.environ | environ,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(250, rel=0.1)


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    monkeypatch.delitem(sys.modules, "jouleforge.energy.codecarbon", raising=False)
    with pytest.raises(MissingError, match=r"pip install 'jouleforge\[carbon\]'"):
        importlib.import_module("jouleforge.energy.codecarbon")
