"""Tests of the cells: what makes a row of a table, and what may not share one."""

import math

import pytest
from samples import EAGER, ORT, measurement, repeats

from jouleforge.comparison import compare
from jouleforge.errors import InputError
from jouleforge.measurement import Measurement
from jouleforge.schedule import Schedule


def two(**changes: object) -> list[Measurement]:
    """Return one measurement of eager PyTorch and one of ONNX Runtime with changes."""
    return [measurement(EAGER), measurement(ORT, examples_per_s=200, **changes)]  # type: ignore[arg-type]


def test_repeats_of_a_cell_are_one_row() -> None:
    found = compare(repeats([100, 102, 98], EAGER) + repeats([200, 206, 194], ORT))
    assert [row.label for row in found.rows] == ["pytorch eager fp32", "ort fused fp32"]
    assert [row.repeats for row in found.rows] == [3, 3]
    assert found.rows[1].examples_per_s.value == pytest.approx(200)


@pytest.mark.parametrize(
    "change",
    [
        {"padding": "static:64"},
        {"batch_size": 16},
        {"threads": 1},
        {"checkpoint": "other-bert"},
        {"build": "second"},
        {"runtime": "torch 2.12.0"},
        {"schedule": Schedule(duration_s=30)},
        {"recipe": {**EAGER, "max_length": 64}},
    ],
)
def test_whatever_changes_a_measurement_makes_another_row(change: dict[str, object]) -> None:
    changed = {"recipe": EAGER, **change}
    found = compare([measurement(EAGER), measurement(**changed)])  # type: ignore[arg-type]
    assert len(found.rows) == 2
    assert len({row.label for row in found.rows}) == 2
    assert found.rows[1].label != found.rows[1].first.engine.name


def test_labels_name_what_differs_and_nothing_else() -> None:
    found = compare(
        [
            measurement(EAGER, padding="static:128"),
            measurement(ORT, padding="sorted", examples_per_s=200),
        ]
    )
    assert found.rows[0].label == "pytorch eager fp32, static:128"
    assert found.rows[1].label == "ort fused fp32, sorted"
    assert found.rows[1].name == "ort fused fp32"
    assert found.rows[1].changed == ("engine", "padding")


def test_single_measurements_are_paired_in_the_order_of_the_file() -> None:
    found = compare(
        [
            measurement(ORT, examples_per_s=200),
            measurement(EAGER, examples_per_s=100),
            measurement(EAGER, examples_per_s=50),
            measurement(ORT, examples_per_s=120),
        ]
    )
    assert found.rows[1].speed_ratio.pairs == 2
    assert found.rows[1].speed_ratio.value == pytest.approx(math.sqrt(2.0 * 2.4))
    assert "not in the interleaved blocks" in found.notes[0].text


def test_study_says_nothing_about_order() -> None:
    assert compare(repeats([100, 101], EAGER) + repeats([200, 202], ORT)).notes == ()


def test_blocks_that_overlap_in_time_are_noted() -> None:
    rows = repeats([100, 101], EAGER) + repeats([200, 202], ORT)
    late = rows[0].model_copy(update={"started_at": "2026-03-02T00:00:00+00:00"})
    assert "Block 1 ended after the next one began" in compare([late, *rows[1:]]).notes[0].text


def test_singles_and_blocks_are_not_mixed() -> None:
    with pytest.raises(InputError, match="was measured by itself"):
        compare([*repeats([100, 101], EAGER), measurement(ORT)])


def test_cell_that_stands_twice_in_a_block_is_refused() -> None:
    with pytest.raises(InputError, match="stands twice in block 1"):
        compare([*repeats([100, 101], EAGER), *repeats([100], EAGER)])


@pytest.mark.parametrize(
    ("change", "named"),
    [({"task": "mrpc"}, "mrpc"), ({"data": "other data"}, "digest"), ({"cpu": "Other"}, "Other")],
)
def test_rows_of_other_data_or_machines_are_refused_by_name(
    change: dict[str, object], named: str
) -> None:
    with pytest.raises(InputError, match=f"ort fused fp32.*{named}"):
        compare(two(**change))


def test_padding_may_differ_over_the_same_data() -> None:
    found = compare(two(padding="static:128"))
    assert found.rows[1].first.facts.batches_digest != found.baseline.first.facts.batches_digest


def test_software_that_differs_is_noted() -> None:
    found = compare(two(packages={"torch": "2.12.0", "onnxruntime": "1.31.1"}))
    assert any("torch 2.12.0, 2.13.0" in note.text for note in found.notes)
