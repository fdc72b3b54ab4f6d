"""Writing a report: whole or not at all, with an error that says what to do."""

import sys
from pathlib import Path

import pytest
from samples import study

from jouleforge.comparison import compare
from jouleforge.errors import InputError, MissingError
from jouleforge.reports import markdown, write_report


def test_report_is_what_the_format_renders(tmp_path: Path) -> None:
    found = compare(study())
    write_report(found, "markdown", tmp_path / "report.md")
    assert (tmp_path / "report.md").read_text() == markdown.render(found)
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]


def test_unknown_format_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="csv, html, markdown"):
        write_report(compare(study()), "pdf", tmp_path / "report.pdf")


def test_folder_must_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        write_report(compare(study()), "csv", tmp_path / "nowhere" / "report.csv")


def test_file_must_be_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it is a folder"):
        write_report(compare(study()), "csv", tmp_path)


def test_old_report_stays_whole_if_the_new_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> str:
        raise RuntimeError("half way")

    path = tmp_path / "report.md"
    path.write_text("old")
    monkeypatch.setattr(markdown, "render", fail)
    with pytest.raises(RuntimeError):
        write_report(compare(study()), "markdown", path)
    assert path.read_text() == "old"


def test_missing_package_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.delitem(sys.modules, "jouleforge.reports.html", raising=False)
    with pytest.raises(MissingError, match=r"jinja2.*pip install 'jouleforge\[report\]'"):
        write_report(compare(study()), "html", tmp_path / "report.html")
