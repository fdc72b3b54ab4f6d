"""Scenarios: what a query is, when it arrives, and what its latency counts from."""

import math
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import save_checkpoint
from pydantic import ValidationError
from tasks import write_task

from jouleforge._core import CallableRunner, NullRunner, serve_queries
from jouleforge.caveats import Caveat
from jouleforge.engine import Engine
from jouleforge.errors import InputError
from jouleforge.measurement import Measurement, WorkloadSpec
from jouleforge.protocol import measure
from jouleforge.scenarios import poisson, run
from jouleforge.schedule import Schedule
from jouleforge.studies import run_study
from jouleforge.study_file import Study

MakeEngine = Callable[..., Engine]
LABELS = ("LABEL_0", "LABEL_1", "LABEL_2")
ROWS = 50


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_task(tmp_path_factory.mktemp("task"), LABELS, rows=ROWS))


def measured(engine: Engine, task: str, *, seed: int | None = None, **choices: Any) -> Measurement:
    schedule = Schedule(warmup_s=0, duration_s=0.02, **choices)
    spec = WorkloadSpec(task=task)
    return measure(
        engine, spec, threads=1, schedule=schedule, energy_source="none", arrival_seed=seed
    )


def test_every_scenario_scores_the_answers_of_its_own_run(
    make_engine: MakeEngine, task: str
) -> None:
    engine = make_engine("bert", target="ort")
    rows = [
        measured(engine, task),
        measured(engine, task, scenario="single-stream"),
        measured(engine, task, scenario="multi-stream", samples_per_query=4),
        measured(engine, task, scenario="server", load=0.5),
    ]
    for row in rows:
        assert row.timing.latency_ns().shape == (row.timing.passes, row.facts.batches)
        np.testing.assert_array_equal(
            row.quality.decisions.unpack(), rows[0].quality.decisions.unpack()
        )
        assert Measurement.model_validate_json(row.model_dump_json()) == row
    assert [row.workload.batch_size for row in rows] == [32, 1, 4, 1]
    assert [row.facts.batches for row in rows] == [2, 50, 13, 50]
    assert rows[2].workload.padding == "longest"
    assert rows[1].facts.computed_tokens == rows[1].facts.real_tokens


def test_latency_under_load_counts_from_the_intended_arrival(
    make_engine: MakeEngine, task: str
) -> None:
    row = measured(make_engine("bert", target="ort"), task, scenario="server", rate_per_s=400.0)
    arrivals = row.timing.arrivals
    assert arrivals is not None
    assert arrivals.rate_per_s == 400.0
    assert arrivals.capacity_per_s > 0
    intended_ns = arrivals.intended_ns.unpack()
    assert intended_ns.shape == row.timing.latency_ns().shape
    ends_ns = (intended_ns + row.timing.latency_ns()).ravel()
    assert (np.diff(ends_ns) > 0).all(), "first come, first served"
    assert row.timing.wall_s == pytest.approx(ends_ns[-1] / 1e9)
    assert intended_ns.max() >= 0.02e9


def test_arrivals_can_be_made_again_and_differ_by_default(
    make_engine: MakeEngine, task: str
) -> None:
    engine = make_engine("bert", target="ort")

    def arrivals(seed: int | None) -> tuple[int, bytes]:
        row = measured(engine, task, scenario="server", rate_per_s=500.0, seed=seed)
        assert row.timing.arrivals is not None
        return row.timing.arrivals.seed, row.timing.arrivals.intended_ns.unpack().tobytes()

    assert arrivals(7) == arrivals(7)
    first, second = arrivals(None), arrivals(None)
    assert first != second
    assert arrivals(first[0]) == first


def test_a_stall_delays_every_query_that_arrives_in_it() -> None:
    done: list[int] = []

    def step(batch: int) -> None:
        if len(done) == 3:
            time.sleep(0.05)
        done.append(batch)

    due_ns = [1_000_000 * number for number in range(30)]
    runner = CallableRunner(step, 30)
    trace = serve_queries(runner, order=range(30), due_ns=due_ns, wait="block")
    latencies_ns = trace.stamps_ns[1:] - trace.first_start_ns - np.array(due_ns)
    assert done == list(range(30))
    stalled_ns = int(latencies_ns[3])
    assert stalled_ns >= 50_000_000
    for number in range(4, 30):
        assert latencies_ns[number] >= stalled_ns - (due_ns[number] - due_ns[3])


