"""Gate: an engine must do the task as well as the float32 module, however its input is padded."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from jouleforge import metrics
from jouleforge.checkpoint import Checkpoint
from jouleforge.converters.parity import Answer, Logits, module_logits
from jouleforge.errors import GateError, InputError
from jouleforge.labels import match_labels
from jouleforge.measurement import WorkloadSpec
from jouleforge.proof import Gate, PolicyScore
from jouleforge.recipe import Recipe
from jouleforge.task import Task
from jouleforge.workload import Workload, batch_rows, tokenize_rows

_BUCKETS = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
_BATCH = 32
_WORST = 3


@dataclass(frozen=True, slots=True)
class _Policy:
    """The selection split under one padding policy, in the data's order when put together."""

    workload: Workload

    def answer(self, answer: Answer) -> Logits:
        """Return the logits of every row in the data's order, shape (rows, outputs)."""
        batches = self.workload.batches
        parts = [answer(batch.inputs) for batch in batches]
        logits = np.empty((self.workload.facts.examples, parts[0].shape[1]), np.float32)
        for batch, part in zip(batches, parts, strict=True):
            logits[batch.rows] = part
        return logits


class Judge:
    """Scores answers on a task's selection split against those of the float32 module."""

    def __init__(
        self,
        model: PreTrainedModel,
        checkpoint: Checkpoint,
        task: str,
        *,
        reader: Tokenizer,
        inputs: Sequence[str],
        max_length: int,
        rows: int,
    ) -> None:
        """Read the split and answer it once with the module.

        Raises:
            InputError: The task has no selection split, or is not what the checkpoint's head does.
        """
        self._task = Task.load(task)
        if checkpoint.kind not in (None, self._task.kind):
            raise InputError(
                f"{checkpoint.name} is a {checkpoint.kind} classifier, the task {self._task.name} "
                f"is {self._task.kind}; name the task it was fine-tuned for"
            )
        self._columns = _columns(checkpoint, self._task)
        spec = WorkloadSpec(task=task, split="selection", batch_size=_BATCH, limit=rows)
        tokens = tokenize_rows(spec, tokenizer=reader, limit=max_length)
        buckets = [*(size for size in _BUCKETS if size < max_length), max_length]
        longest, bucket, by_length = (
            _Policy(batch_rows(tokens, padding, inputs=inputs, pad_id=checkpoint.pad_id))
            for padding in ("longest", f"bucket:{','.join(map(str, buckets))}", "sorted")
        )
        self._policies = [longest, bucket]
        self._texts = tokens.examples.texts
        self._truth = tokens.examples.labels
        self._digest = tokens.examples.digest
        self._reference = self._ordered(by_length.answer(lambda case: module_logits(model, case)))
        self._reference_value = self._metric(self._decide(self._reference))

    @property
    def sample(self) -> Workload:
        """The split under the first policy, for whoever wants to try something on it."""
        return self._policies[0].workload

    def score(self, answer: Answer) -> tuple[PolicyScore, ...]:
        """Return how the answers do under each padding policy."""
        return tuple(
            self.score_logits(policy.answer(answer), policy.workload.spec.padding)
            for policy in self._policies
        )

    def score_logits(self, logits: Logits, padding: str) -> PolicyScore:
        """Return how the logits of all rows, in the data's order, compare with the module's."""
        ordered = self._ordered(logits)
        found, wanted = self._decide(ordered), self._decide(self._reference)
        changed = _differs(self._task.kind, found, wanted)
        value = self._metric(found)
        reference = self._reference_value
        return PolicyScore(
            padding=padding,
            value=value,
            drop=0.0 if reference is None else 100 * (reference - (value or 0.0)),
            changed=float(changed.mean()),
            divergence=self._divergence(ordered),
        )

    def record(self, scores: tuple[PolicyScore, ...]) -> Gate:
        """Return the gate's entry of the manifest."""
        return Gate(
            task=self._task.name,
            metric=self._task.metric,
            rows=len(self._texts),
            digest=self._digest,
            reference=self._reference_value,
            scores=scores,
        )

    def worst(self, answer: Answer) -> str:
        """Return the rows whose answers moved most, for the message of a failed gate."""
        policy = self._policies[0]
        ordered = self._ordered(policy.answer(answer))
        moved = np.abs(ordered - self._reference).max(axis=1)
        lines = []
        for row in np.argsort(-moved)[:_WORST]:
            text = " | ".join(self._texts[row])
            shown = text if len(text) <= 80 else f"{text[:77]}…"
            lines.append(
                f"row {row} {shown!r}: {_short(ordered[row])}, expected "
                f"{_short(self._reference[row])}"
            )
        return "; ".join(lines)

    def _ordered(self, logits: Logits) -> Logits:
        return logits if self._columns is None else logits[:, self._columns]

    def _decide(self, logits: Logits) -> metrics.Labels:
        return metrics.decisions(self._task.kind, logits)

    def _metric(self, answers: metrics.Labels) -> float | None:
        labels = max(2, len(self._task.labels))
        found = metrics.compute(self._task.kind, answers, self._truth, n_labels=labels)
        return found[self._task.metric]

    def _divergence(self, logits: Logits) -> float:
        if self._task.kind == "regression":
            return float(np.sqrt(np.mean((logits - self._reference) ** 2)))
        if self._task.kind == "multi-label":
            moved = np.abs(expit(logits) - expit(self._reference)).max(axis=1)
        else:
            pair = softmax(logits, axis=1), softmax(self._reference, axis=1)
            moved = np.abs(pair[0] - pair[1]).sum(axis=1) / 2
        return float(moved.mean())


