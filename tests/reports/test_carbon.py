"""Grams of CO2e in the reports: beside what they rest on, and never of two classes at once."""

import csv
import io
from pathlib import Path

import pytest
from samples import EAGER, EXAMPLES, ORT, measurement, reading, study
from typer.testing import CliRunner

from jouleforge.carbon import Carbon, Embodied, Grid, find_grid
from jouleforge.cli import app
from jouleforge.comparison import Comparison, compare
from jouleforge.measurement import Measurement
from jouleforge.reports import csv as csv_report
from jouleforge.reports import html, markdown
from jouleforge.reports.parts import carbon

NONE = "CO2e not computed: no grid intensity given"
FRANCE = Carbon(find_grid("FRA"))
ESTIMATE = {"source": "codecarbon", "energy_class": "estimated"}


def lines_of(comparison: Comparison) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_report.render(comparison), newline="")))


def cells_of(comparison: Comparison) -> dict[str, list[float | None]]:
    """Return each column's figures in µg."""
    return {
        column.title: [None if cell is None else cell.value * 1e6 for cell in column.cells]
        for column in carbon.columns(comparison)
    }


def with_readings(*joules: tuple[float, dict[str, str]]) -> list[Measurement]:
    """Return one measurement with these joules per example."""
    run = EXAMPLES * 4
    return [measurement(EAGER, readings=[reading(each * run, **what) for each, what in joules])]


def test_without_a_grid_every_report_says_so() -> None:
    found = compare(study())
    assert carbon.columns(found) == []
    assert f"**Carbon**: {NONE}\n" in markdown.render(found)
    assert f"<dt>Carbon</dt><dd>{NONE}</dd>" in html.render(found)
    assert "## Carbon" not in markdown.render(found)
    assert "<h2>Carbon</h2>" not in html.render(found)
    for line in lines_of(found):
        assert line["carbon_reason"] == NONE
        assert line["carbon_per_example_g"] == line["grid_source"] == line["pue"] == ""


def test_grams_are_the_joules_times_the_factor() -> None:
    found = compare([measurement(EAGER, joules_per_example=0.412)], carbon=FRANCE)
    assert cells_of(found) == {"counter, rapl, processor package": [pytest.approx(6.409, rel=1e-3)]}
    assert "| pytorch eager fp32 | 6.41 |\n" in markdown.render(found)
    assert ">6.41</td>" in html.render(found)
    (line,) = lines_of(found)
    assert float(line["carbon_per_example_g"]) == pytest.approx(6.409e-6, rel=1e-3)
    assert line["estimated_carbon_per_example_g"] == line["carbon_reason"] == ""


def test_estimates_stand_in_a_column_of_their_own() -> None:
    found = cells_of(compare(study(), carbon=FRANCE))
    counted = "counter, rapl, processor package"
    estimated = "estimated, codecarbon, processor package"
    assert list(found) == [counted, estimated]
    for one, other in zip(found[counted], found[estimated], strict=True):
        assert one is None or other is None
    assert [cell is not None for cell in found[estimated]] == [False, True, False, False]


def test_figures_of_one_row_are_never_added() -> None:
    found = compare(
        with_readings(
            (1.0, {}),
            (0.25, {"scope": "dram", "device": "dram"}),
            (3.0, {**ESTIMATE, "device": "cpu"}),
            (0.5, {**ESTIMATE, "scope": "dram", "device": "memory"}),
        ),
        carbon=FRANCE,
    )
    per_joule = 56 / 3.6
    assert cells_of(found) == {
        "counter, rapl, processor package": [pytest.approx(1.0 * per_joule)],
        "counter, rapl, memory": [pytest.approx(0.25 * per_joule)],
        "estimated, codecarbon, processor package": [pytest.approx(3.0 * per_joule)],
        "estimated, codecarbon, memory": [pytest.approx(0.5 * per_joule)],
    }
    assert "columns are never added" in markdown.render(found)
    (line,) = lines_of(found)
    assert float(line["carbon_per_example_g"]) == pytest.approx(1e-6 * per_joule)
    assert line["other_carbon_per_example_g"].count("estimated codecarbon") == 2


def test_csv_keeps_the_grams_of_an_estimate_apart() -> None:
    found = compare(with_readings((0.5, {**ESTIMATE, "device": "cpu"})), carbon=FRANCE)
    (line,) = lines_of(found)
    assert line["carbon_per_example_g"] == ""
    assert float(line["estimated_carbon_per_example_g"]) == pytest.approx(0.5e-6 * 56 / 3.6)


