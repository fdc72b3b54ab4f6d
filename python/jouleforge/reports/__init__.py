"""Reports: each module here writes a comparison in one format; its name is the format's.

A module defines `render(comparison) -> str`.
"""

from pathlib import Path
from typing import Protocol

from jouleforge import variants
from jouleforge.comparison import Comparison
from jouleforge.errors import InputError, MissingError
from jouleforge.files import write_atomic


class Report(Protocol):
    """One format of a report."""

    def render(self, comparison: Comparison) -> str:
        """Return the whole report as text."""
        ...


def write_report(comparison: Comparison, format: str, path: str | Path) -> None:
    """Write a comparison to a file, which is whole or not touched at all.

    Args:
        comparison: What to report.
        format: Name of a module here: html, markdown, csv.
        path: The file; its folder must exist.

    Raises:
        InputError: There is no such format, or the file cannot be written.
        MissingError: The format needs a package that is not installed.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder; give the name of a file in it")
    try:
        report: Report = variants.load("jouleforge.reports", format)
    except ModuleNotFoundError as error:
        raise MissingError(
            f"the {format} report needs {error.name}: pip install 'jouleforge[report]'"
        ) from error
    write_atomic(path, report.render(comparison))