def passes(scores: Sequence[PolicyScore], recipe: Recipe) -> bool:
    """Return whether the scores keep to the recipe's limits under every policy."""
    return all(
        score.drop <= recipe.max_drop and score.changed <= recipe.max_changed for score in scores
    )


def failure(
    judge: Judge, scores: Sequence[PolicyScore], recipe: Recipe, answer: Answer, where: str
) -> GateError:
    """Return the error of scores that do not pass: it holds them, the worst rows, and `where`."""
    found = "; ".join(
        f"{score.padding.partition(':')[0]}: {score.drop:.2f} points lost, "
        f"{score.changed:.1%} of the decisions changed"
        for score in scores
    )
    return GateError(
        f"the engine fails the gate on the selection split ({found}; allowed {recipe.max_drop:g} "
        f"points, {recipe.max_changed:.1%}). Worst: {judge.worst(answer)}. {where} "
        f"{_advice(recipe)} No engine was written."
    )


def _advice(recipe: Recipe) -> str:
    if not recipe.is_calibrated:
        return "Try another --precision."
    untried = []
    if recipe.quantizer != "nncf":
        untried.append("another --calibrator")
        untried += ["--smoothquant auto"] if recipe.smoothquant == "off" else []
        untried += ["--keep-float auto"] if recipe.keep_float != "auto" else []
    return f"Try {' or '.join([*untried, 'another --precision'])}."


def _columns(checkpoint: Checkpoint, task: Task) -> list[int] | None:
    if task.kind == "regression":
        return None
    return list(match_labels(checkpoint.labels, task.labels).columns)


def _differs(kind: str, found: metrics.Labels, wanted: metrics.Labels) -> NDArray[np.bool_]:
    """Return which rows' decisions differ; a value counts as changed if it moved by over 0.1."""
    if kind == "regression":
        return np.asarray(np.abs(found.astype(float) - wanted.astype(float)) > 0.1)
    differs = found != wanted
    return np.asarray(differs if differs.ndim == 1 else differs.any(axis=1))


def _short(logits: NDArray[np.floating]) -> str:
    return (
        "["
        + ", ".join(f"{value:.3g}" for value in logits[:4])
        + ("]" if logits.size <= 4 else ", …]")
    )
