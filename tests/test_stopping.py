"""How often a study measures: the stop rule, blocks that are added, and studies that are quick."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from checkpoints import save_checkpoint
from samples import EAGER, ORT, measurement
from tasks import write_task

from jouleforge import studies
from jouleforge.caveats import Caveat
from jouleforge.comparison import compare
from jouleforge.measurement import Block, Measurement, read_measurements
from jouleforge.reports import csv, html, markdown
from jouleforge.schedule import Schedule
from jouleforge.stopping import is_precise
from jouleforge.studies import run_study
from jouleforge.study_file import Cell, Study
from jouleforge.terminal import print_comparison

NARROW = [100.0, 100.1, 99.9, 100.05, 99.95]
WIDE = [100.0, 103.0, 97.0, 101.0, 99.0]


def rows(
    rates: Sequence[float],
    cell: str = "one",
    *,
    joules: Sequence[float | None] = (),
    most: int | None = 40,
) -> list[Measurement]:
    """Return the rows of one cell of a study that planned three blocks."""
    recipe = EAGER if cell == "one" else ORT
    found = []
    for repeat, rate in enumerate(rates):
        row = measurement(
            recipe, repeat=repeat, examples_per_s=rate,
            joules_per_example=joules[repeat] if joules else None,
        )  # fmt: skip
        block = Block(cell=cell, repeat=repeat, position=0, planned=3, most=most)
        found.append(row.model_copy(update={"block": block}))
    return found


def test_every_cell_has_to_be_precise() -> None:
    assert is_precise(rows(NARROW), fewest=5)
    assert is_precise(rows(NARROW) + rows(NARROW, "other"), fewest=5)
    assert not is_precise(rows(NARROW) + rows(WIDE, "other"), fewest=5)


def test_counted_joules_decide_where_there_are_any() -> None:
    assert not is_precise(rows(NARROW, joules=[rate / 100 for rate in WIDE]), fewest=5)
    assert is_precise(rows(WIDE, joules=[rate / 100 for rate in NARROW]), fewest=5)


def test_rejected_windows_do_not_count_as_measured() -> None:
    joules = [1.0, 1.001, None, 0.999, 1.0]
    assert not is_precise(rows(WIDE, joules=joules), fewest=5)
    assert is_precise(rows([*WIDE, 100.0], joules=[*joules, 1.0]), fewest=5)


def test_twin_of_the_baseline_is_not_waited_for() -> None:
    twins = [
        row.model_copy(update={"block": row.block and row.block.model_copy(update={"twin": True})})
        for row in rows(WIDE)
    ]
    assert is_precise(rows(NARROW) + twins, fewest=5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a study of one cell that may go on from two blocks to four."""
    save_checkpoint(tmp_path / "checkpoint", "bert")
    write_task(tmp_path, ("LABEL_0", "LABEL_1", "LABEL_2"), rows=40)
    (tmp_path / "study.toml").write_text(
        """
        name = "toy"
        checkpoint = "checkpoint"
        task = "task.toml"
        repeats = 2
        max_repeats = 4
        energy = "none"
        schedule = { warmup_s = 0.0, duration_s = 0.01 }
        [[cells]]
        target = "ort"
        """
    )
    return tmp_path


def blocks(found: Sequence[Measurement]) -> list[int]:
    return [row.block.repeat for row in found if row.block]


