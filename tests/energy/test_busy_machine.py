"""The meter in real time on a machine that has no time for it: a number is right, or none."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

METERED = Path(__file__).parents[1] / "metered.py"
ROUNDS = 5


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """So many processes that do nothing but work."""
    command = [sys.executable, "-c", "while True: pass"]
    hogs = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def start(library: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, str(METERED), str(library), str(ROUNDS)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def check(process: "subprocess.Popen[str]") -> None:
    """Every window was right, or gave the code of an edge and no number."""
    text, _ = process.communicate()
    assert process.returncode == 0
    windows = [json.loads(line) for line in text.splitlines()]
    assert len(windows) == 2 * ROUNDS
    accepted = [window for window in windows if window["joules"] is not None]
    errors = [window["joules"] / window["truth"] - 1 for window in accepted]
    assert accepted, windows
    assert max(map(abs, errors)) < 0.005, errors
    for window in windows:
        if window["joules"] is None:
            assert window["reason"].startswith(("E_EDGE_WIDE", "E_EDGE_LOST", "E_WINDOW")), window


@pytest.mark.slow
def test_windows_are_right_or_refused_while_every_core_is_busy(nvml_library: Path) -> None:
    with busy_processes(len(os.sched_getaffinity(0))):
        check(start(nvml_library))


@pytest.mark.slow
def test_windows_are_right_or_refused_while_the_meter_is_stopped_again_and_again(
    nvml_library: Path,
) -> None:
    pauses = random.Random(0)
    process = start(nvml_library)
    while process.poll() is None:
        time.sleep(0.05 + 0.2 * pauses.random())
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.03)
        process.send_signal(signal.SIGCONT)
    check(process)
