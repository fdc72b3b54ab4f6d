"""The benchmark beside MLPerf LoadGen: both ask every query, and the committed results agree."""

import json
import time

import pytest

from jouleforge._core import CallableRunner

pytest.importorskip("mlperf_loadgen", reason="needs the package mlcommons-loadgen")

import loadgen


@pytest.mark.parametrize("by", sorted(loadgen.WAYS))
@pytest.mark.parametrize("scenario", loadgen.SCENARIOS)
def test_both_ways_ask_every_query_and_time_all_of_it(by: str, scenario: str) -> None:
    asked: list[int] = []

    def step(query: int) -> None:
        asked.append(query)
        time.sleep(0.001)

    drawn = loadgen.draw(scenario, 40, 200.0, 1)
    found = loadgen.WAYS[by](CallableRunner(step, 40), drawn)
    assert asked[-40:] == drawn.order
    assert set(drawn.order) == set(range(40))
    assert 1.0 <= found["50"] <= found["90"] <= found["99"]


def test_committed_results_agree() -> None:
    values = json.loads(loadgen.RESULTS.read_text())
    compared = [loadgen.Comparison(**each) for each in values.pop("comparisons")]
    found = loadgen.Results(**values, comparisons=compared)
    assert loadgen.table(found) == loadgen.RESULTS.with_suffix(".md").read_text()
    assert [each.scenario for each in compared] == list(loadgen.SCENARIOS)
    assert all(len(runs) >= 5 for each in compared for runs in each.runs.values())
    assert all(verdict != "NO" for each in compared for *_, verdict in each.verdicts())
