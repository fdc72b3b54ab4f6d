"""Tests of the comparison: what makes a row, what is paired with what, and what is refused."""

import math
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from samples import (
    EAGER,
    EXAMPLES,
    INT8,
    ORT,
    SDPA,
    answers,
    measurement,
    reading,
    repeats,
    truth,
)

from jouleforge.caveats import Caveat
from jouleforge.comparison import Comparison, Row, compare
from jouleforge.errors import InputError
from jouleforge.measurement import Measurement


def row(comparison: Comparison, label: str) -> Row:
    (found,) = [row for row in comparison.rows if row.label == label]
    return found


def two(**changes: object) -> list[Measurement]:
    """Return one measurement of eager PyTorch and one of ONNX Runtime with changes."""
    return [measurement(EAGER), measurement(ORT, examples_per_s=200, **changes)]  # type: ignore[arg-type]


def test_speed_ratio_is_the_geometric_mean_of_the_blocks_ratios() -> None:
    own, other = [220.0, 150.0, 330.0], [100.0, 80.0, 140.0]
    found = compare(repeats(other, EAGER) + repeats(own, ORT)).rows[1].speed_ratio
    ratios = [mine / yours for mine, yours in zip(own, other, strict=True)]
    assert found.value == pytest.approx(math.exp(np.mean(np.log(ratios))))
    assert found.pairs == 3
    half = 4.302653 * np.std(np.log(ratios), ddof=1) / math.sqrt(3)
    assert found.interval is not None
    assert found.interval.low == pytest.approx(found.value * math.exp(-half), rel=1e-6)


def test_drift_that_hits_both_of_a_pair_cancels() -> None:
    drift = [1.0, 0.5, 0.7, 1.3, 0.9]
    eager = repeats([100 * factor for factor in drift], EAGER)
    faster = repeats([103 * factor for factor in drift], SDPA)
    assert compare(eager + faster).rows[1].verdict == "faster"


@pytest.mark.parametrize(
    ("rates", "verdict"),
    [
        ([150, 151, 149], "faster"),
        ([70, 71, 69], "slower"),
        ([130, 80, 105], "no difference shown"),
        ([150], "no difference shown"),
    ],
)
def test_verdict_needs_an_interval_without_1(rates: list[float], verdict: str) -> None:
    found = compare(repeats([100, 101, 99], EAGER) + repeats(rates, ORT))
    assert row(found, "ort fused fp32").verdict == verdict


def test_one_pair_has_a_ratio_but_no_interval() -> None:
    found = compare(two()).rows[1].speed_ratio
    assert (found.value, found.interval, found.pairs) == (2.0, None, 1)


def test_only_blocks_that_both_were_measured_in_are_pairs() -> None:
    eager = repeats([100, 100, 100], EAGER)
    engine = repeats([200, 999, 202], ORT)
    found = compare([*eager, engine[0], engine[2]]).rows[1]
    assert found.speed_ratio.pairs == 2
    assert found.speed_ratio.value == pytest.approx(math.sqrt(2 * 2.02))
    assert found.notes == ("It has no measurement in block 2; the pairs are of the others.",)


def test_cells_without_a_common_block_have_no_pairs() -> None:
    found = compare([measurement(EAGER, repeat=0), measurement(ORT, repeat=1)]).rows[1]
    assert (found.speed_ratio.pairs, found.speed_ratio.interval) == (0, None)


def test_baseline_is_eager_pytorch_wherever_it_stands() -> None:
    found = compare([measurement(ORT), measurement(SDPA), measurement(EAGER)])
    assert found.baseline.label == "pytorch eager fp32"
    assert found.rows[0] is found.baseline


def test_baseline_without_eager_pytorch_is_the_first_row() -> None:
    assert compare([measurement(INT8), measurement(ORT)]).baseline.label == "ort fused int8-dynamic"


def test_baseline_can_be_chosen_by_label_or_by_what_one_row_is_called() -> None:
    rows = [
        measurement(EAGER, padding="static:128"),
        measurement(EAGER, padding="sorted"),
        measurement(ORT, padding="sorted"),
    ]
    for name in ("ort fused fp32, sorted", "ort fused fp32"):
        assert compare(rows, baseline=name).baseline.label == "ort fused fp32, sorted"
    with pytest.raises(InputError, match="pytorch eager fp32, static:128; pytorch eager fp32, sor"):
        compare(rows, baseline="pytorch eager fp32")


def test_wrong_baseline_names_the_choices() -> None:
    with pytest.raises(InputError, match=r"'tensorrt'.*pytorch eager fp32; ort fused fp32"):
        compare(two(), baseline="tensorrt")


def test_rows_stand_from_the_fastest_to_the_slowest_after_the_baseline() -> None:
    found = compare(
        [
            measurement(EAGER, examples_per_s=300),
            measurement(SDPA, examples_per_s=100),
            measurement(ORT, examples_per_s=200),
        ]
    )
    assert [row.first.examples_per_s for row in found.rows] == pytest.approx([300, 200, 100])


