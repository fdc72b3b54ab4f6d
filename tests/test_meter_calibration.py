"""Calibration files: what a user's meter says is checked, applied, kept and printed."""

import ctypes
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from samples import INT8, measurement, reading
from tasks import write_task

from jouleforge import energy
from jouleforge.caveats import Caveat
from jouleforge.comparison import compare
from jouleforge.energy import EnergyReading, nvml, rapl
from jouleforge.engine import Engine
from jouleforge.errors import InputError
from jouleforge.measurement import Measurement, WorkloadSpec
from jouleforge.meter_calibration import AppliedCalibration, Calibration, Correction
from jouleforge.protocol import measure
from jouleforge.reports import csv, html, markdown
from jouleforge.schedule import Schedule
from jouleforge.studies import _key, _Subject
from jouleforge.study_file import Study

FILE = """
[[device]]
uuid = "GPU-aaaa"
gain = 1.046
offset_w = -1.2
date = 2026-03-01
meter = "Yokogawa WT310"
serial = "C3WA01024"
[[device]]
uuid = "package-0"
gain = 0.95
offset_w = 2.0
date = 2026-03-02
meter = "Yokogawa WT310"
"""


def load(folder: Path, text: str = FILE) -> Calibration:
    file = folder / "calibration.toml"
    file.write_text(text, encoding="utf-8")
    return Calibration.load(file)


def correction(**changes: Any) -> Correction:
    known = {"gain": 1.046, "offset_w": -1.2, "date": "2026-03-01", "meter": "WT310"}
    return Correction.model_validate(known | changes)


def corrected(counted_j: float, made: Correction, window_s: float = 2.0) -> EnergyReading:
    return reading(
        made.joules(counted_j, window_s),
        window_s=window_s,
        calibration=AppliedCalibration.of(made, counted_j),
    )


def test_a_calibration_survives_its_file_and_is_known_by_its_content(tmp_path: Path) -> None:
    found = load(tmp_path)
    first = found.of("GPU-aaaa")
    assert (first.gain, first.offset_w, first.serial) == (1.046, -1.2, "C3WA01024")
    assert first.id == load(tmp_path, FILE.replace("0.95", "0.96")).of("GPU-aaaa").id
    assert first.id != load(tmp_path, FILE.replace("1.046", "1.047")).of("GPU-aaaa").id
    for part in ("gain 1.046", "offset -1.2 W", "2026-03-01", "C3WA01024", first.id):
        assert part in first.text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("gain = 1.046", "gain = 0.4", r"device.0.gain: .*0.5.*found 0.4"),
        ("gain = 1.046", "gain = 2.1", r"device.0.gain: .*2, found 2.1"),
        ("gain = 1.046\n", "", "key 'device.0.gain' is missing"),
        ('meter = "Yokogawa WT310"\nserial', "serial", "key 'device.0.meter' is missing"),
        ("offset_w = 2.0", "offset_w = nan", "device.1.offset_w"),
        ("offset_w", "offset", "unknown key 'device.0.offset'"),
        ('"package-0"', '"GPU-aaaa"', "GPU-aaaa stands twice"),
        ("2026-03-01", f"{datetime.now(UTC).date() + timedelta(days=2)}", "lie in the future"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(tmp_path, FILE.replace(old, new, 1))


def test_an_empty_file_calibrates_nothing_and_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="key 'device' is missing"):
        load(tmp_path, "")


def test_a_processors_joules_are_corrected_domain_by_domain(tmp_path: Path) -> None:
    zone = tmp_path / "class" / "powercap" / "intel-rapl:0"
    zone.mkdir(parents=True)
    for name, text in (("name", "package-0"), ("max_energy_range_uj", "262143328850")):
        (zone / name).write_text(f"{text}\n")
    (zone / "energy_uj").write_text("1000000\n")
    source = rapl.Source(sysfs=tmp_path)
    source.calibrate(load(tmp_path))
    source.start()
    time.sleep(0.11)
    (zone / "energy_uj").write_text("21000000\n")
    (found,) = source.stop()
    assert found.calibration is not None
    assert found.calibration.counted_j == 20
    assert found.window_s is not None
    assert found.joules == pytest.approx(0.95 * 20 + 2 * found.window_s)
    with pytest.raises(InputError, match=r"says nothing of package-0, .* GPU-aaaa, package-1"):
        source.calibrate(load(tmp_path, FILE.replace("package-0", "package-1")))


