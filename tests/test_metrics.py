"""Tests of the metrics and of the checks on answers."""

import math
import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import f1_score, precision_score, recall_score

from jouleforge.errors import GateError, InputError
from jouleforge.metrics import (
    METRICS,
    best_permutation,
    compute,
    constant_prediction,
    decisions,
    label_order_contradiction,
    majority_rate,
)
from jouleforge.task import Task, TaskKind

TRUTH = np.array([0, 0, 0, 1, 1, 1, 1, 1])
GUESS = np.array([0, 0, 1, 1, 1, 1, 0, 1])


def answers_like(
    truth: NDArray[np.int64], *, right: float, n_labels: int, seed: int = 0
) -> NDArray[np.int64]:
    """Return answers of which about that share is right and the others are drawn blindly."""
    rng = np.random.default_rng(seed)
    return np.where(
        rng.random(len(truth)) < right, truth, rng.integers(0, n_labels, size=len(truth))
    )


def test_two_classes_have_the_f1_of_class_1() -> None:
    found = compute("single-label", GUESS, TRUTH)
    assert found["accuracy"] == pytest.approx(6 / 8)
    assert found["f1"] == pytest.approx(2 * 4 / (2 * 4 + 1 + 1))
    assert found["f1_macro"] == pytest.approx((0.8 + 2 * 2 / (2 * 2 + 1 + 1)) / 2)
    assert found["matthews"] == pytest.approx((4 * 2 - 1 * 1) / math.sqrt(5 * 5 * 3 * 3))


def test_three_classes_have_the_macro_f1_even_if_two_occur() -> None:
    found = compute("single-label", GUESS, TRUTH, n_labels=3)
    assert found["f1"] == found["f1_macro"]
    assert found["f1"] == pytest.approx((0.8 + 2 / 3) / 2)


def test_a_constant_prediction_has_matthews_zero() -> None:
    assert compute("single-label", np.ones(8, dtype=int), TRUTH)["matthews"] == 0.0


def test_what_one_class_of_labels_leaves_undefined_is_none() -> None:
    zeros = np.zeros(4, dtype=int)
    found = compute("single-label", zeros, zeros)
    assert found["accuracy"] == 1.0
    assert found["f1"] is None
    assert found["matthews"] is None


LABELS = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0]], dtype=bool)
SETS = np.array([[1, 0, 0], [1, 0, 0], [0, 0, 0], [1, 1, 0]], dtype=bool)


def test_multi_label_counts_labels_and_whole_sets() -> None:
    found = compute("multi-label", SETS, LABELS)
    assert found["precision_micro"] == pytest.approx(3 / 4)
    assert found["recall_micro"] == pytest.approx(3 / 4)
    assert found["f1_micro"] == pytest.approx(3 / 4)
    assert found["subset_accuracy"] == pytest.approx(2 / 4)
    assert found["label_accuracy"] == pytest.approx(10 / 12)


def test_a_label_that_nobody_gives_is_left_out_of_the_macro_mean() -> None:
    assert compute("multi-label", SETS, LABELS)["f1_macro"] == pytest.approx((4 / 5 + 2 / 3) / 2)


def test_predicting_no_label_scores_the_all_negative_accuracy() -> None:
    found = compute("multi-label", np.zeros_like(LABELS), LABELS)
    assert found["label_accuracy"] == found["label_accuracy_all_negative"] == pytest.approx(8 / 12)
    assert found["f1_micro"] == 0.0
    assert found["precision_micro"] is None


def test_a_single_label_column_is_one_label_and_not_two_classes() -> None:
    found = compute("multi-label", SETS[:, :1], LABELS[:, :1])
    assert found["f1_macro"] == found["f1_micro"] == pytest.approx(2 * 2 / (3 + 2))


def test_a_monotonous_regression_ranks_perfectly() -> None:
    found = compute("regression", np.array([1.0, 2.0, 10.0]), np.array([0.0, 1.0, 2.0]))
    assert found["spearman"] == pytest.approx(1.0)
    assert found["pearson"] == pytest.approx(0.9122, abs=1e-4)


