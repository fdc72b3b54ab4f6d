"""The sentences above the table: what they say, and what they must not say."""

import pytest
from samples import EAGER, INT8, ORT, SDPA, measurement, repeats

from jouleforge.caveats import Caveat
from jouleforge.comparison import compare
from jouleforge.measurement import Measurement
from jouleforge.reports.parts import footnotes, wording
from jouleforge.reports.parts.summary import summary, winner

EAGER_ROWS = repeats([100, 101, 99], EAGER, padding="static:128")


def text_of(rows: list[Measurement]) -> str:
    return " ".join(summary(compare(rows)))


def test_winner_is_named_with_its_factor_and_interval() -> None:
    text = text_of(EAGER_ROWS + repeats([300, 303, 296], ORT, padding="static:128"))
    assert text.startswith(
        "ort fused fp32 answers 3.00 times as many examples per second as pytorch eager fp32 "
        "(95 % interval [2.98, 3.01], 3 pairs), at equal accuracy: both give the same answer to "
        "all 200 examples."
    )


def test_factor_of_two_changes_is_not_credited_to_one() -> None:
    text = text_of(EAGER_ROWS + repeats([300, 303, 296], ORT))
    assert "ort fused fp32, sorted answers" in text
    assert "The two differ in engine and padding" in text


def test_equal_accuracy_is_not_said_of_different_answers() -> None:
    wrong = [*range(19), 40]
    text = text_of(EAGER_ROWS + repeats([300, 303, 296], ORT, wrong=wrong))
    assert "equal accuracy" not in text
    assert (
        "accuracy 0.9000 against 0.9000: 0.00 points [\N{MINUS SIGN}2.32, +2.32], p = 1.000" in text
    )


def test_row_that_is_less_accurate_does_not_win() -> None:
    rows = [
        *EAGER_ROWS,
        *repeats([300, 303, 296], ORT),
        *repeats([600, 610, 590], INT8, wrong=range(60)),
    ]
    found = compare(rows)
    best = winner(found)
    assert best is not None
    assert best.label == "ort fused fp32, sorted"
    text = " ".join(summary(found))
    assert "ort fused int8-dynamic, sorted is faster still" in text
    assert "less accurate: \N{MINUS SIGN}20.00 points" in text


@pytest.mark.parametrize(("f1", "wins"), [(0.725, True), (0.6, False), (None, False)])
def test_metric_without_a_paired_test_may_not_fall_noticeably(f1: float | None, wins: bool) -> None:
    rows = repeats([100, 101], EAGER, kind="multi-label", metrics={"f1_micro": 0.73})
    metrics = {"f1_micro": f1}
    rows += repeats([300, 303], ORT, kind="multi-label", metrics=metrics, wrong=[1, 2])
    found = compare(rows)
    assert (winner(found) is not None) == wins
    shown = "\N{EM DASH}" if f1 is None else f"{f1:.4f}"
    assert f"with f1_micro {shown} against 0.7300 (not tested)" in " ".join(summary(found))


def test_loss_that_only_the_interval_shows_is_called_likely() -> None:
    rows = EAGER_ROWS + repeats([300, 303, 296], ORT, wrong=[*range(20), 50, 51, 52, 53])
    assert "is faster (3.00 [2.98, 3.01] times), but likely less accurate" in text_of(rows)


def test_single_change_needs_no_warning() -> None:
    text = text_of(EAGER_ROWS + repeats([300, 303, 296], ORT, padding="static:128"))
    assert "The two differ" not in text


@pytest.mark.parametrize("caveat", [Caveat.CONSTANT_PREDICTION, Caveat.LABEL_ORDER])
def test_row_whose_answers_are_broken_does_not_win(caveat: Caveat) -> None:
    found = compare(EAGER_ROWS + repeats([300, 303, 296], ORT, caveats=[caveat]))
    assert winner(found) is None
    assert summary(found)[0] == (
        "No row is shown to be faster than pytorch eager fp32, static:128 with answers that can be "
        "trusted."
    )


