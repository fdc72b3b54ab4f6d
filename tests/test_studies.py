"""Studies: interleaved, in fresh processes, and whole whenever they are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from checkpoints import save_checkpoint
from tasks import write_task

from jouleforge.converters import convert
from jouleforge.errors import InputError
from jouleforge.measurement import read_measurements
from jouleforge.plan import steps
from jouleforge.recipe import Recipe
from jouleforge.studies import run_study
from jouleforge.study_file import Cell, Study

LABELS = ("LABEL_0", "LABEL_1", "LABEL_2")
STUDY = """
name = "toy"
checkpoint = "checkpoint"
task = "task.toml"
repeats = 2
aa = false
extend = false
energy = "none"
schedule = { warmup_s = 0.0, duration_s = 0.01 }
[[cells]]
target = "ort"
[[cells]]
target = "ort"
padding = "static:32"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a study, its task and its checkpoint."""
    save_checkpoint(tmp_path / "checkpoint", "bert")
    write_task(tmp_path, LABELS, rows=40)
    (tmp_path / "study.toml").write_text(STUDY)
    return tmp_path


def keys(path: Path) -> list[tuple[str, int]]:
    rows = read_measurements(path)
    return [(row.block.cell, row.block.repeat) for row in rows if row.block]


def test_every_cell_is_measured_once_in_every_block(folder: Path) -> None:
    said: list[str] = []
    result = run_study(
        folder / "study.toml", folder / "out", on_progress=lambda p: said.append(p.text)
    )
    found = keys(result.path)
    assert len(set(found)) == len(found) == 4
    assert Counter(repeat for _, repeat in found) == {0: 2, 1: 2}
    assert not result.failures
    assert sum("converting" in text for text in said) == 1, "cells of one recipe share an engine"
    assert said[-1] == "done"


def test_baseline_is_measured_twice_in_every_block_unless_that_is_refused(folder: Path) -> None:
    (folder / "study.toml").write_text(STUDY.replace("aa = false\n", ""))
    said: list[str] = []
    result = run_study(
        folder / "study.toml", folder / "out", on_progress=lambda p: said.append(p.text)
    )
    blocks = [row.block for row in result.measurements if row.block]
    twins = [block for block in blocks if block.twin]
    assert [block.repeat for block in twins] == [0, 1]
    assert len(blocks) == 6
    assert {block.cell for block in twins} < {block.cell for block in blocks}
    assert sum("again (A/A)" in text for text in said) == 2
    assert run_study(folder / "study.toml", folder / "out").measurements == result.measurements


@pytest.mark.parametrize(
    ("cells", "twin"),
    [
        ((Cell(target="ort"), Cell(target="pytorch", attention="eager")), 1),
        ((Cell(target="ort"), Cell(target="pytorch", attention="sdpa")), 0),
        ((Cell(target="ort"),), None),
    ],
)
def test_cell_that_is_measured_twice_is_the_baseline(
    cells: tuple[Cell, ...], twin: int | None
) -> None:
    study = Study(name="s", checkpoint="c", task="t", cells=cells)
    assert study.twin == (None if twin is None else cells[twin])
    assert study.model_copy(update={"aa": False}).twin is None


def test_study_that_ran_is_not_run_again(folder: Path) -> None:
    first = run_study(folder / "study.toml", folder / "out")
    text = first.path.read_text()
    said: list[str] = []
    again = run_study(
        folder / "study.toml", folder / "out", on_progress=lambda p: said.append(p.text)
    )
    assert said == ["done"]
    assert again.path.read_text() == text


def test_killed_study_goes_on_to_the_same_rows(folder: Path) -> None:
    command = [sys.executable, "-m", "jouleforge", "study", "study.toml", "-o", "out"]
    (folder / "out" / "engines" / ".ort.left").mkdir(parents=True)
    results = folder / "out" / "results.jsonl"
    # Killed in the conversion, in the first measurement, and once more when a row stands.
    for rows in (-1, 0, 1):
        child = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        engines = folder / "out" / "engines"
        while child.poll() is None:
            converted = engines.is_dir() and any(p.name[0] != "." for p in engines.iterdir())
            done = len(results.read_text().splitlines()) if results.exists() else 0
            if (rows == -1 and results.exists()) or (rows >= 0 and converted and done >= rows):
                break
            time.sleep(0.01)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        if results.exists() and results.stat().st_size:
            read_measurements(results)
    result = run_study(folder / "study.toml", folder / "out")
    found = keys(result.path)
    assert len(found) == len(set(found)) == 4
    assert {repeat for _, repeat in found} == {0, 1}
    assert not list((folder / "out" / "engines").glob(".*"))


def test_killing_a_study_ends_the_measurement_it_started(folder: Path) -> None:
    (folder / "study.toml").write_text(STUDY.replace("0.01", "600.0"))
    command = [sys.executable, "-m", "jouleforge", "study", "study.toml", "-o", "out"]
    child = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    job = folder / "out" / "job.json"
    while not (job.exists() and '"measure"' in job.read_text()):
        assert child.poll() is None
        time.sleep(0.01)
    (grandchild,) = _children(child.pid)
    child.kill()
    child.wait()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{grandchild}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{grandchild}").exists()


def test_interrupted_study_says_so_and_keeps_its_rows(folder: Path) -> None:
    (folder / "study.toml").write_text(STUDY.replace("0.01", "600.0"))
    command = [sys.executable, "-m", "jouleforge", "study", "study.toml", "-o", "out"]
    child = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, start_new_session=True)
    job = folder / "out" / "job.json"
    while not (job.exists() and '"measure"' in job.read_text()):
        assert child.poll() is None
        time.sleep(0.01)
    time.sleep(0.5)
    os.killpg(child.pid, signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 130
    assert b"interrupted" in errors


def test_failed_cell_is_named_and_the_others_go_on(folder: Path) -> None:
    (folder / "study.toml").write_text(
        STUDY + '[[cells]]\ntarget = "pytorch"\nprecision = "int8-dynamic"\n'
    )
    result = run_study(folder / "study.toml", folder / "out")
    assert len(result.measurements) == 4
    (failure,) = result.failures
    assert "offers fp32" in failure.reason
    assert failure.exit_code == 2
    listed = json.loads((folder / "out" / "failures.jsonl").read_text())
    assert listed["reason"] == failure.reason


def test_order_of_blocks_is_random_and_that_of_the_seed() -> None:
    cells = tuple(Cell(target="ort", padding=f"static:{n}") for n in range(1, 9))
    study = Study(name="s", checkpoint="c", task="t", repeats=20, cells=cells, aa=False)

    def plan(study: Study, blocks: int = 20) -> list[tuple[str, int]]:
        return [(s.cell.padding, s.repeat) for s in steps(study, blocks, lambda cell: cell.padding)]

    orders = {
        repeat: tuple(padding for padding, block in plan(study) if block == repeat)
        for repeat in range(20)
    }
    assert len(set(orders.values())) > 15
    assert plan(study) == plan(study)
    assert plan(study, blocks=30)[: 20 * 8] == plan(study), "more blocks change none before"
    assert plan(study) != plan(study.model_copy(update={"seed": 1}))


def _with_engine(folder: Path, engine: str) -> Path:
    file = folder / "study.toml"
    file.write_text(STUDY + f'[[cells]]\nengine = "{engine}"\npadding = "longest"\n')
    return file


def test_engine_that_was_made_before_is_measured_beside_those_of_recipes(folder: Path) -> None:
    made = convert(folder / "checkpoint", Recipe(target="pytorch"), folder / "made" / "e")
    result = run_study(_with_engine(folder, "made/e"), folder / "out")
    assert not result.failures
    rows = [row for row in result.measurements if row.workload.padding == "longest"]
    assert [row.engine.digest for row in rows] == [made.digest] * 2
    assert len(result.measurements) == 6
    moved = folder.rename(folder.parent / "moved")
    said: list[str] = []
    run_study(moved / "study.toml", moved / "out", on_progress=lambda p: said.append(p.text))
    assert said == ["done"], "an engine is known by its content, wherever it lies"


def test_engine_of_another_checkpoint_is_refused(folder: Path) -> None:
    save_checkpoint(folder / "other", "distilbert")
    convert(folder / "other", Recipe(target="pytorch"), folder / "made")
    with pytest.raises(InputError, match=r"made of other, not of the study's checkpoint"):
        run_study(_with_engine(folder, "made"), folder / "out")


def test_folder_of_another_study_is_refused(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "study.json").write_text("{}")
    with pytest.raises(InputError, match="results of another study"):
        run_study(folder / "study.toml", folder / "out")


def test_two_studies_cannot_share_a_folder_at_once(folder: Path) -> None:
    import fcntl

    (folder / "out").mkdir()
    with (folder / "out" / "study.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another study is running"):
            run_study(folder / "study.toml", folder / "out")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"checkpoint"', '"../checkpoint"'), r"leaves the study's folder"),
        (('"task.toml"', '"/etc/task.toml"'), r"leaves the study's folder"),
        (("repeats = 2", "repeats = 0"), "repeats"),
        (("extend = false", "max_repeats = 1"), r"max_repeats \(1\) is below repeats \(2\)"),
        (("repeats = 2", "repeat = 2"), "unknown key 'repeat'; allowed there: .*repeats"),
        (('padding = "static:32"', ""), "stands twice"),
        (('target = "ort"\npadding', 'precison = "fp32"\npadding'), "precison"),
        (("[[cells]]", "[[cells"), "not a TOML file"),
        (('target = "ort"\npadding', 'engine = "../e"\npadding'), r"leaves the study's folder"),
        (
            ('target = "ort"\npadding', 'engine = "e"\nprecision = "fp32"\npadding'),
            r"unknown key 'cells.1.precision'; allowed there: batch_size, engine, padding$",
        ),
    ],
)
def test_mistake_in_a_study_names_the_file_and_the_key(
    folder: Path, change: tuple[str, str], message: str
) -> None:
    (folder / "study.toml").write_text(STUDY.replace(*change))
    with pytest.raises(InputError, match=message) as caught:
        Study.load(folder / "study.toml")
    assert "study.toml" in str(caught.value)


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]