def test_percentiles_are_over_the_batches_of_all_repeats() -> None:
    rows = repeats([100, 50], EAGER)
    found = compare(rows).baseline
    pooled = np.concatenate([one.timing.latency_ns().ravel() for one in rows]) / 1e9
    assert found.latencies.count == len(pooled) == 200
    p95 = found.latencies.percentiles_s["p95"]
    assert p95 is not None
    assert p95.value == np.quantile(pooled, 0.95, method="inverted_cdf")
    assert found.latencies.percentiles_s["p99"] is None


def test_joules_are_those_of_the_window_over_its_examples() -> None:
    found = compare(repeats([100, 100, 100], EAGER, joules_per_example=0.5)).baseline
    assert found.energy is not None
    assert found.energy.per_example_j.value == pytest.approx(0.5)
    assert found.energy.meter.energy_class == "counter"
    assert found.joules_per_correct is not None
    assert found.joules_per_correct.value == pytest.approx(0.5 / 0.9)


def test_devices_of_one_meter_are_added_and_listed() -> None:
    readings = [reading(10.0, device="package-0"), reading(30.0, device="package-1")]
    found = compare([measurement(EAGER, readings=readings)]).baseline
    assert found.energy is not None
    assert found.energy.meter.devices == ("package-0", "package-1")
    assert found.energy.per_example_j.value == pytest.approx(40 / (EXAMPLES * 4))


def test_scopes_and_classes_are_never_added() -> None:
    readings = [
        reading(1.0, scope="dram", device="dram-0"),
        reading(10.0),
        reading(99.0, source="codecarbon", energy_class="estimated", device="cpu"),
    ]
    found = compare([measurement(EAGER, readings=readings)]).baseline
    assert found.energy is not None
    assert found.energy.meter.scope == "cpu_package"
    assert found.energy.per_example_j.value == pytest.approx(10 / (EXAMPLES * 4))
    assert {other.meter.scope for other in found.other_energies} == {"dram", "cpu_package"}


def test_missing_joules_are_none_with_the_reason() -> None:
    found = compare([measurement(EAGER)])
    assert found.meter is None
    assert found.baseline.energy is None
    assert found.baseline.joules_per_correct is None
    assert found.baseline.energy_reason == "E_RAPL_ABSENT: no RAPL here"


def test_joules_of_some_repeats_are_no_joules_of_the_row() -> None:
    rows = [
        measurement(EAGER, repeat=0, joules_per_example=0.5),
        measurement(EAGER, repeat=1),
    ]
    assert compare(rows).baseline.energy is None


def test_energy_ratio_is_paired_by_block() -> None:
    eager = [measurement(EAGER, repeat=n, joules_per_example=j) for n, j in enumerate((1, 2, 4))]
    engine = [measurement(ORT, repeat=n, joules_per_example=j / 4) for n, j in enumerate((1, 2, 4))]
    found = compare(eager + engine).rows[1].energy_ratio
    assert found is not None
    assert found.interval is not None
    assert found.value == pytest.approx(0.25)
    assert found.interval.low == pytest.approx(0.25)
    assert found.pairs == 3


def test_counted_and_estimated_joules_have_no_ratio() -> None:
    estimate = [reading(10.0, source="codecarbon", energy_class="estimated", device="cpu")]
    found = compare(
        [measurement(EAGER, joules_per_example=1.0), measurement(ORT, readings=estimate)]
    )
    other = row(found, "ort fused fp32")
    assert found.meter is not None
    assert found.meter.energy_class == "counter"
    assert other.energy is None
    assert other.energy_ratio is None
    assert [energy.meter.energy_class for energy in other.other_energies] == ["estimated"]
    assert found.frontier_cost == "time"


def test_accuracy_carries_wilsons_interval() -> None:
    found = compare([measurement(EAGER)]).baseline
    assert found.headline == pytest.approx(0.9)
    assert found.headline_interval is not None
    assert found.headline_interval.low < 0.9 < found.headline_interval.high


def test_metric_that_is_no_share_of_examples_has_no_interval() -> None:
    found = compare([measurement(EAGER, metrics={"matthews": 0.8, "accuracy": 0.9})]).baseline
    assert (found.headline, found.headline_interval) == (0.8, None)


def test_answers_and_accuracies_give_the_numbers_of_the_paired_test() -> None:
    eager, engine = range(20), [*range(14), 50, 51]
    found = compare([measurement(EAGER, wrong=eager), measurement(ORT, wrong=engine)])
    difference = row(found, "ort fused fp32").accuracy_difference
    assert difference is not None
    assert (difference.gained, difference.lost) == (6, 2)
    assert difference.value == pytest.approx(4 / EXAMPLES)
    assert difference.p_value == pytest.approx(2 * (1 + 8 + 28) / 2**8)
    assert row(found, "ort fused fp32").decisions_equal == EXAMPLES - 8


