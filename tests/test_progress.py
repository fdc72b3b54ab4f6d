"""Progress: plain lines where no person watches, a bar where one does."""

import logging

import pytest
from rich.console import Console

from jouleforge import progress
from jouleforge.progress import StudyReporter, logged_lines, logged_steps
from jouleforge.studies import Progress


def test_log_becomes_plain_lines_outside_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("jouleforge.anything")
    with logged_steps():
        log.info("first")
    with logged_lines():
        log.info("second")
    log.info("not shown")
    assert capsys.readouterr().err == "first\nsecond\n"


def test_study_tells_how_far_it_is_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    with StudyReporter() as tell:
        tell(Progress(1, 4, "block 1: it", 30.0))
        tell(Progress(4, 4, "done", None))
    assert capsys.readouterr().err == "[1/4] block 1: it, about 30 s left\n[4/4] done\n"


def test_terminal_gets_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        progress, "Console", lambda **_: Console(stderr=True, force_terminal=True, width=90)
    )
    with StudyReporter() as tell:
        tell(Progress(1, 4, "block 1: it", 30.0))
    with logged_steps():
        logging.getLogger("jouleforge.anything").info("exporting")
    shown = capsys.readouterr().err
    assert "1/4" in shown
    assert "block 1: it" in shown
    assert "exporting" in shown
