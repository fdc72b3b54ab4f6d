"""A measurement killed within a GPU's window leaves no process, no thread and no half row."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from checkpoints import save_checkpoint
from tasks import write_task

from jouleforge.measurement import read_measurements

STUDY = """
name = "killed"
checkpoint = "checkpoint"
task = "task.toml"
repeats = 2
aa = false
energy = "nvml"
extend = false
schedule = { warmup_s = 0.0, duration_s = 2.5, idle_s = 0.0 }
[[cells]]
target = "ort"
"""

# Read by every Python that starts: the fake driver counts, and a process says when it meters.
SITE = """
import ctypes, os, pathlib, threading, time
fake = ctypes.CDLL("libnvidia-ml.so.1")
fake.fake_set_steady.argtypes = [ctypes.c_uint, ctypes.c_double, ctypes.c_longlong]
fake.fake_reads.restype = ctypes.c_ulonglong
for gpu in range(2):
    fake.fake_set_steady(gpu, 250.0, 20_000_000)
def watch():
    while fake.fake_reads(0) < 50:
        time.sleep(0.01)
    pathlib.Path(os.environ["METERING"], str(os.getpid())).touch()
threading.Thread(target=watch, daemon=True).start()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "checkpoint", "bert")
    write_task(tmp_path, ("LABEL_0", "LABEL_1", "LABEL_2"), rows=40)
    (tmp_path / "study.toml").write_text(STUDY)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SITE)
    (tmp_path / "metering").mkdir()
    return tmp_path


def start(folder: Path, library: Path) -> "subprocess.Popen[bytes]":
    """Start the study, or go on with it, in a session of its own."""
    environ = {
        "LD_LIBRARY_PATH": str(library.parent),
        "PYTHONPATH": str(folder / "site"),
        "METERING": str(folder / "metering"),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "jouleforge", "study", "study.toml", "-o", "out"],
        cwd=folder, env=os.environ | environ, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[bytes] | None") -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process is None or process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("ends_by", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_of_a_killed_window_and_the_study_goes_on(
    folder: Path, nvml_library: Path, ends_by: signal.Signals
) -> None:
    rows = folder / "out" / "rows"
    study = start(folder, nvml_library)
    # The first measurement is kept, the second one is killed while its meter reads.
    wait_for(lambda: len(list((folder / "metering").iterdir())) == 2, study)
    (first,) = rows.iterdir()
    before = first.read_bytes()
    *_, job = sorted((folder / "metering").iterdir(), key=lambda mark: mark.stat().st_mtime)
    threads = len(list(Path(f"/proc/{job.name}/task").iterdir()))
    assert threads >= 3, "the loop's and one for each GPU"
    if ends_by == signal.SIGINT:
        os.killpg(study.pid, ends_by)  # as a terminal does
    else:
        study.kill()
    _, errors = study.communicate(timeout=60)
    assert study.returncode == (130 if ends_by == signal.SIGINT else -signal.SIGKILL), errors
    wait_for(lambda: not Path(f"/proc/{job.name}").exists(), None)
    assert list(rows.iterdir()) == [first]
    assert len(read_measurements(folder / "out" / "results.jsonl")) == 1

    again = start(folder, nvml_library)
    _, errors = again.communicate(timeout=120)
    assert again.returncode == 0, errors
    assert len(list(rows.iterdir())) == 2
    assert first.read_bytes() == before
    for row in read_measurements(folder / "out" / "results.jsonl"):
        assert len(row.energy) == 2
        for reading in row.energy:
            assert reading.joules or (reading.reason or "").startswith(("E_EDGE", "E_BATCH"))