def test_blocks_are_added_until_the_rule_is_content(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def content(found: Sequence[Measurement], *, fewest: int) -> bool:
        assert fewest == 2
        asked.append(len(found))
        return len(found) >= 3

    monkeypatch.setattr(studies, "is_precise", content)
    said: list[str] = []
    result = run_study(
        folder / "study.toml", folder / "out", on_progress=lambda p: said.append(p.text)
    )
    assert blocks(result.measurements) == [0, 1, 2]
    assert asked == [2, 3]
    assert [text for text in said if "(added)" in text] == ["block 3 (added): ort fp32, sorted"]
    assert {(row.block.planned, row.block.most) for row in result.measurements if row.block} == {
        (2, 4)
    }
    said.clear()
    again = run_study(
        folder / "study.toml", folder / "out", on_progress=lambda p: said.append(p.text)
    )
    assert said == ["done"]
    assert again.measurements == result.measurements
    file = folder / "study.toml"
    file.write_text(file.read_text().replace("max_repeats = 4", "extend = false"))
    assert run_study(file, folder / "out").measurements == result.measurements, "none is lost"


def test_study_that_is_killed_in_an_added_block_goes_on_to_whole_rows(folder: Path) -> None:
    command = [sys.executable, "-m", "jouleforge", "study", "study.toml", "-o", "out"]
    results = folder / "out" / "results.jsonl"
    child = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while child.poll() is None:
        if results.exists() and len(results.read_text().splitlines()) > 2:
            os.kill(child.pid, signal.SIGKILL)
        time.sleep(0.01)
    before = read_measurements(results)
    assert blocks(before) == list(range(len(before)))
    # Two, three or four windows of a hundredth of a second never agree to 1 %.
    result = run_study(folder / "study.toml", folder / "out")
    assert blocks(result.measurements) == [0, 1, 2, 3]
    assert result.measurements[: len(before)] == before


def test_quick_study_is_short_and_says_so_in_every_output(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run_study(folder / "study.toml", folder / "out", quick=True)
    assert blocks(result.measurements) == [0, 1], "it adds no blocks"
    assert all(Caveat.QUICK in row.caveats for row in result.measurements)
    found = compare(result.measurements)
    print_comparison(found)
    shown = " ".join(capsys.readouterr().out.split())
    for text in (markdown.render(found), html.render(found), shown):
        assert Caveat.QUICK.text in text
    assert "quick" in csv.render(found)


def test_quick_study_has_five_blocks_and_short_windows() -> None:
    study = Study(
        name="s", checkpoint="c", task="t", quick=True, cells=(Cell(target="ort"),),
        schedule=Schedule(duration_s=30, idle_s=1),
    )  # fmt: skip
    quick = study.quickened()
    assert (quick.repeats, quick.extend) == (5, False)
    assert (quick.schedule.duration_s, quick.schedule.idle_s) == (3, 1)
    slow = study.model_copy(update={"quick": False})
    assert slow.quickened() is slow


@pytest.mark.parametrize(
    ("most", "count", "said"),
    [
        (40, 5, "n = 5: 3 blocks planned, 2 added, of at most 40 in all"),
        (40, 3, "n = 3: 3 blocks planned, none added, of at most 40 in all"),
        (None, 3, "n = 3: 3 blocks planned, none were to be added"),
    ],
)
def test_report_says_how_often_was_measured_and_what_that_reached(
    most: int | None, count: int, said: str
) -> None:
    found = compare(rows(NARROW[:count], most=most))
    text = markdown.render(found)
    assert said in text
    assert "95 % half-width 0." in text
    assert not any("half-width" in note.text for note in found.notes)
    wide = compare(rows(NARROW[:count], most=most) + rows(WIDE[:count], "other", most=most))
    (note,) = [note for note in wide.notes if "half-width" in note.text]
    assert note.rows == (wide.rows[1].label,)


@pytest.mark.parametrize(("bad", "refused"), [(2, False), (3, True)])
def test_energy_is_refused_where_over_a_fifth_of_the_windows_were_rejected(
    bad: int, refused: bool
) -> None:
    joules = [None] * bad + [0.5] * (10 - bad)
    found = compare(rows([100.0] * 10, joules=joules))
    row = found.baseline
    assert row.examples_per_s.value == pytest.approx(100), "times stay"
    if refused:
        assert row.energy is None
        assert row.energy_reason == (
            "E_WINDOWS_REJECTED: rapl rejected 3 of 10 windows (limit 20 %): E_RAPL_ABSENT 3"
        )
        assert row.energy_reason in markdown.render(found).replace("\\", "")
    else:
        assert row.energy is not None
        assert row.energy.per_example_j.value == pytest.approx(0.5)
        assert "2 of 10 windows rejected (E_RAPL_ABSENT 2)" in html.render(found)
