"""The thermal gate: work below the block's temperature, rest above it, a minute at most."""

import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checkpoints import save_checkpoint
from samples import EAGER, measurement, reading
from tasks import write_task
from test_work import detail

from jouleforge import energy, thermal
from jouleforge._core import CallableRunner
from jouleforge.energy import nvml
from jouleforge.engine import Engine
from jouleforge.jobs import ConvertJob, MeasureJob
from jouleforge.measurement import Measurement, ThermalGate, WorkloadSpec
from jouleforge.protocol import measure
from jouleforge.schedule import Schedule
from jouleforge.studies import _Run, run_study


class Gpu:
    """Warms up by a degree with each batch of a quarter of a second, and cools by two a second."""

    def __init__(self, celsius: float, *, tells: bool = True, hottest_c: float = 90) -> None:
        self.celsius = celsius
        self.now_s = 0.0
        self.ran: list[int] = []
        self._tells = tells
        self._hottest_c = hottest_c

    def read(self) -> int | None:
        return round(self.celsius) if self._tells else None

    def run(self, batch: int) -> None:
        self.ran.append(batch)
        self.now_s += 0.25
        self.celsius = min(self.celsius + 1, self._hottest_c)

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.celsius -= 2 * seconds

    def approach(self, reference_c: int) -> ThermalGate:
        return thermal.approach(
            reference_c, self.read, CallableRunner(self.run, 2), [1, 0],
            clock=lambda: self.now_s, sleep=self.sleep,
        )  # fmt: skip


def test_cold_gpu_works_and_a_hot_one_rests_until_it_is_near() -> None:
    cold = Gpu(40)
    assert cold.approach(60).waited_s == pytest.approx(5)
    assert cold.ran[:4] == [1, 0, 1, 0]
    hot = Gpu(80)
    assert hot.approach(60).waited_s == pytest.approx(9)
    assert hot.ran == []
    near = Gpu(62)
    assert near.approach(60).waited_s == 0
    assert near.ran == []


def test_wait_ends_after_a_minute_or_where_no_temperature_is_told() -> None:
    assert Gpu(40, hottest_c=50).approach(60).waited_s == pytest.approx(60, abs=1)
    assert Gpu(40, tells=False).approach(60).waited_s == 0


@pytest.mark.parametrize(
    ("begin_c", "note"),
    [
        (62, ""),
        (63, "The window began at 63 C and not within 2 C of its block's 60 C (waited for 5 s)."),
        (None, "The window began at an unknown temperature"),
    ],
)
def test_row_says_where_its_window_did_not_begin_as_it_should(
    begin_c: int | None, note: str
) -> None:
    found = ThermalGate(reference_c=60, waited_s=5.0, begin_c=begin_c).note
    assert found.startswith(note)
    assert bool(found) == bool(note)


@pytest.fixture
def fake(nvml_library: Path) -> Iterator[ctypes.CDLL]:
    library = ctypes.CDLL(str(nvml_library))
    library.fake_set_steady.argtypes = [ctypes.c_uint, ctypes.c_double, ctypes.c_longlong]
    library.fake_restore()
    for gpu in range(2):
        library.fake_set_steady(gpu, 250.0, 20_000_000)
    yield library
    library.fake_restore()


def test_measurement_waits_for_its_gpu_before_it_warms_up(
    make_engine: Callable[..., Engine], nvml_library: Path, fake: ctypes.CDLL, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    meter = nvml.Source(library=str(nvml_library), shortest_s=0.4)
    monkeypatch.setattr(energy, "open_source", lambda _, **__: meter)
    fake.fake_set_temperature(0, 58)
    rested: list[float] = []

    def rest(seconds: float) -> None:
        rested.append(seconds)
        fake.fake_set_temperature(0, 58 - 3 * len(rested))

    monkeypatch.setitem(thermal.approach.__kwdefaults__, "sleep", rest)
    task = write_task(tmp_path, ("LABEL_0", "LABEL_1", "LABEL_2"), rows=50)
    row = measure(
        make_engine("bert", target="ort"), WorkloadSpec(task=str(task), batch_size=8), threads=1,
        schedule=Schedule(warmup_s=0, duration_s=0.01, idle_s=0), temperature_c=50,
    )  # fmt: skip
    assert len(rested) == 2
    assert row.thermal is not None
    assert (row.thermal.reference_c, row.thermal.begin_c) == (50, 52)
    assert not [note for note in row.notes if "began at" in note]
    assert Measurement.model_validate_json(row.model_dump_json()) == row


def test_block_takes_the_temperature_of_its_first_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path / "checkpoint", "bert")
    write_task(tmp_path, ("LABEL_0", "LABEL_1", "LABEL_2"), rows=40)
    study = tmp_path / "study.toml"
    study.write_text(
        'name = "toy"\ncheckpoint = "checkpoint"\ntask = "task.toml"\nrepeats = 2\nextend = false\n'
        '[[cells]]\ntarget = "ort"\n[[cells]]\ntarget = "ort"\npadding = "static:32"\n'
    )
    asked: dict[tuple[int, int], int | None] = {}

    def pretend(_: _Run, job: ConvertJob | MeasureJob, what: str) -> bool:
        del what
        if isinstance(job, MeasureJob):
            place = (job.block.repeat, job.block.position)
            asked[place] = job.temperature_c
            begin_c = 50 + 10 * place[0] + place[1]
            shown = detail(part_time=False).model_copy(update={"temperature_begin_c": begin_c})
            row = measurement(EAGER, readings=[reading(5.0, detail=shown)])
            job.row.write_text(row.model_copy(update={"block": job.block}).model_dump_json())
        return True

    monkeypatch.setattr(_Run, "_do", pretend)
    run_study(study, tmp_path / "out")
    firsts = {(0, 0): None, (1, 0): None}
    others = {(0, 1): 50, (0, 2): 50, (1, 1): 60, (1, 2): 60}
    assert asked == firsts | others
