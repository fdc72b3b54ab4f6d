"""The native module: the timed loop, errors that cross into Python, interrupts, and its stub."""

import ast
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jouleforge
from jouleforge import _core
from jouleforge._core import CallableRunner, NullRunner, Runner, run_closed_loop

STUBS = Path(jouleforge.__file__).parent.glob("_core*.pyi")
STUB = [node for stub in STUBS for node in ast.parse(stub.read_text(encoding="utf-8")).body]


def passes_of(runner: Runner, *, order: list[int], min_passes: int) -> _core.Trace:
    return run_closed_loop(runner, order=order, warmup_s=0, duration_s=0, min_passes=min_passes)


def test_the_loop_itself_costs_next_to_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    trace = run_closed_loop(
        NullRunner(1), order=[0] * 1000, warmup_s=0.02, duration_s=0.1, min_passes=1
    )
    median_ns = float(np.median(np.diff(trace.stamps_ns)))
    with capsys.disabled():
        print(f" [null loop: {median_ns:.0f} ns per run]", end="")
    assert median_ns < 100_000  # absurd: a thousand times what it costs


def test_a_trace_holds_one_stamp_more_than_runs_and_only_whole_passes() -> None:
    trace = passes_of(NullRunner(3), order=[2, 0, 1], min_passes=4)
    assert (trace.passes, trace.warmup_runs, trace.complete) == (4, 3, True)
    assert trace.stamps_ns.dtype == np.int64
    assert trace.stamps_ns.shape == (3 * 4 + 1,)
    assert (np.diff(trace.stamps_ns) >= 0).all()
    assert trace.first_start_ns == trace.stamps_ns[0]


def test_stamps_are_a_read_only_view_that_outlives_the_name_of_its_trace() -> None:
    trace = passes_of(NullRunner(1), order=[0], min_passes=2)
    stamps = trace.stamps_ns
    expected = stamps.copy()
    base: object = stamps.base
    assert base is trace
    del trace, base
    np.testing.assert_array_equal(stamps, expected)
    with pytest.raises(ValueError, match="read-only"):
        stamps[0] = 0


def test_batches_run_in_the_order_given_pass_after_pass() -> None:
    seen: list[int] = []
    passes_of(CallableRunner(seen.append, 4), order=[3, 1, 1], min_passes=2)
    assert seen == [3, 1, 1] * 3  # the warm-up is one pass too


def test_an_order_may_be_a_range_or_an_array() -> None:
    for order in (range(2), np.array([1, 0])):
        trace = run_closed_loop(NullRunner(2), order=order, warmup_s=0, duration_s=0, min_passes=1)
        assert len(trace.stamps_ns) == 3


def test_the_hook_runs_once_between_the_warm_up_and_the_first_stamp() -> None:
    events: list[object] = []
    run_closed_loop(
        CallableRunner(events.append, 2),
        order=[0, 1],
        warmup_s=0,
        duration_s=0,
        min_passes=1,
        on_warm=lambda: events.append("warm"),
    )
    assert events == [0, 1, "warm", 0, 1]


def test_an_exception_in_the_hook_ends_the_loop() -> None:
    def broken() -> None:
        raise LookupError("no meter")

    with pytest.raises(LookupError, match="no meter"):
        run_closed_loop(
            NullRunner(1), order=[0], warmup_s=0, duration_s=60, min_passes=1, on_warm=broken
        )


def test_an_exception_in_a_step_passes_through_the_loop() -> None:
    def step(batch: int) -> None:
        raise LookupError(f"batch {batch}")

    with pytest.raises(LookupError, match="batch 1"):
        passes_of(CallableRunner(step, 2), order=[1], min_passes=1)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"order": []}, "an empty one"),
        ({"order": [2]}, "names batch 2, but the runner holds 2"),
        ({"order": [-1]}, "names batch -1"),
        ({"min_passes": 0}, "min_passes of at least 1"),
        ({"warmup_s": -1.0}, "expected warmup_s from 0"),
        ({"duration_s": float("nan")}, "expected duration_s from 0"),
        ({"min_passes": 2**62}, "too large"),
    ],
)
def test_a_schedule_that_cannot_run_is_refused(schedule: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"order": [0], "warmup_s": 0.0, "duration_s": 0.0, "min_passes": 1}
    given |= schedule
    with pytest.raises(ValueError, match=message):
        run_closed_loop(NullRunner(2), **given)