def test_two_wrong_answers_that_differ_are_neither_gained_nor_lost() -> None:
    one, other = answers(wrong=range(20)), answers(wrong=range(19))
    one[:10], other[:10] = 2, 1 - truth()[:10]
    found = compare([measurement(EAGER, given=one), measurement(ORT, given=other)])
    difference = row(found, "ort fused fp32").accuracy_difference
    assert difference is not None
    assert (difference.gained, difference.lost) == (1, 0)


def test_accuracy_that_contradicts_the_answers_is_refused() -> None:
    with pytest.raises(ValidationError, match="was the file edited"):
        measurement(EAGER, given=answers(wrong=range(20)), metrics={"accuracy": 0.95})


def test_regression_has_no_answers_to_agree_on() -> None:
    values = np.linspace(0, 5, EXAMPLES, dtype=np.float32)
    rows = [
        measurement(recipe, kind="regression", given=values, metrics={"pearson": 0.9})
        for recipe in (EAGER, ORT)
    ]
    found = compare(rows).rows[1]
    assert found.decisions_equal is None
    assert found.accuracy_difference is None


def test_multi_label_answers_are_equal_if_all_labels_are() -> None:
    one = np.zeros((EXAMPLES, 3), dtype=np.bool_)
    other = one.copy()
    other[5, 1] = other[6] = True
    rows = [
        measurement(recipe, kind="multi-label", given=given, metrics={"f1_micro": 0.5})
        for recipe, given in ((EAGER, one), (ORT, other))
    ]
    found = compare(rows).rows[1]
    assert found.decisions_equal == EXAMPLES - 2
    assert found.accuracy_difference is None


def test_frontier_is_of_joules_where_all_rows_were_counted() -> None:
    rows = [
        measurement(EAGER, examples_per_s=100, joules_per_example=1.0, wrong=range(20)),
        measurement(ORT, examples_per_s=400, joules_per_example=2.0, wrong=range(20)),
        measurement(INT8, examples_per_s=200, joules_per_example=0.5, wrong=range(30)),
    ]
    found = compare(rows)
    assert found.frontier_cost == "joules"
    assert {row.label for row in found.rows if row.on_frontier} == {
        "pytorch eager fp32",
        "ort fused int8-dynamic",
    }


def test_frontier_is_of_time_where_a_row_was_not_counted() -> None:
    rows = [
        measurement(EAGER, examples_per_s=100, joules_per_example=1.0),
        measurement(ORT, examples_per_s=400),
    ]
    found = compare(rows)
    assert found.frontier_cost == "time"
    assert [row.label for row in found.rows if row.on_frontier] == ["ort fused fp32"]


def test_rows_that_are_equal_are_both_on_the_frontier() -> None:
    assert all(row.on_frontier for row in compare([measurement(EAGER), measurement(ORT)]).rows)


def test_row_without_the_metric_is_on_no_frontier() -> None:
    found = compare(
        [
            measurement(EAGER, metrics={"matthews": 0.8}),
            measurement(ORT, examples_per_s=900, metrics={"matthews": None}),
        ]
    )
    assert [row.on_frontier for row in found.rows] == [True, False]


def test_caveats_are_united_with_their_rows() -> None:
    found = compare(
        [
            measurement(EAGER, caveats=[Caveat.FEW_PASSES]),
            measurement(ORT, caveats=[Caveat.FEW_PASSES, Caveat.TRUNCATED], notes=["why"]),
        ]
    )
    raised = {one.caveat: one.rows for one in found.caveats}
    assert raised[Caveat.TRUNCATED] == ("ort fused fp32",)
    assert len(raised[Caveat.FEW_PASSES]) == 2
    assert found.notes[-1].text == "why"
    assert found.notes[-1].rows == ("ort fused fp32",)


def test_caveat_of_one_repeat_belongs_to_the_row() -> None:
    rows = repeats([100, 101], EAGER)
    rows[1] = rows[1].model_copy(update={"caveats": [Caveat.CLOCK]})
    assert compare(rows).baseline.caveats == (Caveat.CLOCK,)


def test_repeats_with_other_outputs_are_noted() -> None:
    rows = [
        measurement(EAGER, repeat=0),
        measurement(EAGER, repeat=1, logits="others", wrong=range(22)),
    ]
    (note,) = compare(rows).baseline.notes
    assert "different logits, and up to 2 different answers" in note


def test_rows_of_a_file_are_compared(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    file.write_text("".join(f"{one.model_dump_json()}\n" for one in two()))
    assert [one.label for one in compare(file).rows] == [one.label for one in compare(two()).rows]


def test_nothing_to_compare_is_an_error() -> None:
    with pytest.raises(InputError, match="no measurement"):
        compare([])