def test_more_than_the_engine_answers_is_said_and_not_hidden(
    make_engine: MakeEngine, task: str
) -> None:
    engine = make_engine("bert", target="ort")
    alone = measured(engine, task, scenario="single-stream").examples_per_s
    row = measured(engine, task, scenario="server", rate_per_s=3 * alone)
    assert Caveat.OVERLOADED in row.caveats
    assert any("the queue grew until the end of the window" in note for note in row.notes)
    idle = measured(engine, task, scenario="server", load=0.1)
    assert Caveat.OVERLOADED not in idle.caveats
    with pytest.raises(InputError, match=r"more than 10 times the .* lower the rate"):
        measured(engine, task, scenario="server", rate_per_s=1000 * alone)


def test_arrivals_are_poisson_in_whole_passes_and_last_long_enough() -> None:
    due_ns = poisson(1000.0, queries=70, lasts_s=20.0, min_passes=1, seed=5)
    assert len(due_ns) % 70 == 0
    assert due_ns[-1] >= 20e9
    gaps_ns = np.diff(due_ns, prepend=0)
    count = len(gaps_ns)
    # Exponential: the mean is the standard deviation, and 1/e of the gaps exceed it.
    assert gaps_ns.mean() == pytest.approx(1e6, rel=4 / math.sqrt(count))
    assert gaps_ns.std() == pytest.approx(1e6, rel=6 / math.sqrt(count))
    assert (gaps_ns > 1e6).mean() == pytest.approx(math.exp(-1), abs=2 / math.sqrt(count))
    assert abs(np.corrcoef(gaps_ns[:-1], gaps_ns[1:])[0, 1]) < 4 / math.sqrt(count)
    np.testing.assert_array_equal(
        due_ns, poisson(1000.0, queries=70, lasts_s=20.0, min_passes=1, seed=5)
    )
    assert len(poisson(1e6, queries=3, lasts_s=1e-6, min_passes=4, seed=0)) == 12


def test_more_arrivals_than_can_be_kept_are_refused() -> None:
    with pytest.raises(InputError, match="lower the rate or the duration"):
        poisson(1e6, queries=10, lasts_s=60.0, min_passes=1, seed=0)