def test_pue_scales_the_grams_and_leaves_the_joules() -> None:
    rows = [measurement(EAGER, joules_per_example=1.0)]
    (plain,), (cooled,) = (
        lines_of(compare(rows, carbon=Carbon(FRANCE.grid, pue=pue))) for pue in (1.0, 1.5)
    )
    assert plain["energy_per_example_j"] == cooled["energy_per_example_j"] == "1"
    ratio = float(cooled["carbon_per_example_g"]) / float(plain["carbon_per_example_g"])
    assert ratio == pytest.approx(1.5)
    assert "- **PUE**: 1.5: " in markdown.render(compare(rows, carbon=Carbon(FRANCE.grid, pue=1.5)))


def test_figures_say_what_they_rest_on_and_what_they_are_not() -> None:
    found = compare([measurement(EAGER, joules_per_example=1.0)], carbon=FRANCE)
    page = html.render(found)
    for text in (
        "location-based, 56 g/kWh (FRA France, 2023, life-cycle; Our World in Data",
        "processor package only",
        "not included (the making of the hardware)",
        "SCI-style partial, not a full ISO/IEC 21031 score",
    ):
        assert text in page
        assert text in markdown.render(found)


def test_own_intensity_is_called_the_users_and_not_location_based() -> None:
    grid = Grid(81.5, "a meter of <b>ours</b> | 2026")
    found = compare([measurement(EAGER, joules_per_example=1.0)], carbon=Carbon(grid))
    text = markdown.render(found)
    assert "the user's own intensity, 81.5 g/kWh (life-cycle or direct: not said; a meter" in text
    assert "&lt;b&gt;ours&lt;/b&gt; \\| 2026" in text
    assert "location-based" not in text
    assert "<b>ours" not in html.render(found)


def test_making_of_the_hardware_is_a_column_beside_the_joules() -> None:
    hardware = Embodied(150, 4, "the maker's sheet")
    given = Carbon(FRANCE.grid, embodied=hardware)
    rows = [measurement(EAGER, joules_per_example=1.0, examples_per_s=100)]
    found = compare(rows, carbon=given)
    per_example = 150e9 / (4 * 365.25 * 24 * 3600 * 100)
    assert cells_of(found)["M, embodied, as given"] == [pytest.approx(per_example)]
    (line,), (without,) = lines_of(found), lines_of(compare(rows, carbon=FRANCE))
    assert line["carbon_per_example_g"] == without["carbon_per_example_g"]
    assert float(line["embodied_per_example_g"]) == pytest.approx(per_example * 1e-6)
    assert "150 kg CO2e over 4 years (the maker's sheet)" in markdown.render(found)


def test_grid_gives_no_grams_where_no_joules_are() -> None:
    found = compare([measurement(EAGER), measurement(ORT, examples_per_s=300)], carbon=FRANCE)
    assert carbon.columns(found) == []
    assert "CO2e not computed: no energy was measured" in markdown.render(found)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(f"{row.model_dump_json()}\n" for row in study()))
    return file


def test_compare_prints_grams_only_with_a_grid(rows: Path) -> None:
    runner = CliRunner()
    assert NONE in runner.invoke(app, ["compare", str(rows)]).output
    own = ["--grid-intensity", "81.5", "--grid-source", "ours", "--pue", "2"]
    done = runner.invoke(app, ["compare", str(rows), *own])
    assert done.exit_code == 0, done.output
    assert NONE not in done.output
    assert "81.5 g/kWh" in done.output
    assert "PUE: 2: " in done.output


def test_report_takes_the_same_options_and_refuses_the_same_mistakes(rows: Path) -> None:
    out = rows.parent / "report.md"
    words = ["report", str(rows), "--format", "markdown", "-o", str(out), "--grid", "FRA"]
    hardware = ["--embodied", "150:4", "--embodied-source", "the maker"]
    done = CliRunner().invoke(app, [*words, *hardware])
    assert done.exit_code == 0, done.output
    assert "FRA France, 2023, life-cycle" in out.read_text()
    assert "150 kg CO2e over 4 years" in out.read_text()
    out.unlink()
    refused = CliRunner().invoke(app, [*words, "--pue", "0.5"])
    assert refused.exit_code == 2
    assert "1 or more; found 0.5" in refused.output
    assert not out.exists()