@pytest.mark.parametrize(
    "values", [[3.0, 3.0, 3.0], [0.0, 0.0, 0.0], [1.0, 1.0 + 1e-15, 1.0], [1.0, math.inf, 2.0]]
)
def test_a_correlation_with_what_does_not_vary_is_none(values: list[float]) -> None:
    labels = np.array([0.0, 1.0, 2.0])
    assert compute("regression", np.array(values), labels) == {"pearson": None, "spearman": None}
    assert compute("regression", labels, np.array(values)) == {"pearson": None, "spearman": None}


def test_one_pair_of_values_has_no_correlation() -> None:
    assert compute("regression", np.array([1.0]), np.array([2.0]))["pearson"] is None


@given(
    st.integers(2, 4).flatmap(
        lambda k: st.lists(
            st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)), min_size=1, max_size=12
        ).map(lambda pairs: (k, np.array(pairs)))
    )
)
@settings(deadline=None, max_examples=100)
def test_any_classes_give_every_metric_finite_or_none(case: tuple[int, NDArray[np.int64]]) -> None:
    n_labels, pairs = case
    found = compute("single-label", pairs[:, 0], pairs[:, 1], n_labels=n_labels)
    assert tuple(found) == METRICS["single-label"]
    assert all(value is None or -1 <= value <= 1 for value in found.values())


@given(st.integers(1, 6), st.integers(2, 4), st.data())
@settings(deadline=None, max_examples=100)
def test_any_sets_give_the_scores_of_scikit_learn(
    count: int, n_labels: int, data: st.DataObject
) -> None:
    bits = st.lists(st.booleans(), min_size=count * n_labels, max_size=count * n_labels)
    guess, truth = (np.array(data.draw(bits)).reshape(count, n_labels) for _ in range(2))
    found = compute("multi-label", guess, truth)
    assert set(found) == {*METRICS["multi-label"], "label_accuracy_all_negative"}

    def expected(score: Any, average: str) -> Any:
        value = float(score(truth, guess, average=average, zero_division=np.nan))
        return None if math.isnan(value) else pytest.approx(value)

    assert found["f1_micro"] == expected(f1_score, "micro")
    assert found["f1_macro"] == expected(f1_score, "macro")
    assert found["precision_micro"] == expected(precision_score, "micro")
    assert found["recall_micro"] == expected(recall_score, "micro")


@given(st.lists(st.tuples(*[st.floats(-1e300, 1e300)] * 2), min_size=1, max_size=8))
@settings(deadline=None, max_examples=100)
def test_any_values_give_every_metric_finite_or_none(pairs: list[tuple[float, float]]) -> None:
    values = np.array(pairs)
    found = compute("regression", values[:, 0], values[:, 1])
    assert tuple(found) == METRICS["regression"]
    assert all(value is None or abs(value) <= 1 + 1e-9 for value in found.values())


@pytest.mark.parametrize(("guess", "truth"), [([0, 1], [0]), ([], [])])
def test_other_counts_or_none_at_all_are_an_input_error(guess: list[int], truth: list[int]) -> None:
    with pytest.raises(InputError, match="as many predictions as labels"):
        compute("single-label", np.array(guess, dtype=int), np.array(truth, dtype=int))


def test_a_class_is_the_largest_logit() -> None:
    found = decisions("single-label", np.array([[0.1, 0.2], [3, -1]], dtype=np.float16))
    assert found.tolist() == [1, 0]
    assert found.dtype == np.int64


def test_a_label_is_given_from_an_even_chance_on() -> None:
    found = decisions("multi-label", np.array([[0.0, -1e-6, 5.0]], dtype=np.float32))
    assert found.tolist() == [[True, False, True]]
    assert found.dtype == np.bool_


def test_a_value_is_the_only_output() -> None:
    found = decisions("regression", np.array([[1.5], [2.0]], dtype=np.float32))
    assert found.tolist() == [1.5, 2.0]
    assert found.dtype == np.float64


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ("single-label", (4, 1)),
        ("single-label", (4,)),
        ("regression", (4, 2)),
        ("multi-label", (4,)),
    ],
)
def test_logits_of_another_shape_are_an_input_error(kind: TaskKind, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="does the checkpoint belong to the task"):
        decisions(kind, np.zeros(shape))


