"""Latencies of every scenario: what a queue's are worth, and how reports show them."""

import csv
import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from samples import EAGER, ORT, measurement

from jouleforge.comparison import Comparison, compare
from jouleforge.comparison.latencies import services_ns
from jouleforge.measurement import Measurement
from jouleforge.packed import PackedArray
from jouleforge.reports import csv as csv_report
from jouleforge.reports import html, markdown
from jouleforge.schedule import Arrivals, Schedule
from jouleforge.terminal import print_comparison

QUERIES = 200
SERVICE_NS = 1_000_000


def served(
    load: float, *, passes: int = 10, seed: int = 0, repeat: int | None = None, **changes: Any
) -> Measurement:
    """Return queries of exactly 1 ms that came at random: an M/D/1 queue."""
    rate_per_s = load * 1e9 / SERVICE_NS
    random = np.random.default_rng(seed)
    gaps_ns = random.exponential(1e9 / rate_per_s, QUERIES * passes)
    intended_ns = np.cumsum(gaps_ns).astype(np.int64)
    free_ns, ends_ns = 0, np.empty_like(intended_ns)
    for number, due_ns in enumerate(intended_ns):
        free_ns = max(free_ns, int(due_ns)) + SERVICE_NS
        ends_ns[number] = free_ns
    schedule = Schedule(scenario="server", rate_per_s=rate_per_s, **changes)
    row = measurement(EAGER, passes=passes, batch_size=1, schedule=schedule, repeat=repeat)
    arrivals = Arrivals(
        rate_per_s=rate_per_s,
        capacity_per_s=1e9 / SERVICE_NS,
        seed=seed,
        intended_ns=packed(intended_ns, passes),
    )
    timing = row.timing.model_copy(
        update={
            "wall_s": float(ends_ns[-1]) / 1e9,
            "latencies_ns": packed(ends_ns - intended_ns, passes),
            "arrivals": arrivals,
        }
    )
    return row.model_copy(update={"timing": timing})


def packed(times_ns: NDArray[np.int64], passes: int) -> PackedArray:
    return PackedArray.pack(times_ns.reshape(passes, QUERIES))


def known(found: Comparison) -> list[str]:
    percentiles_s = found.baseline.latencies.percentiles_s
    return [name for name, percentile in percentiles_s.items() if percentile is not None]


def test_service_times_follow_from_arrivals_and_latencies() -> None:
    assert (services_ns(served(0.7).timing) == SERVICE_NS).all()


def test_the_busier_the_queue_the_more_latencies_a_percentile_needs() -> None:
    assert known(compare([served(0.3, passes=20)])) == ["p50", "p90", "p95", "p99"]
    assert known(compare([served(0.7, passes=20)])) == ["p50", "p90", "p95"]
    assert known(compare([served(0.85, passes=20)])) == ["p50", "p90"]
    assert known(compare([served(1.2, passes=20)])) == []


def test_a_busier_queue_than_was_simulated_has_percentiles_without_intervals() -> None:
    found = compare([served(0.9, passes=100)])
    p50 = found.baseline.latencies.percentiles_s["p50"]
    assert p50 is not None
    assert p50.interval is None
    for text in (markdown.render(found), html.render(found)):
        assert "No interval of a percentile above a load of 0.8" in text
    (line,) = csv.DictReader(io.StringIO(csv_report.render(found), newline=""))
    assert float(line["latency_p50_s"]) == pytest.approx(p50.value)
    assert line["latency_p50_s_interval"] == ""


def test_interval_of_queued_latencies_is_wider_than_of_independent_ones() -> None:
    row = served(0.6, passes=40)
    queued = compare([row]).baseline.latencies.percentiles_s["p95"]
    timing = row.timing.model_copy(update={"arrivals": None})
    loose = compare([row.model_copy(update={"timing": timing})])
    independent = loose.baseline.latencies.percentiles_s["p95"]
    assert queued is not None
    assert independent is not None
    assert queued.value == independent.value
    assert queued.interval is not None
    assert independent.interval is not None
    widths = [one.high - one.low for one in (queued.interval, independent.interval)]
    assert widths[0] > 1.5 * widths[1]


def test_percentiles_of_ten_blocks_are_not_marked() -> None:
    rows = [served(0.5, passes=2, seed=repeat, repeat=repeat) for repeat in range(10)]
    found = compare(rows).baseline.latencies.percentiles_s["p95"]
    assert found is not None
    assert not found.within_block
    single = compare([served(0.5, passes=20)]).baseline.latencies.percentiles_s["p95"]
    assert single is not None
    assert single.within_block


def test_scenarios_are_rows_of_their_own_and_named() -> None:
    one = measurement(EAGER, batch_size=1, schedule=Schedule(scenario="single-stream"))
    several = measurement(EAGER, schedule=Schedule(scenario="multi-stream", samples_per_query=4))
    found = compare([one, several, served(0.5), served(0.5, wait="spin")])
    labels = " | ".join(row.label for row in found.rows)
    for name in ("single-stream", "multi-stream of 4", "server at 500/s, block", "500/s, spin"):
        assert name in labels
    (other,) = (row for row in found.rows if "multi" in row.label)
    assert other.changed == ("batch size", "scenario")


def test_reports_show_each_percentile_with_its_interval(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = compare([served(0.5, passes=20), measurement(ORT, examples_per_s=50, batch_size=1)])
    p90 = found.baseline.latencies.percentiles_s["p90"]
    assert p90 is not None
    assert p90.interval is not None
    shown = f"{1e3 * p90.value:.2f} [{1e3 * p90.interval.low:.2f}, {1e3 * p90.interval.high:.2f}]"
    scenario = "server at 500/s, block; 500/s of 1,000/s one after the other, busy 50 % of the time"
    for text in (markdown.render(found), html.render(found)):
        assert shown in text
        assert scenario in text
        assert "Latency per query" in text
    print_comparison(found)
    printed = " ".join(capsys.readouterr().out.split())
    assert shown in printed
    (line, _) = csv.DictReader(io.StringIO(csv_report.render(found), newline=""))
    assert float(line["latency_p90_s"]) == pytest.approx(p90.value)
    assert (line["scenario"], line["wait"], line["arrivals_per_s"]) == ("server", "block", "500")
    assert float(line["load"]) == pytest.approx(0.5)
    assert line["latency_p99.9_s"] == ""


def test_missing_percentiles_of_a_queue_say_what_they_need() -> None:
    text = markdown.render(compare([served(0.8)]))
    assert "p95 needs 3,086 timed queries of a queue as busy as that, 2,000 were timed" in text
    grew = markdown.render(compare([served(1.5)]))
    assert "p50 has no value of its own while the queue grows" in grew
    assert "overloaded" in grew
