"""Measuring a tiny engine for real: answers, counts and caveats come from the timed run."""

import ctypes
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tasks import write_task

from jouleforge import energy, protocol, runners
from jouleforge._core import CallableRunner, Runner
from jouleforge.caveats import Caveat
from jouleforge.energy import nvml
from jouleforge.engine import Engine
from jouleforge.errors import GateError, InputError
from jouleforge.measurement import Measurement, WorkloadSpec
from jouleforge.protocol import measure
from jouleforge.runners import Arrays
from jouleforge.schedule import Schedule

MakeEngine = Callable[..., Engine]
QUICK = Schedule(warmup_s=0, duration_s=0.01, idle_s=0)
LABELS = ("LABEL_0", "LABEL_1", "LABEL_2")


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_task(tmp_path_factory.mktemp("task"), LABELS, rows=50))


def run(engine: Engine, task: str, **choices: object) -> Measurement:
    spec = WorkloadSpec.model_validate({"task": task, "batch_size": 8, **choices})
    return measure(engine, spec, threads=1, schedule=QUICK, energy_source="none")


def test_every_runtime_gives_the_same_answers(make_engine: MakeEngine, task: str) -> None:
    found = [
        run(make_engine("bert", target="pytorch", attention="eager"), task, padding="static:64"),
        run(make_engine("bert", target="pytorch", attention="sdpa"), task, padding="sorted"),
        run(make_engine("bert", target="ort"), task, padding="longest"),
        run(make_engine("bert", target="ort", flavour="plain"), task, padding="bucket:16,32,64"),
    ]
    decisions = [row.quality.decisions.unpack() for row in found]
    for other in decisions[1:]:
        np.testing.assert_array_equal(decisions[0], other)
    assert {row.facts.real_tokens for row in found} == {found[0].facts.real_tokens}
    assert found[0].facts.computed_tokens == 50 * 64


def test_row_survives_its_own_json(make_engine: MakeEngine, task: str) -> None:
    row = run(make_engine("bert", target="ort"), task)
    assert Measurement.model_validate_json(row.model_dump_json()) == row


def test_row_of_old_says_nothing_of_what_was_not_measured_then(
    make_engine: MakeEngine, task: str
) -> None:
    old = json.loads(run(make_engine("bert", target="ort"), task).model_dump_json())
    del old["thermal"], old["schedule"]["idle_s"], old["schedule"]["longest_warmup_s"]
    old["schedule"].pop("quick")
    old["memory"] = {"peak_rss_bytes": 1, "reason": None}
    for name in ("warmup_s", "warmup_runs", "steady"):
        del old["timing"][name]
    row = Measurement.model_validate_json(json.dumps(old))
    assert (row.schedule.idle_s, row.schedule.longest_warmup_s) == (0, 0)
    assert row.timing.steady is row.thermal is row.memory.working_rss_bytes is None


def test_times_are_those_of_whole_passes(make_engine: MakeEngine, task: str) -> None:
    row = run(make_engine("bert", target="ort"), task)
    latencies = row.timing.latency_ns()
    assert latencies.shape == (row.timing.passes, row.facts.batches)
    assert (latencies > 0).all()
    assert row.timing.wall_s == pytest.approx(latencies.sum() / 1e9)
    assert row.examples_run == 50 * row.timing.passes


def test_accuracy_is_computed_from_the_recorded_answers(make_engine: MakeEngine, task: str) -> None:
    row = run(make_engine("bert", target="ort"), task)
    from jouleforge.task import Task

    truth = Task.load(task).examples("test").labels
    accuracy = float((row.quality.decisions.unpack() == truth).mean())
    assert row.headline == pytest.approx(accuracy)


def test_missing_energy_is_null_with_a_reason(make_engine: MakeEngine, task: str) -> None:
    row = run(make_engine("bert", target="ort"), task)
    assert [reading.joules for reading in row.energy] == [None]
    assert row.energy[0].reason
    assert Caveat.ENERGY_UNAVAILABLE in row.caveats


