"""Metrics: how good a model's answers are, and whether they are answers at all.

A metric that is undefined for the answers at hand is None. Scores of a model that answers every
question alike, or whose classes are in another order than the task's, look like any other number:
`constant_prediction` and `label_order_contradiction` tell.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import binom, pearsonr, spearmanr
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    matthews_corrcoef,
)

from jouleforge.errors import GateError, InputError
from jouleforge.task import METRICS, Labels, TaskKind

__all__ = [
    "METRICS",
    "Labels",
    "best_permutation",
    "compute",
    "constant_prediction",
    "decisions",
    "label_order_contradiction",
    "majority_rate",
]

_CHANCE = 1e-3
"""How improbable under chance an observation has to be before a check speaks up."""
_CONTRADICTION_MARGIN = 0.10
"""How far above the majority class's rate a reordering has to lift accuracy."""


def decisions(kind: TaskKind, logits: NDArray[Any]) -> Labels:
    """Return what the model answers.

    Args:
        kind: The task's kind.
        logits: The head's outputs (n, labels); one column for regression.

    Returns:
        The class of the largest logit int64 (n,); for multi-label, the labels whose probability is
        at least a half bool (n, labels); for regression, the value float64 (n,).

    Raises:
        InputError: The shape does not suit the kind.
        GateError: There are NaNs, which argmax would take for an answer; or, in a regression,
            infinities.
    """
    fewest = 2 if kind == "single-label" else 1
    columns = logits.shape[1] if logits.ndim == 2 else 0
    if columns < fewest or (kind == "regression" and columns > 1):
        expected = {"single-label": "2 or more", "multi-label": "1 or more", "regression": "1"}
        raise InputError(
            f"a {kind} task expects logits (examples, outputs) with {expected[kind]} outputs, "
            f"found shape {logits.shape}: does the checkpoint belong to the task?"
        )
    sound = np.isfinite(logits) if kind == "regression" else ~np.isnan(logits)
    if broken := len(logits) - int(sound.all(axis=1).sum()):
        raise GateError(
            f"{broken} of {len(logits)} rows of outputs are not finite, numbers are expected: "
            "the engine's arithmetic fails; try bf16 or fp32"
        )
    answers: Labels
    if kind == "single-label":
        answers = logits.argmax(axis=1).astype(np.int64)
    elif kind == "multi-label":
        answers = np.greater_equal(logits, 0)  # sigmoid(0) is a half
    else:
        answers = logits[:, 0].astype(np.float64)
    return answers


def compute(
    kind: TaskKind, predictions: NDArray[Any], labels: NDArray[Any], *, n_labels: int = 2
) -> dict[str, float | None]:
    """Return every metric of a kind by name; None where it is undefined.

    Args:
        kind: The task's kind.
        predictions: Answers as `decisions` gives them.
        labels: The truth, of the same shape.
        n_labels: Single-label: how many classes the task has, in case not all of them occur.

    Returns:
        The metrics of `METRICS[kind]`. `f1` is that of class 1 if there are two classes, and
        `f1_macro` otherwise. Macro averages leave out labels that neither the truth nor the
        predictions hold. `matthews` of a constant prediction is 0, as is customary. Multi-label has
        `label_accuracy_all_negative` too, the `label_accuracy` of predicting no label at all.

    Raises:
        InputError: The shapes differ, or there are no examples.
    """
    _check_shapes(predictions, labels)
    if kind == "single-label":
        return _single_label(predictions, labels, n_labels)
    if kind == "multi-label":
        return _multi_label(predictions, labels)
    return {
        "pearson": _correlation(pearsonr, predictions, labels),
        "spearman": _correlation(spearmanr, predictions, labels),
    }


def majority_rate(labels: NDArray[Any]) -> float:
    """Return the share of the commonest class: the accuracy of always answering it."""
    return float(np.unique(labels, return_counts=True)[1].max() / len(labels))


def best_permutation(
    predictions: NDArray[Any], labels: NDArray[Any], n_labels: int
) -> tuple[float, tuple[int, ...]]:
    """Return the best accuracy under any renaming of the predicted classes, and that renaming.

    The renaming holds the task's class at the index of the model's class. Of equally good ones it
    is one that renames fewest classes.
    """
    _check_shapes(predictions, labels)
    matches = confusion_matrix(labels, predictions, labels=range(n_labels)).T
    # Scaled, so that staying in place decides between equals and nothing else.
    score = matches * (n_labels + 1) + np.eye(n_labels, dtype=np.int64)
    rows, renamed = linear_sum_assignment(score, maximize=True)
    return float(matches[rows, renamed].sum() / len(labels)), tuple(int(i) for i in renamed)


