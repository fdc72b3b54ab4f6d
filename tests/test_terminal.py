"""The terminal's table: within 100 columns, and nothing in it is taken for markup."""

import io

import pytest
from rich.console import Console
from samples import EAGER, INT8, ORT, measurement, repeats, study

from jouleforge.comparison import Comparison, compare
from jouleforge.terminal import print_comparison, to_rich_table


def lines(comparison: Comparison, width: int = 100) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width).print(to_rich_table(comparison))
    return stream.getvalue().splitlines()


def test_table_fits_in_100_columns_and_cuts_nothing_off() -> None:
    found = compare(
        repeats([12345, 12400], EAGER, padding="bucket:16,32,48,64,96,128", joules_per_example=0.04)
        + repeats([23456, 23500], INT8, checkpoint="a-checkpoint/with-a-long-name", batch_size=128)
    )
    table = lines(found)
    assert max(len(line) for line in table) <= 100
    assert "…" not in "".join(table)
    assert "0.0400" in "".join(table)


def test_table_has_every_row_and_its_ratio() -> None:
    found = compare(study())
    text = "\n".join(lines(found))
    for row in found.rows:
        assert row.first.engine.recipe.target in text
    assert "4.14 [" in text
    assert "~0.0500" not in text


def test_markup_in_a_name_is_shown_as_it_is() -> None:
    text = "\n".join(lines(compare([measurement(EAGER, engine_name="[red]x[/red]")])))
    assert "[red]x[/red]" in text


def test_summary_and_caveats_stand_beside_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_comparison(compare(study()))
    text = capsys.readouterr().out
    assert "times as many examples per second" in " ".join(text.split())
    assert "! Joules marked 'estimated'" in text
    assert "Something | to <b>know</b>" in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_equal_answers_are_100_percent_only_if_none_differs() -> None:
    rows = [
        measurement(EAGER, examples=5000, wrong=[]),
        measurement(ORT, examples=5000, wrong=[3]),
    ]
    text = "\n".join(lines(compare(rows)))
    assert "99.9 %" in text
    assert text.count("100 %") == 1