@pytest.mark.parametrize(
    ("kind", "bad"),
    [("single-label", math.nan), ("multi-label", math.nan), ("regression", math.inf)],
)
def test_nan_is_not_taken_for_an_answer(kind: TaskKind, bad: float) -> None:
    logits = np.zeros((4, 1 if kind == "regression" else 2))
    logits[1, 0] = bad
    with pytest.raises(GateError, match="1 of 4 rows"):
        decisions(kind, logits)


def test_the_majority_rate_is_the_share_of_the_commonest_class() -> None:
    assert majority_rate(TRUTH) == pytest.approx(5 / 8)


def test_the_best_renaming_says_which_class_of_the_task_each_class_of_the_model_is() -> None:
    truth = np.array([0, 1, 2, 0, 1, 2])
    assert best_permutation((truth + 1) % 3, truth, 3) == (1.0, (2, 0, 1))


def test_as_few_classes_are_renamed_as_possible() -> None:
    assert best_permutation(np.array([0]), np.array([4]), 5) == (1.0, (4, 1, 2, 3, 0))


def test_labels_in_another_order_are_told() -> None:
    truth = np.random.default_rng(1).integers(0, 3, size=1000)
    answers = (answers_like(truth, right=0.75, n_labels=3) + 1) % 3
    found = label_order_contradiction(answers, truth, n_labels=3)
    assert found is not None
    assert "0 is 2, 1 is 0, 2 is 1" in found


@pytest.mark.parametrize("right", [0.0, 0.1, 0.9])
def test_a_model_that_is_merely_poor_or_good_is_not_accused(right: float) -> None:
    truth = np.random.default_rng(1).integers(0, 3, size=1000)
    answers = answers_like(truth, right=right, n_labels=3)
    assert label_order_contradiction(answers, truth, n_labels=3) is None


def test_few_examples_do_not_accuse() -> None:
    truth = np.array([0, 1, 0, 1, 0, 1])
    assert label_order_contradiction(1 - truth, truth, n_labels=2) is None
    assert label_order_contradiction(1 - np.tile(truth, 4), np.tile(truth, 4), n_labels=2)


def test_blind_models_are_hardly_ever_accused() -> None:
    rng = np.random.default_rng(2)
    # Ten classes have 3.6 million orders, the best of which looks far better than chance.
    accused = [
        label_order_contradiction(*rng.integers(0, 10, size=(2, 40)), n_labels=10)
        for _ in range(200)
    ]
    assert accused.count(None) == 200


def test_the_same_answer_to_every_example_is_told() -> None:
    assert "labels [0, 2]" in str(
        constant_prediction(
            np.tile([True, False, True], (50, 1)), np.random.default_rng(0).random((50, 3)) < 0.5
        )
    )
    assert constant_prediction(np.ones(20, dtype=int), np.arange(20) % 2) is not None
    assert constant_prediction(np.full(20, 2.5), np.linspace(0, 5, 20)) is not None


def test_the_same_answer_is_not_told_where_it_may_be_right() -> None:
    answers = np.zeros(20, dtype=int)
    assert constant_prediction(answers, answers) is None
    assert constant_prediction(answers[:3], np.array([0, 0, 1])) is None
    assert constant_prediction(np.arange(20) % 2, np.arange(20) % 2) is None
    rare = np.zeros(100, dtype=int)
    rare[0] = 1
    assert constant_prediction(np.zeros(100, dtype=int), rare) is None


@pytest.mark.skipif(
    not os.environ.get("JOULEFORGE_DATA"), reason="JOULEFORGE_DATA names no folder of data sets"
)
def test_two_labels_for_every_paper_look_accurate_and_are_told() -> None:
    task = Task.load("arxiv")
    labels = task.examples("test").labels
    answers = np.zeros(labels.shape, dtype=bool)
    answers[:, [task.labels.index("cs.CV"), task.labels.index("cs.LG")]] = True
    found = compute("multi-label", answers, labels)
    accuracy, nothing = found["label_accuracy"], found["label_accuracy_all_negative"]
    assert accuracy is not None
    assert nothing is not None
    assert accuracy > 0.93
    assert nothing > accuracy
    assert constant_prediction(answers, labels) is not None
