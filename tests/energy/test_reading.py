"""Readings that may exist, and how a source is chosen."""

from typing import Any

import pytest
from pydantic import ValidationError

from jouleforge import energy, variants
from jouleforge.energy import EnergyReading
from jouleforge.errors import InputError
from jouleforge.meter_calibration import Calibration

COUNTED: dict[str, Any] = {
    "source": "rapl",
    "device": "package-0",
    "scope": "cpu_package",
    "energy_class": "counter",
    "joules": 12.5,
    "window_s": 2.0,
}


class Meter:
    """A source that does nothing; `problem` as given."""

    def __init__(self, problem: str | None) -> None:
        self.problem = problem
        self.lead_s = 0.0
        self.sensor_tick_s = 0.0

    def calibrate(self, calibration: Calibration) -> None: ...

    def start(self, *, lasts_s: float = 0.0) -> None: ...

    def stop(self) -> list[EnergyReading]:
        return []


def machine(monkeypatch: pytest.MonkeyPatch, **problems: str | None) -> None:
    """Replace the sources of these names by meters with these problems."""

    def load(_: str, name: str) -> Any:
        class Module:
            @staticmethod
            def Source() -> Meter:
                return Meter(problems[name])

        return Module if name in problems else original("jouleforge.energy", name)

    original = variants.load
    monkeypatch.setattr(variants, "load", load)


def test_a_reading_survives_json() -> None:
    reading = EnergyReading(**COUNTED)
    assert EnergyReading.model_validate_json(reading.model_dump_json()) == reading


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"joules": None}, "joules are null if, and only if"),
        ({"energy_class": "unavailable"}, "joules are null if, and only if"),
        ({"energy_class": "unavailable", "joules": None}, "needs a reason"),
        ({"joules": 0.0}, "greater than 0"),
        ({"joules": float("inf")}, "finite"),
        ({"energy_class": "guessed"}, "'counter', 'integrated', 'estimated' or 'unavailable'"),
        ({"unit": "kWh"}, "Extra inputs"),
    ],
)
def test_a_reading_that_hides_something_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        EnergyReading(**COUNTED | change)


def test_every_source_is_a_module_of_that_name() -> None:
    assert variants.names("jouleforge.energy") == [
        "codecarbon",
        "none",
        "nvml",
        "nvml_power",
        "rapl",
    ]


def test_an_unknown_source_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="no 'wattmeter' among energy; choose from codecarbon"):
        energy.open_source("wattmeter", device="cpu")


def test_none_gives_a_window_and_a_reason_but_no_joules() -> None:
    source = energy.open_source("none", device="cpu")
    source.start()
    (reading,) = source.stop()
    assert (reading.joules, reading.energy_class) == (None, "unavailable")
    assert reading.reason == "not asked for"
    assert reading.window_s is not None


@pytest.mark.parametrize(("device", "taken"), [("gpu", "nvml"), ("cpu", "rapl")])
def test_auto_takes_the_counter_of_the_device_that_works(
    monkeypatch: pytest.MonkeyPatch, device: energy.Device, taken: str
) -> None:
    others = {"nvml", "rapl"} - {taken}
    machine(monkeypatch, **{taken: None}, **dict.fromkeys(others, "would be the wrong one"))
    assert isinstance(source := energy.open_source("auto", device=device), Meter)
    assert source.problem is None


def test_auto_says_why_nothing_can_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, nvml=None, rapl="no counters")
    source = energy.open_source("auto", device="cpu")
    source.start()
    (reading,) = source.stop()
    assert reading.reason == "rapl: no counters"


def test_problem_tells_what_keeps_a_source_from_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, nvml="no driver", rapl=None)
    assert energy.problem("nvml") == "no driver"
    assert energy.problem("rapl") is None
