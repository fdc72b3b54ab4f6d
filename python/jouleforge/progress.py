"""Progress on the terminal: a bar for a person, plain lines for a log."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from jouleforge.studies import Progress as StudyProgress


class _Lines(logging.Handler):
    """Prints what the package logs, one line each."""

    def emit(self, record: logging.LogRecord) -> None:
        print(record.getMessage(), file=sys.stderr, flush=True)


class _Bar(logging.Handler):
    """Shows what the package logs beside a running bar."""

    def __init__(self, bar: Progress) -> None:
        super().__init__()
        self._bar = bar
        self._task = bar.add_task("", total=None)

    def emit(self, record: logging.LogRecord) -> None:
        self._bar.update(self._task, description=record.getMessage())


@contextmanager
def logged_steps() -> Iterator[None]:
    """Show the package's own log beside a bar while the body runs."""
    console = Console(stderr=True)
    if not console.is_terminal:
        with logged_lines():
            yield
        return
    with _steps_bar(console) as bar, _logging_to(_Bar(bar)):
        yield


@contextmanager
def logged_lines() -> Iterator[None]:
    """Show the package's own log as lines while the body runs.

    For measurements, on a terminal too: the thread that redraws a bar would be part of the load.
    """
    with _logging_to(_Lines()):
        yield


@contextmanager
def _logging_to(handler: logging.Handler) -> Iterator[None]:
    log = logging.getLogger("jouleforge")
    level = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


class StudyReporter:
    """Shows how far a study is; use as a context manager."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bar = _study_bar(console) if console.is_terminal else None
        self._task = None if self._bar is None else self._bar.add_task("", total=None)

    def __enter__(self) -> "StudyReporter":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, progress: StudyProgress) -> None:
        """Show one step."""
        left = "" if progress.remaining_s is None else f", about {progress.remaining_s:.0f} s left"
        text = f"{progress.text}{left}"
        if self._bar is not None and self._task is not None:
            self._bar.update(
                self._task, description=text, completed=progress.done, total=progress.total
            )
            self._bar.refresh()
        else:
            print(f"[{progress.done}/{progress.total}] {text}", file=sys.stderr, flush=True)


def _steps_bar(console: Console) -> Progress:
    """Return a bar for steps of unknown number."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console
    )


def _study_bar(console: Console) -> Progress:
    """Return a bar that is drawn between measurements only.

    A thread that redraws it would be a load on the machine that is being measured.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        auto_refresh=False,
    )
