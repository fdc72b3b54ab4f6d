"""Every interval holds the truth as often as it says: some hundred cases here, all when slow.

The designs are those of bench/interval_coverage.py, whose results are committed.
"""

import json

import pytest
from interval_coverage import HIGHEST, LOWEST, RESULTS, Design, coverage, designs, table

DESIGNS = list(designs())
REQUIRED = [design for design in DESIGNS if design.required]
TRIALS = 400
# What 400 cases of an interval that holds in 93 to 97 of 100 leave room for.
ROOM = 0.02


# The last of each interval: of percentiles, that on the data that ask most of it.
@pytest.mark.parametrize(
    "design",
    {design.interval: design for design in REQUIRED}.values(),
    ids=lambda design: design.interval,
)
def test_interval_holds_the_truth_in_95_of_100_cases(design: Design) -> None:
    found = coverage(design, TRIALS)
    assert found.printed == 1.0
    assert LOWEST - ROOM <= found.coverage <= HIGHEST + ROOM


@pytest.mark.slow
@pytest.mark.parametrize("design", REQUIRED, ids=lambda design: design.name)
def test_interval_holds_the_truth_in_93_to_97_of_100_cases(design: Design) -> None:
    assert LOWEST <= coverage(design, 4000 * design.times).coverage <= HIGHEST


def test_committed_results_are_of_these_designs_and_keep_the_promise() -> None:
    rows = json.loads(RESULTS.read_text())
    assert [(row["interval"], row["data"], row["required"]) for row in rows] == [
        (design.interval, design.data, design.required) for design in DESIGNS
    ]
    promised = [row for row in rows if row["required"]]
    assert all(LOWEST <= row["coverage"] <= HIGHEST for row in promised)
    assert all(row["trials"] >= 4000 for row in promised)


def test_label_within_block_is_earned() -> None:
    (labelled,) = [
        design
        for design in DESIGNS
        if design.interval == "p95, within-block" and "all lengths" in design.data
    ]
    assert not labelled.required
    assert coverage(labelled, TRIALS).coverage < LOWEST


def test_table_shows_every_design() -> None:
    found = [coverage(design, 20) for design in (REQUIRED[0], REQUIRED[-1], DESIGNS[-1])]
    text = table(found)
    assert all(f"| {each.interval} | {each.data} |" in text for each in found)
