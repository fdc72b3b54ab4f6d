"""RAPL's source against a made-up sysfs; the counters themselves are tested in C++."""

import time
from pathlib import Path

import pytest

from jouleforge._core import Rapl, RaplError
from jouleforge.energy import rapl


def make_zone(sysfs: Path, zone: str, name: str, energy_uj: int) -> Path:
    folder = sysfs / "class" / "powercap" / zone
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "max_energy_range_uj").write_text("262143328850\n")
    (folder / "energy_uj").write_text(f"{energy_uj}\n")
    return folder / "energy_uj"


def test_packages_and_memory_give_a_reading_each(tmp_path: Path) -> None:
    package = make_zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    memory = make_zone(tmp_path, "intel-rapl:0:0", "dram", 1_000_000)
    source = rapl.Source(sysfs=tmp_path)
    assert source.problem is None
    source.start()
    time.sleep(0.11)
    package.write_text("4500000\n")
    memory.write_text("1250000\n")
    first, second = source.stop()
    assert (first.device, first.scope, first.joules) == ("package-0", "cpu_package", 3.5)
    assert (second.device, second.scope, second.joules) == ("package-0/dram", "dram", 0.25)
    assert first.energy_class == "counter"


def test_a_machine_without_counters_gives_one_reading_with_the_reason(tmp_path: Path) -> None:
    source = rapl.Source(sysfs=tmp_path)
    source.start()
    (reading,) = source.stop()
    assert reading.reason is not None
    assert reading.reason.startswith("E_RAPL_ABSENT")
    assert source.problem == reading.reason


def test_a_frozen_counter_gives_no_joules(tmp_path: Path) -> None:
    make_zone(tmp_path, "intel-rapl:0", "package-0", 1)
    source = rapl.Source(sysfs=tmp_path)
    source.start()
    time.sleep(0.11)
    (reading,) = source.stop()
    assert reading.joules is None
    assert reading.reason is not None
    assert reading.reason.startswith("E_RAPL_FROZEN")


@pytest.mark.parametrize("when", ["before", "within"])
def test_a_counter_that_breaks_gives_no_joules(tmp_path: Path, when: str) -> None:
    counter = make_zone(tmp_path, "intel-rapl:0", "package-0", 1)
    source = rapl.Source(sysfs=tmp_path)
    if when == "within":
        source.start()
    counter.write_text("garbage\n")
    if when == "before":
        source.start()
    (reading,) = source.stop()
    assert reading.joules is None
    assert reading.reason is not None
    assert "found 'garbage" in reading.reason


def test_the_native_meter_says_where_it_reads(tmp_path: Path) -> None:
    make_zone(tmp_path, "intel-rapl:0", "package-0", 1)
    meter = Rapl(sysfs=tmp_path)
    assert (meter.source, meter.domains) == ("powercap", ["package-0"])
    with pytest.raises(RaplError, match=r"stop\(\) without start\(\)"):
        meter.stop()