def test_a_gpus_joules_are_those_of_a_window_within_the_loop(
    make_engine: MakeEngine, task: str, nvml_library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = ctypes.CDLL(str(nvml_library))
    fake.fake_set_steady.argtypes = [ctypes.c_uint, ctypes.c_double, ctypes.c_longlong]
    fake.fake_restore()
    for gpu in range(2):
        fake.fake_set_steady(gpu, 250.0, 20_000_000)
    meter = nvml.Source(library=str(nvml_library), shortest_s=0.4)
    monkeypatch.setattr(energy, "open_source", lambda _, **__: meter)
    row = run(make_engine("bert", target="ort"), task)
    assert len(row.energy) == 2
    for reading in row.energy:
        assert reading.detail is not None
        if reading.joules is None:  # on a machine too busy for an edge, or for its batch
            assert (reading.reason or "").startswith(("E_EDGE", "E_BATCH"))
            continue
        assert reading.passes is not None
        assert reading.window_s is not None
        assert 0 < reading.passes < row.timing.passes
        assert reading.window_s < row.timing.wall_s
        assert reading.joules == pytest.approx(250 * reading.window_s, rel=0.02)
    assert Measurement.model_validate_json(row.model_dump_json()) == row


def test_cut_texts_few_passes_and_samples_are_caveats(make_engine: MakeEngine, task: str) -> None:
    spec = WorkloadSpec(task=task, padding="static:4", batch_size=8, limit=20)
    row = measure(
        make_engine("bert", target="ort"), spec, threads=1, energy_source="none",
        schedule=Schedule(warmup_s=0, duration_s=1e-9),
    )  # fmt: skip
    assert {Caveat.TRUNCATED, Caveat.FEW_PASSES, Caveat.ROWS_LIMITED} <= set(row.caveats)


def test_warm_up_goes_on_until_it_is_steady_and_is_recorded(
    make_engine: MakeEngine, task: str
) -> None:
    engine = make_engine("bert", target="ort")
    schedule = Schedule(warmup_s=0.1, longest_warmup_s=10, duration_s=0.01)
    row = measure(
        engine, WorkloadSpec(task=task, batch_size=8), threads=1, schedule=schedule,
        energy_source="none",
    )  # fmt: skip
    assert row.timing.warmup_s is not None
    assert row.timing.warmup_runs is not None
    assert row.timing.warmup_s >= 0.1
    assert row.timing.warmup_runs >= row.facts.batches
    assert row.timing.steady is not None
    assert (Caveat.NOT_STEADY in row.caveats) == (not row.timing.steady)
    unknown = run(engine, task)
    assert unknown.timing.steady is None
    assert Caveat.NOT_STEADY in unknown.caveats


def test_labels_in_another_order_are_matched_by_name(
    make_engine: MakeEngine, tmp_path: Path, task: str
) -> None:
    turned = write_task(tmp_path, LABELS[::-1], rows=50)
    engine = make_engine("bert", target="ort")
    assert run(engine, str(turned)).headline == run(engine, task).headline


def test_labels_of_other_names_are_matched_by_position_and_noted(
    make_engine: MakeEngine, tmp_path: Path
) -> None:
    other = write_task(tmp_path, ("red", "green", "blue"), rows=50)
    row = run(make_engine("bert", target="ort"), str(other))
    assert Caveat.LABELS_BY_POSITION in row.caveats
    assert any("LABEL_0 = red" in note for note in row.notes)


def test_task_with_another_number_of_labels_is_refused(
    make_engine: MakeEngine, tmp_path: Path
) -> None:
    two = write_task(tmp_path, ("no", "yes"), rows=20)
    with pytest.raises(InputError, match=r"3 outputs .* 2 labels .*right task"):
        run(make_engine("bert", target="ort"), str(two))


def test_swapped_labels_are_called_out(
    make_engine: MakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = write_task(tmp_path, ("negative", "positive", "neutral"), rows=60)
    from jouleforge.task import Task

    truth = Task.load(task).examples("test").labels
    swapped = np.eye(3, dtype=np.float32)[(truth + 1) % 3]
    engine = make_engine("bert", target="ort")
    _answer_with(monkeypatch, swapped)
    row = run(engine, str(task))
    assert row.headline == 0
    assert Caveat.LABEL_ORDER in row.caveats
    assert any("another order" in note for note in row.notes)


def test_constant_answers_are_called_out(
    make_engine: MakeEngine, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _answer_with(monkeypatch, np.tile(np.array([[0, 1, 0]], np.float32), (50, 1)))
    assert Caveat.CONSTANT_PREDICTION in run(make_engine("bert", target="ort"), task).caveats


def test_answers_that_the_window_did_not_write_fail(
    make_engine: MakeEngine, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Idle:
        runtime = "idle 1"

        def prepare(self, inputs: list[Arrays], outputs: object) -> Runner:
            del outputs
            return CallableRunner(lambda _: None, len(inputs))

    monkeypatch.setattr(runners, "load", lambda *_, **__: Idle())
    with pytest.raises(GateError, match="or not at all, to 50 of 50 examples"):
        run(make_engine("bert", target="ort"), task)


@pytest.mark.parametrize("threads", [0, 10_000])
def test_impossible_thread_count_is_one_clear_error(
    make_engine: MakeEngine, task: str, threads: int
) -> None:
    with pytest.raises(InputError, match=r"threads must be from 1 to the \d+ usable"):
        measure(make_engine("bert", target="ort"), WorkloadSpec(task=task), threads=threads)


def test_multi_label_and_regression_heads_are_measured(
    make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    from jouleforge.converters import convert
    from jouleforge.recipe import Recipe

    labels = ("a", "b", "c")
    many = make_checkpoint("bert", problem_type="multi_label_classification")
    engine = convert(many, Recipe(target="ort"), tmp_path / "many")
    (tmp_path / "m").mkdir()
    row = run(engine, str(write_task(tmp_path / "m", labels, rows=30, kind="multi-label")))
    assert row.quality.decisions.unpack().shape == (30, 3)
    assert "f1_micro" in row.quality.metrics

    one = make_checkpoint("bert", num_labels=1)
    engine = convert(one, Recipe(target="ort"), tmp_path / "one")
    (tmp_path / "r").mkdir()
    task = str(write_task(tmp_path / "r", (), rows=30, kind="regression"))
    assert "pearson" in run(engine, task).quality.metrics
    with pytest.raises(InputError, match=r"engine, the task toy is"):
        run(engine, str(write_task(tmp_path, labels, rows=10)))


def _answer_with(monkeypatch: pytest.MonkeyPatch, logits: np.ndarray) -> None:
    """Let a fake runtime give the logits of each row, found by its token ids."""
    real = protocol.engine_workload
    rows: list[np.ndarray] = []

    def remember(*args: object, **kwargs: object) -> object:
        workload = real(*args, **kwargs)  # type: ignore[arg-type]
        rows[:] = [batch.rows for batch in workload.batches]
        return workload

    class Known:
        runtime = "known 1"

        def prepare(self, inputs: list[Arrays], outputs: list[np.ndarray]) -> Runner:
            del inputs

            def step(index: int) -> None:
                outputs[index][:] = logits[rows[index]]

            return CallableRunner(step, len(outputs))

    monkeypatch.setattr(protocol, "engine_workload", remember)
    monkeypatch.setattr(runners, "load", lambda *_, **__: Known())
