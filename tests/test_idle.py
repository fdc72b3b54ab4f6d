"""Idle windows: what is taken off a total, when it is not, and what the reports then show."""

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from samples import EAGER, measurement, reading
from tasks import write_task

from jouleforge import energy, idle
from jouleforge.comparison import compare
from jouleforge.energy import EnergyReading, none
from jouleforge.engine import Engine
from jouleforge.measurement import Measurement, WorkloadSpec
from jouleforge.protocol import measure
from jouleforge.reports import csv, html, markdown
from jouleforge.schedule import Schedule

LOAD = reading(100.0, window_s=2.0)
"""50 W."""


def at(watts: float, **changes: object) -> EnergyReading:
    """Return an idle window of four seconds."""
    return reading(4 * watts, window_s=4.0, **changes)


def test_dynamic_joules_are_the_total_less_the_mean_idle_power() -> None:
    found = idle.subtract(LOAD, [at(9.9)], [at(10.1)])
    assert found.joules == found.work_joules == 100
    assert found.idle is not None
    assert (found.idle.before_w, found.idle.after_w) == pytest.approx((9.9, 10.1))
    assert found.idle.dynamic_joules == pytest.approx(100 - 10 * 2)
    assert found.idle.reason is None


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [
        ([at(10)], [at(10.6)], "E_IDLE_UNSTABLE: context idle before/after 10/10.6 W"),
        ([at(10.6)], [at(10)], "E_IDLE_UNSTABLE"),
        ([at(51)], [at(51)], "E_IDLE_ABOVE"),
        ([reading(None)], [at(10)], "E_IDLE_UNKNOWN: .*before.*E_RAPL_ABSENT"),
        ([at(10)], [], "E_IDLE_UNKNOWN: .*after"),
        ([at(10, device="package-1")], [at(10)], "E_IDLE_UNKNOWN: .*before"),
    ],
)
def test_total_stays_where_idle_power_cannot_be_taken_off(
    before: Sequence[EnergyReading], after: Sequence[EnergyReading], code: str
) -> None:
    found = idle.subtract(LOAD, before, after)
    assert found.joules == 100
    assert found.idle is not None
    assert found.idle.dynamic_joules is None
    assert re.match(code, found.idle.reason or "")


def test_pauses_are_taken_out_of_the_joules_per_example_at_idle_power() -> None:
    paused = LOAD.model_copy(update={"paused_s": 0.5, "passes": 1.0})
    found = idle.subtract(paused, [at(10)], [at(10)])
    assert found.idle is not None
    assert found.idle.pause_joules == pytest.approx(5)
    assert found.idle.pause_uncertainty_joules == pytest.approx(2.5)
    assert found.idle.dynamic_joules == pytest.approx(80), "the pauses are idle power already"
    row = compare([measurement(readings=[found], examples=10, wrong=())]).baseline
    assert row.energy is not None
    assert row.energy.per_example_j.value == pytest.approx(9.5)
    assert row.energy.rest is not None
    assert row.energy.rest.pause_share == pytest.approx(0.05)
    assert "5 % taken out for pauses, ± 2.5 %" in markdown.render(compare([with_idle(0, paused)]))


def test_nothing_is_waited_for_without_a_meter_or_a_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waited"))
    assert idle.windows(none.Source(), 10.0) == []
    assert idle.windows(Scripted(), 0.0) == []


class Scripted:
    """A meter of 10 W at rest, and of 500 W within a load."""

    lead_s = 0.0
    sensor_tick_s = 0.0
    is_metering = True

    def __init__(self) -> None:
        self.opened: list[bool] = []
        self._begin_ns = 0

    def start(self, *, lasts_s: float = 0.0, idle: bool = False) -> None:
        del lasts_s
        self.opened.append(idle)
        self._begin_ns = time.monotonic_ns()

    def stop(self) -> list[EnergyReading]:
        end_ns = time.monotonic_ns()
        window_s = (end_ns - self._begin_ns) / 1e9
        watts = 10.0 if self.opened[-1] else 500.0
        ends = {"begin_ns": self._begin_ns, "end_ns": end_ns}
        return [reading(watts * window_s, window_s=window_s, **ends)]


def test_measurement_reads_idle_power_before_and_after_its_load(
    make_engine: Callable[..., Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = Scripted()
    monkeypatch.setattr(energy, "open_source", lambda *_, **__: meter)
    task = write_task(tmp_path, ("LABEL_0", "LABEL_1", "LABEL_2"), rows=50)
    spec = WorkloadSpec(task=str(task), batch_size=8)
    schedule = Schedule(warmup_s=0, duration_s=0.3, idle_s=0.02)
    row = measure(make_engine("bert", target="ort"), spec, threads=1, schedule=schedule)
    assert meter.opened == [True, False, True]
    (found,) = row.energy
    if found.joules is None:  # on a machine so busy that a batch stalled
        assert (found.reason or "").startswith("E_BATCH_STALLED")
        return
    assert found.idle is not None
    assert (found.idle.before_w, found.idle.after_w) == pytest.approx((10, 10))
    assert found.idle.dynamic_joules == pytest.approx(found.joules * 0.98)
    assert Measurement.model_validate_json(row.model_dump_json()) == row


def with_idle(repeat: int, load: EnergyReading, after_w: float = 10.0) -> Measurement:
    return measurement(
        EAGER, repeat=repeat, readings=[idle.subtract(load, [at(10)], [at(after_w)])]
    )


def test_reports_show_dynamic_joules_beside_the_total() -> None:
    found = compare([with_idle(0, LOAD), with_idle(1, LOAD)])
    for text in (markdown.render(found), html.render(found)):
        assert "0.100 J/example dynamic" in text
        assert "10.0 W / 10.0 W" in text
    head, line = (text.split(",") for text in csv.render(found).splitlines())
    fields = dict(zip(head, line, strict=False))
    assert float(fields["energy_per_example_j"]) == pytest.approx(0.125)
    assert float(fields["dynamic_energy_per_example_j"]) == pytest.approx(0.1)


def test_reports_say_why_there_are_no_dynamic_joules() -> None:
    found = compare([with_idle(0, LOAD), with_idle(1, LOAD, after_w=11.0)])
    for text in (markdown.render(found).replace("\\", ""), html.render(found)):
        assert "0.125" in text
        assert "no dynamic joules (E_IDLE_UNSTABLE)" in text
        assert "context idle before/after 10/11 W" in text


def test_time_without_work_is_the_scenarios_own_where_queries_arrive() -> None:
    waited = LOAD.model_copy(update={"paused_s": 0.5})
    found = idle.subtract(waited, [at(10)], [at(10)], dithered=False)
    assert found.idle is not None
    assert found.idle.pause_joules == 0
    assert found.work_joules == 100
