"""Markdown and CSV against checked-in text; run this file as a script to write that anew."""

import csv
import io
import re
from pathlib import Path

import pytest
from samples import EAGER, measurement, repeats, study

from jouleforge import variants
from jouleforge.comparison import compare
from jouleforge.reports import Report, markdown
from jouleforge.reports import csv as csv_report

GOLDEN = Path(__file__).parent / "golden"
FORMATS = {"markdown": "study.md", "csv": "study.csv"}


def rendered(form: str) -> str:
    report: Report = variants.load("jouleforge.reports", form)
    return report.render(compare(study()))


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_report_is_the_checked_in_text(form: str) -> None:
    assert rendered(form).encode() == (GOLDEN / FORMATS[form]).read_bytes()


def test_every_module_of_the_package_is_a_format() -> None:
    assert variants.names("jouleforge.reports") == ["csv", "html", "markdown"]
    for name in variants.names("jouleforge.reports"):
        assert callable(variants.load("jouleforge.reports", name).render)


def test_csv_can_be_read_back_with_its_numbers() -> None:
    found = compare(study())
    lines = list(csv.DictReader(io.StringIO(rendered("csv"), newline="")))
    assert [line["label"] for line in lines] == [row.label for row in found.rows]
    for line, row in zip(lines, found.rows, strict=True):
        assert float(line["examples_per_s"]) == pytest.approx(row.examples_per_s.value)
        assert float(line["speed_ratio"]) == pytest.approx(row.speed_ratio.value)


def test_csv_field_is_empty_where_there_is_no_number() -> None:
    text = csv_report.render(compare([measurement(EAGER)]))
    (line,) = csv.DictReader(io.StringIO(text, newline=""))
    assert line["energy_per_example_j"] == line["latency_p99_s"] == line["mcnemar_p"] == ""
    assert line["energy_class"] == "unavailable"


def test_csv_keeps_line_breaks_and_quotes_inside_their_field() -> None:
    text = csv_report.render(compare([measurement(EAGER, engine_name='a "b",\nc')]))
    (line,) = csv.DictReader(io.StringIO(text, newline=""))
    assert line["engine"] == 'a "b",\nc'


def test_markdown_table_is_part_of_the_report() -> None:
    assert markdown.table(compare(study())) in rendered("markdown")


def test_markdown_rows_have_as_many_cells_as_the_head() -> None:
    found = compare(repeats([100, 101], EAGER, engine_name="a|b\n<script>[x](y)"))
    lines = markdown.table(found).splitlines()
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert "a\\|b &lt;script&gt;[x]\\(y)" in lines[2]


if __name__ == "__main__":
    for form, name in FORMATS.items():
        (GOLDEN / name).write_bytes(rendered(form).encode())