def test_broken_baseline_is_said_so() -> None:
    rows = repeats([100, 101], EAGER, caveats=[Caveat.CONSTANT_PREDICTION])
    assert "baseline's answers are not to be trusted" in text_of(rows + repeats([300, 303], ORT))


def test_nothing_is_claimed_of_single_runs() -> None:
    text = text_of([measurement(EAGER), measurement(ORT, examples_per_s=900)])
    assert text.startswith("No row is shown to be faster than pytorch eager fp32")
    assert "gives no interval" in text
    assert "answered 9.00 times" in text


def test_slower_rows_do_not_win() -> None:
    assert text_of(EAGER_ROWS + repeats([50, 51, 49], SDPA)).startswith("No row is shown")


def test_row_alone_is_compared_with_nothing() -> None:
    assert "nothing is compared" in text_of(EAGER_ROWS)


def test_counted_joules_decide_where_all_rows_have_them() -> None:
    rows = [
        *repeats([100, 101, 99], EAGER, joules_per_example=1.0),
        *repeats([300, 303, 296], ORT, joules_per_example=0.5),
        *repeats([200, 202, 198], SDPA, joules_per_example=0.25),
    ]
    text = text_of(rows)
    assert text.startswith("pytorch sdpa fp32 needs 75 % fewer joules per example than pytorch")
    assert "answers 2.00 [" in text


@pytest.mark.parametrize(
    ("joules", "estimated", "sentence"),
    [
        (None, False, "Energy was not measured"),
        (1.0, True, "The joules are estimates of a model"),
    ],
)
def test_absent_or_estimated_energy_is_said_so(
    joules: float | None, estimated: bool, sentence: str
) -> None:
    rows = [
        measurement(recipe, examples_per_s=rate, joules_per_example=joules, repeat=repeat)
        for recipe, rate in ((EAGER, 100.0), (ORT, 300.0))
        for repeat in range(2)
    ]
    if estimated:
        rows = [
            row.model_copy(
                update={"energy": [row.energy[0].model_copy(update={"energy_class": "estimated"})]}
            )
            for row in rows
        ]
    assert sentence in text_of(rows)


def test_energy_of_some_rows_only_is_said_so() -> None:
    rows = repeats([100, 101], EAGER, joules_per_example=1.0) + repeats([300, 303], ORT)
    assert "counted for some rows only" in text_of(rows)


def test_local_path_of_a_task_file_is_not_printed() -> None:
    found = compare([measurement(EAGER, task="/home/someone/corpus/task.toml")])
    assert footnotes.description(found).startswith("corpus/task.toml, test split")
    assert "someone" not in str(footnotes.method(found))


def test_synthetic_text_is_said_above_the_table() -> None:
    rows = repeats([100, 101], EAGER, caveats=[Caveat.SYNTHETIC_TEXT])
    assert Caveat.SYNTHETIC_TEXT.text in text_of(rows + repeats([300, 303], ORT))


def test_every_dash_has_its_reason() -> None:
    found = compare([measurement(EAGER), measurement(ORT, joules_per_example=1.0)])
    text = " ".join(footnotes.missing(found))
    assert "p99 needs 368 timed batches, 100 were timed: all rows." in text
    assert "No joules (E_RAPL_ABSENT: no RAPL here): pytorch eager fp32." in text
    assert "No energy ratio" in text
    assert "No interval of the ratio without two pairs: ort fused fp32." in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234.5, "1,230"), (999.9, "1,000"), (99.96, "100"), (9.996, "10.0"), (0.04126, "0.0413"),
        (0.000412, "0.000412"), (0.0, "0"), (-1.5, "\N{MINUS SIGN}1.50"), (1e7, "10,000,000"),
    ],
)  # fmt: skip
def test_numbers_have_three_significant_digits(value: float, text: str) -> None:
    assert wording.number(value) == text


def test_difference_that_rounds_to_nothing_has_no_sign() -> None:
    assert wording.points(-0.00001) == "0.00"
    assert wording.points(0.0123) == "+1.23"


def test_small_padding_is_not_rounded_away() -> None:
    assert [wording.percent(share) for share in (0.804, 0.0587, 0.0)] == ["80 %", "5.9 %", "0.0 %"]