@pytest.mark.parametrize("make", [NullRunner, lambda n: CallableRunner(print, n)])
def test_a_runner_refuses_a_batch_that_it_does_not_hold(make: Callable[[int], Runner]) -> None:
    assert make(2).batches == 2
    with pytest.raises(IndexError, match="no batch 2: the runner holds 2"):
        make(2).run(2)
    with pytest.raises(ValueError, match="at least one batch"):
        make(0)


def test_other_threads_run_while_a_loop_is_timed() -> None:
    done = threading.Event()
    stamps: list[int] = []

    def loop() -> None:
        trace = run_closed_loop(
            NullRunner(1), order=[0] * 100, warmup_s=0.05, duration_s=0.2, min_passes=1
        )
        stamps.extend(trace.stamps_ns[[0, -1]].tolist())
        done.set()

    thread = threading.Thread(target=loop)
    thread.start()
    turns = 0
    while not done.wait(0.005):
        turns += 1
    thread.join()
    assert turns > 5  # with the GIL held throughout it would be 0
    assert stamps[1] > stamps[0]


INTERRUPTED = """
import signal, sys, threading, time
from jouleforge._core import CallableRunner, NullRunner, run_closed_loop

said = []

def warming(_):
    if not said:
        said.append(print("ready", flush=True))

def forever():
    run_closed_loop(
        CallableRunner(warming, 1) if {warmup_s} else NullRunner(1),
        order=[0], warmup_s={warmup_s}, duration_s=1e6, min_passes=10,
        on_warm=lambda: print("ready", flush=True),
    )

def end(number, frame):
    raise SystemExit(7)

signal.signal(signal.SIGTERM, end)
try:
    {call}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def interrupt(call: str, number: signal.Signals, *, warmup_s: float = 0.0) -> tuple[str, int]:
    """Run a loop of many days in a child, send it a signal, and return its output and status."""
    script = INTERRUPTED.format(call=call, warmup_s=warmup_s)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(number)
        try:
            output, _ = child.communicate(timeout=60)
        finally:
            child.kill()
        return output, child.returncode


def test_ctrl_c_ends_a_loop_with_keyboard_interrupt() -> None:
    assert interrupt("forever()", signal.SIGINT) == ("interrupted\n", 0)


def test_ctrl_c_ends_a_warm_up_too() -> None:
    assert interrupt("forever()", signal.SIGINT, warmup_s=1e6) == ("interrupted\n", 0)


def test_a_python_handler_of_sigterm_gets_its_way() -> None:
    assert interrupt("forever()", signal.SIGTERM) == ("", 7)


def test_ctrl_c_ends_a_loop_in_another_thread_and_reaches_the_main_one() -> None:
    call = "threading.Thread(target=forever).start(); time.sleep(60)"
    output, status = interrupt(call, signal.SIGINT)
    assert (output, status) == ("interrupted\n", 0)


def public(names: list[str]) -> set[str]:
    return {name for name in names if not name.startswith("_")}


def stub_names(body: list[ast.stmt]) -> set[str]:
    definitions = (ast.ClassDef, ast.FunctionDef)
    return public([node.name for node in body if isinstance(node, definitions)])


def test_the_stub_names_what_the_module_holds() -> None:
    assert stub_names(STUB) == public(dir(_core))


def test_the_stub_names_what_each_class_holds() -> None:
    for node in STUB:
        if isinstance(node, ast.ClassDef):
            bound = vars(getattr(_core, node.name))
            assert stub_names(node.body) == public(list(bound)), node.name