@pytest.fixture
def gpu(nvml_library: Path) -> nvml.Source:
    fake = ctypes.CDLL(str(nvml_library))
    fake.fake_set_steady.argtypes = [ctypes.c_uint, ctypes.c_double, ctypes.c_longlong]
    fake.fake_restore()
    for index in range(2):
        fake.fake_set_steady(index, 250.0, 20_000_000)
    return nvml.Source(library=str(nvml_library), shortest_s=0.4)


def test_a_gpu_the_file_does_not_know_is_refused_before_anything_runs(
    gpu: nvml.Source, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="says nothing of GPU-bbbb"):
        gpu.calibrate(load(tmp_path))


def test_a_calibrated_row_keeps_the_counters_joules_and_loses_the_unstated_gain(
    gpu: nvml.Source,
    make_engine: Callable[..., Engine],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(energy, "_open", lambda *_: gpu)
    made = load(tmp_path, FILE.replace("package-0", "GPU-bbbb"))
    spec = WorkloadSpec(task=str(write_task(tmp_path, ("LABEL_0", "LABEL_1", "LABEL_2"), rows=50)))
    row = measure(
        make_engine("bert", target="ort"),
        spec,
        threads=1,
        schedule=Schedule(warmup_s=0, duration_s=0.01, idle_s=0.1),
        calibration=made,
    )
    assert Caveat.SENSOR_GAIN not in row.caveats
    for found in row.energy:
        if found.joules is None:  # on a machine too busy for an edge, or for its batch
            assert (found.reason or "").startswith(("E_EDGE", "E_BATCH"))
            assert found.calibration is None
            continue
        assert found.calibration is not None
        assert found.detail is not None
        assert found.calibration.correction == made.of(found.detail.uuid)
        assert found.joules != found.calibration.counted_j
    assert Measurement.model_validate_json(row.model_dump_json()) == row


def test_an_estimate_cannot_be_calibrated(tmp_path: Path) -> None:
    pytest.importorskip("codecarbon", reason="needs the package codecarbon")
    with pytest.raises(InputError, match=r"corrects counters, and .* codecarbon estimates"):
        energy.open_source("codecarbon", device="cpu", calibration=load(tmp_path))


def test_joules_that_are_not_those_of_their_calibration_are_refused() -> None:
    stored = corrected(20.0, correction()).model_dump()
    assert EnergyReading.model_validate(stored) == corrected(20.0, correction())
    with pytest.raises(ValidationError, match="was the file edited"):
        EnergyReading.model_validate(stored | {"joules": 20.0})
    stored["calibration"]["id"] = correction(gain=1.1).id
    with pytest.raises(ValidationError, match="was the file edited"):
        EnergyReading.model_validate(stored)


def test_calibrated_and_uncalibrated_joules_are_never_put_together() -> None:
    repeats = [
        measurement(repeat=0, readings=[corrected(20.0, correction())]),
        measurement(repeat=1, readings=[reading(20.0)]),
    ]
    (row,) = compare(repeats).rows
    assert row.energy is None
    assert row.energy_reason == "calibrated and uncalibrated joules are never put together"


def test_two_calibrations_are_not_averaged_either() -> None:
    repeats = [
        measurement(repeat=repeat, readings=[corrected(20.0, correction(gain=gain))])
        for repeat, gain in enumerate((1.0, 1.1))
    ]
    assert compare(repeats).baseline.energy is None


def test_a_calibrated_row_has_no_ratio_to_an_uncalibrated_one() -> None:
    rows = compare(
        [
            measurement(readings=[corrected(20.0, correction())]),
            measurement(INT8, readings=[reading(10.0)]),
        ]
    ).rows
    assert [row.energy_ratio for row in rows if not row.is_baseline] == [None]


def test_every_report_prints_the_calibration() -> None:
    made = correction(gain=1.046)
    found = compare([measurement(readings=[corrected(20.0, made)])])
    for text in (markdown.render(found), html.render(found), csv.render(found)):
        assert made.id in text
        assert "2026-03-01" in text
    assert found.baseline.energy is not None
    assert found.baseline.energy.per_example_j.value == pytest.approx((1.046 * 20 - 2.4) / 800)


def test_a_study_is_another_one_with_another_calibration(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(
        'name = "s"\ncheckpoint = "c"\ntask = "sst2"\ncalibration = "calibration.toml"\n'
        '[[cells]]\ntarget = "ort"\n',
        encoding="utf-8",
    )
    first, second = load(tmp_path), load(tmp_path, FILE.replace("1.046", "1.05"))
    study = Study.load(file)
    assert study.calibration == str(tmp_path / "calibration.toml")
    keys = {
        _key(study, study.cells[0], _Subject("c", "t", calibration=made))
        for made in (None, first, second)
    }
    assert len(keys) == 3
