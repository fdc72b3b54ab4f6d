"""What the scripts that set our meter against none, and against others, make of their numbers."""

from pathlib import Path

import meter_peers
import pytest
from fake_nvml import FakeNvml
from meter_overhead import Cost, Overhead, Ratio, middle, verdict

STEADY = Ratio(1.0, 0.999, 1.001)


def overhead(pace: Ratio, meter_cpu: float) -> Overhead:
    cost = Cost("metered", STEADY, STEADY, pace, meter_cpu, STEADY, reads=6, rates=[1.0])
    return Overhead("cpu", "1", "m", 20, 5.0, 20.0, 100.0, rates=[1.0], costs=[cost])


def test_a_median_lies_between_the_ranks_that_hold_it() -> None:
    found = middle([1.0, *range(2, 20), 1000.0])
    assert (found.value, found.low, found.high) == (10.5, 6, 15)


@pytest.mark.parametrize(
    ("pace", "meter_cpu", "text"),
    [
        (Ratio(0.999, 0.998, 1.002), 0.001, "Kept: the meter costs 0.3 % at most."),
        (Ratio(0.999, 0.98, 1.02), 0.001, "Kept, but of all runs together a cost of up to 2.1 %"),
        (Ratio(0.999, 0.998, 1.002), 0.01, "NOT kept: a cost of 1.1 %."),
    ],
)
def test_a_limit_is_kept_by_the_workers_pace_less_all_the_meter_may_take(
    pace: Ratio, meter_cpu: float, text: str
) -> None:
    assert verdict(overhead(pace, meter_cpu)).startswith(text)


def test_a_cell_holds_bias_spread_and_worst_and_what_was_rejected() -> None:
    lines: list[meter_peers.Line] = [{"error": 0.01}, {"error": -0.03}, {"error": 0.02}]
    assert meter_peers.cell(lines) == "+0.0 / 2.6 / -3.0 (3)"
    assert meter_peers.cell([*lines, {"refused": "E_EDGE_WIDE"}]).endswith(
        "(3, 1 rejected (E_EDGE_WIDE))"
    )
    assert meter_peers.cell([{"refused": "E_X"}] * 3) == "refused (E_X)"


def test_the_energy_of_a_load_is_what_it_used_whatever_the_counter_lags(
    nvml_library: Path,
) -> None:
    gpu = meter_peers.Gpu(nvml_library)
    begin_ns, end_ns = gpu.work(0.1)
    meter_peers.sleep_until(end_ns + 10_000_000)
    gpu.work(0.1)
    # Twenty batches of 4 ms at 280 W and 1 ms at 130 W.
    assert gpu.used(begin_ns, end_ns) == pytest.approx(20 * (0.004 * 280 + 0.001 * 130))
    FakeNvml(nvml_library).restore()