def test_a_load_is_a_share_of_what_was_answered_one_after_the_other() -> None:
    schedule = Schedule(warmup_s=0.01, duration_s=0.05, scenario="server", load=0.25)
    opened: list[bool] = []
    timed = run(
        CallableRunner(lambda _: time.sleep(0.001), 3),
        batches=3,
        schedule=schedule,
        lasts_s=0.05,
        on_warm=lambda: opened.append(True),
        arrival_seed=1,
    )
    assert timed.arrivals is not None
    assert timed.arrivals.rate_per_s == pytest.approx(timed.arrivals.capacity_per_s / 4)
    assert timed.arrivals.capacity_per_s < 1000
    assert opened == [True]
    assert timed.overload is None


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"scenario": "server"}, "rate_per_s or load .* neither given"),
        ({"scenario": "server", "rate_per_s": 5.0, "load": 0.5}, "both given"),
        ({"scenario": "server", "load": 1.5}, "less than or equal to 1"),
        ({"scenario": "server", "load": 0.0}, "greater than 0"),
        ({"scenario": "server", "rate_per_s": -1.0}, "greater than 0"),
        ({"scenario": "server", "rate_per_s": math.inf}, "finite"),
        ({"scenario": "server", "rate_per_s": 5.0, "wait": "doze"}, "'spin' or 'block'"),
        ({"scenario": "server", "load": 0.5, "samples_per_query": 4}, "for the scenario multi"),
        ({"scenario": "offline", "rate_per_s": 5.0}, "rate_per_s is for the scenario server"),
        ({"scenario": "single-stream", "load": 0.5}, "load is for the scenario server"),
        ({"scenario": "single-stream", "wait": "spin"}, "wait is for the scenario server"),
        ({"scenario": "multi-stream", "samples_per_query": 0}, "greater than or equal to 1"),
        ({"scenario": "closed"}, "'offline', 'single-stream', 'multi-stream' or 'server'"),
    ],
)
def test_schedule_that_makes_no_scenario_is_refused(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Schedule(**choices)


@pytest.mark.parametrize(
    ("schedule", "spec", "message"),
    [
        ({"scenario": "single-stream"}, {"batch_size": 32}, "holds 1, not a batch size of 32"),
        ({"scenario": "server", "load": 0.5}, {"batch_size": 2}, "leave the batch size out"),
        ({"scenario": "multi-stream"}, {"batch_size": 4}, "or give samples_per_query"),
        ({"scenario": "multi-stream"}, {"padding": "sorted"}, "choose longest or static:N"),
    ],
)
def test_batches_that_are_no_queries_are_refused(
    make_engine: MakeEngine, task: str, schedule: dict[str, Any], spec: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        measure(
            make_engine("bert", target="ort"), WorkloadSpec(task=task, **spec), threads=1,
            schedule=Schedule(**schedule), energy_source="none",
        )  # fmt: skip


STUDY = """
name = "s"
checkpoint = "c"
task = "t"
{batch}
schedule = {{ scenario = {scenario} }}
[[cells]]
target = "ort"
padding = "{padding}"
"""


def test_a_study_names_its_scenario(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"

    def load(scenario: str, *, padding: str = "sorted", batch: str = "") -> Study:
        file.write_text(STUDY.format(scenario=scenario, padding=padding, batch=batch))
        return Study.load(file)

    server = load('"server", load = 0.7, wait = "spin"')
    assert server.schedule == Schedule(scenario="server", load=0.7, wait="spin")
    assert server.workload(server.cells[0]).batch_size == 1
    several = load('"multi-stream", samples_per_query = 4', padding="longest")
    assert several.workload(several.cells[0]).batch_size == 4
    with pytest.raises(InputError, match=r"cells.0: .* leave the batch size out"):
        load('"single-stream"', batch="batch_size = 32")
    with pytest.raises(InputError, match=r"cells.0: padding 'sorted' chooses"):
        load('"multi-stream"')
    with pytest.raises(InputError, match="takes rate_per_s or load"):
        load('"server"')


@pytest.mark.slow
def test_cells_of_a_block_have_the_same_arrivals_and_blocks_their_own(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint", "bert")
    write_task(tmp_path, LABELS, rows=20)
    (tmp_path / "study.toml").write_text(
        'name = "s"\ncheckpoint = "checkpoint"\ntask = "task.toml"\nrepeats = 2\naa = false\n'
        'extend = false\nenergy = "none"\n[schedule]\nwarmup_s = 0.0\nduration_s = 0.01\n'
        'scenario = "server"\n'
        'rate_per_s = 2000.0\n[[cells]]\ntarget = "ort"\n[[cells]]\ntarget = "ort"\n'
        'padding = "longest"\n'
    )
    result = run_study(tmp_path / "study.toml", tmp_path / "out")
    assert not result.failures
    first, again, second, _ = (
        row.timing.arrivals for row in sorted(result.measurements, key=lambda row: row.started_at)
    )
    assert first is not None
    assert first.intended_ns == again.intended_ns  # type: ignore[union-attr]
    assert first.seed != second.seed  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"order": []}, "an empty one"),
        ({"due_ns": [0]}, "whole passes of 2"),
        ({"due_ns": [1, 0]}, "never fall"),
        ({"wait": "doze"}, "'spin' or 'block', found 'doze'"),
    ],
)
def test_arrivals_that_cannot_be_kept_are_refused(given: dict[str, Any], message: str) -> None:
    values: dict[str, Any] = {"order": [0, 1], "due_ns": [0, 0], "wait": "spin", **given}
    with pytest.raises(ValueError, match=message):
        serve_queries(NullRunner(2), **values)


@pytest.mark.parametrize("wait", ["spin", "block"])
def test_ctrl_c_ends_a_wait_for_a_query(wait: str) -> None:
    script = (
        "from jouleforge._core import CallableRunner, serve_queries\n"
        "try:\n"
        "    serve_queries(CallableRunner(lambda _: print('ready', flush=True), 1), order=[0],\n"
        f"                  due_ns=[0, 10**15], wait='{wait}')\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGINT)
        try:
            output, _ = child.communicate(timeout=60)
        finally:
            child.kill()
    assert re.fullmatch("interrupted\n", output)
