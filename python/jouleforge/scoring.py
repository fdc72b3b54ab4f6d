"""Scoring: from the logits that a timed window wrote to decisions, metrics and what is wrong."""

import numpy as np
from numpy.typing import NDArray

from jouleforge import digest, metrics
from jouleforge.caveats import Caveat
from jouleforge.engine import Engine
from jouleforge.errors import InputError
from jouleforge.labels import LabelMap, match_labels
from jouleforge.measurement import Quality
from jouleforge.packed import PackedArray
from jouleforge.workload import Workload


def match_head(engine: Engine, workload: Workload) -> LabelMap | None:
    """Return the label map, or None for regression; check that the head suits the task."""
    head, task = engine.manifest.checkpoint, workload.task
    if head.kind is not None and head.kind != task.kind:
        raise InputError(
            f"{engine.path} is a {head.kind} engine, the task {task.name} is {task.kind}"
        )
    if task.kind == "regression":
        if len(head.labels) != 1:
            raise InputError(
                f"the task {task.name} is a regression with one output, {engine.path} has "
                f"{len(head.labels)}"
            )
        return None
    return match_labels(head.labels, task.labels)


def score(
    logits: NDArray[np.float32], workload: Workload, labels: LabelMap | None
) -> tuple[Quality, dict[Caveat, str]]:
    """Return the quality of the answers, and what is wrong with them."""
    task, truth = workload.task, workload.examples.labels
    ordered = logits if labels is None else logits[:, labels.columns]
    answers = metrics.decisions(task.kind, ordered)
    notes: dict[Caveat, str] = {}
    if (constant := metrics.constant_prediction(answers, truth)) is not None:
        notes[Caveat.CONSTANT_PREDICTION] = constant
    majority = None
    if task.kind == "single-label":
        majority = metrics.majority_rate(truth)
        count = len(task.labels)
        order = metrics.label_order_contradiction(answers, truth, n_labels=count)
        if order is not None:
            notes[Caveat.LABEL_ORDER] = order
    quality = Quality(
        metrics=metrics.compute(task.kind, answers, truth, n_labels=max(2, len(task.labels))),
        headline=task.metric,
        majority_rate=majority,
        decisions=PackedArray.pack(_compact(answers)),
        correct=None if task.kind == "regression" else PackedArray.pack(_correct(answers, truth)),
        outputs_digest=digest.of_bytes(np.ascontiguousarray(ordered, dtype="<f4").tobytes()),
    )
    return quality, notes


def _correct(answers: metrics.Labels, truth: metrics.Labels) -> NDArray[np.bool_]:
    """Return whether all of each example's labels were found, and no others."""
    equal = np.equal(answers, truth)
    return equal if equal.ndim == 1 else np.asarray(equal.all(axis=1))


def _compact(answers: metrics.Labels) -> NDArray[np.generic]:
    """Return the answers in the smallest type that loses nothing a comparison needs."""
    if answers.dtype == np.bool_:
        return answers
    if answers.dtype.kind == "f":
        return answers.astype(np.float32)
    return answers.astype(np.uint8 if answers.max() < 256 else np.uint16)