def label_order_contradiction(
    predictions: NDArray[Any], labels: NDArray[Any], *, n_labels: int
) -> str | None:
    """Return why the model's classes seem to be in another order than the task's, or None.

    They do if the model does worse than always answering the commonest class, and renaming its
    classes puts it more than 10 points above that, by more than chance: at most one in a thousand
    models that know nothing has any renaming that good on so few examples.
    """
    count, majority = len(labels), majority_rate(labels)
    accuracy = float((predictions == labels).mean())
    renamed_accuracy, renaming = best_permutation(predictions, labels, n_labels)
    if accuracy >= majority or renamed_accuracy <= majority + _CONTRADICTION_MARGIN:
        return None
    right = round(renamed_accuracy * count)
    # The best of n! renamings is looked at, so that chance has n! goes.
    log_chance = binom.logsf(right - 1, count, majority) + math.lgamma(n_labels + 1)
    if log_chance > math.log(_CHANCE):
        return None
    order = ", ".join(f"{i} is {to}" for i, to in enumerate(renaming) if i != to)
    return (
        f"accuracy is {accuracy:.4f}, below the {majority:.4f} of always answering the commonest "
        f"class, but {renamed_accuracy:.4f} if the model's {order} in the task: its labels seem to "
        "be in another order"
    )


def constant_prediction(predictions: NDArray[Any], labels: NDArray[Any]) -> str | None:
    """Return what the model answers to every example, if it should not, or None.

    It should not if drawing answers as often as they occur in the truth would give the same answer
    that many times less than once in a thousand.
    """
    _check_shapes(predictions, labels)
    answers = np.unique(predictions, axis=0)
    shares = np.unique(labels, axis=0, return_counts=True)[1] / len(labels)
    if len(answers) > 1 or np.power(shares, len(labels)).sum() >= _CHANCE:
        return None
    answer = answers[0]
    named = f"labels {np.flatnonzero(answer).tolist()}" if answer.ndim else f"{answer:g}"
    return f"all {len(labels)} examples got the same answer, {named}: the model tells none apart"


def _check_shapes(predictions: NDArray[Any], labels: NDArray[Any]) -> None:
    if predictions.shape != labels.shape or not len(labels):
        raise InputError(
            f"as many predictions as labels are expected, and at least one; found shapes "
            f"{predictions.shape} and {labels.shape}"
        )


def _single_label(
    predictions: NDArray[Any], labels: NDArray[Any], n_labels: int
) -> dict[str, float | None]:
    count = max(n_labels, int(predictions.max()) + 1, int(labels.max()) + 1)
    scores = f1_score(labels, predictions, labels=range(count), average=None, zero_division=np.nan)
    macro = _mean(scores)
    # With one class among the labels there is nothing to be correlated with.
    varied = len(np.unique(labels)) > 1
    return {
        "accuracy": float(accuracy_score(labels, predictions)),
        "f1": _defined(scores[1]) if count == 2 else macro,
        "f1_macro": macro,
        "matthews": float(matthews_corrcoef(labels, predictions)) if varied else None,
    }


def _multi_label(predictions: NDArray[Any], labels: NDArray[Any]) -> dict[str, float | None]:
    # Counted here: scikit-learn takes a single column for two classes.
    hits, predicted, true = (predictions & labels).sum(0), predictions.sum(0), labels.sum(0)
    with np.errstate(invalid="ignore"):
        per_label = 2 * hits / (predicted + true)
        f1, precision, recall = (
            2 * hits.sum() / (predicted.sum() + true.sum()),
            hits.sum() / predicted.sum(),
            hits.sum() / true.sum(),
        )
    return {
        "f1_micro": _defined(f1),
        "f1_macro": _mean(per_label),
        "precision_micro": _defined(precision),
        "recall_micro": _defined(recall),
        "subset_accuracy": float((predictions == labels).all(axis=1).mean()),
        "label_accuracy": float((predictions == labels).mean()),
        "label_accuracy_all_negative": float((labels == 0).mean()),
    }


def _correlation(
    method: Callable[..., Any], predictions: NDArray[Any], labels: NDArray[Any]
) -> float | None:
    """Return a correlation; None if either side does not vary, or is not finite."""
    scaled = []
    for values in (predictions, labels):
        peak = float(np.abs(values).max())
        # Variation in the last digits alone is rounding, for which scipy has a warning.
        if not 0 < peak < math.inf or np.ptp(values / peak) <= 1e-12:
            return None
        scaled.append(values / peak)
    return _defined(method(*scaled).statistic)


def _mean(scores: NDArray[np.float64]) -> float | None:
    """Return the mean of those scores that are defined."""
    known = scores[~np.isnan(scores)]
    return float(known.mean()) if len(known) else None


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
