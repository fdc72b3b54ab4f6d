"""Parity: an engine must answer as the eager float32 module does, or it is not written.

The inputs are real sentences in every arrangement that has broken an exporter: padded on the right,
on the left and with holes, of odd and even lengths, one row, one token, and the longest sequence.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from jouleforge.checkpoint import TaskKind
from jouleforge.errors import GateError
from jouleforge.proof import ParityStage
from jouleforge.recipe import Recipe

Inputs = dict[str, NDArray[np.int64]]
Logits = NDArray[np.float32]
Answer = Callable[[Inputs], Logits]

_SENTENCES = (
    "Good.",
    "It never quite comes together.",
    "The second half is a delight, and the cast clearly enjoys every minute of it.",
    "We tested the filter on three continents; the results, however, did not agree.",
    "Nothing here is new, but what is old is told with warmth, wit and an eye for detail that "
    "most films twice its length would be proud of.",
    "She sold the house in 1987 for $12,500, moved to the coast, and was not heard of again "
    "until a letter arrived, thirty years later, asking whether the piano was still in tune.",
    "Is this what you wanted?",
    "A careful reading of the report shows that costs fell by 4 % while complaints doubled.",
)
_ODD_LENGTHS = (2, 3, 7, 31)


@dataclass(frozen=True, slots=True)
class Bound:
    """How far logits may be from the reference."""

    statistic: Literal["max_abs_error", "rms_error"]
    absolute: float
    relative: float
    """Of the largest logit for the maximum, of the logits' spread for the root mean square."""


# Another order of additions moves a float32 logit by some 1e-6; a wrong mask by 1e-3 and more.
EXACT = Bound("max_abs_error", absolute=1e-4, relative=1e-4)
# INT8 moves logits by design. This bound only catches a broken graph; whether the accuracy is good
# enough is decided on the task's own data.
QUANTIZED = Bound("rms_error", absolute=0.02, relative=0.5)

# Ten bits of mantissa move a logit by some thousandths, seven by some hundredths.
_BOUNDS = {
    "fp32": EXACT,
    "fp16": Bound("rms_error", absolute=0.005, relative=0.02),
    "bf16": Bound("rms_error", absolute=0.02, relative=0.1),
    "int8": QUANTIZED,
    "int8-dynamic": QUANTIZED,
    "fp8": QUANTIZED,
}


def make_cases(
    tokenizer: Tokenizer, inputs: tuple[str, ...], *, max_length: int, pad_id: int
) -> list[Inputs]:
    """Return the input batches, each a dictionary of int64 arrays of shape (batch, sequence)."""
    rows = [tokenizer.encode(sentence).ids[:max_length] for sentence in _SENTENCES]
    endless = [token for row in rows for token in row[1:-1]] * (1 + max_length // 16)
    batches = [
        _padded(rows, pad_id, side="right"),
        _padded(rows, pad_id, side="left"),
        _with_holes(rows, pad_id),
        _padded([rows[5]], pad_id, side="right"),
        _padded([rows[0][:1]], pad_id, side="right"),
        _padded([endless[:max_length]], pad_id, side="right"),
    ]
    batches += [
        _padded([endless[:length], endless[length : 2 * length]], pad_id, side="right")
        for length in _ODD_LENGTHS
        if length <= max_length
    ]
    return [_named(ids, mask, inputs) for ids, mask in batches]


def bound(recipe: Recipe) -> Bound:
    """Return how far an engine of this recipe may be from the module."""
    return _BOUNDS[recipe.precision]


def store(file: Path, cases: Sequence[Inputs], expected: Sequence[Logits]) -> None:
    """Write inputs and the logits they must give, so that an engine can be checked again."""
    arrays: dict[str, NDArray[Any]] = {
        f"{i}/{name}": array for i, case in enumerate(cases) for name, array in case.items()
    }
    arrays |= {f"{i}/logits": logits for i, logits in enumerate(expected)}
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def load(file: Path) -> tuple[list[Inputs], list[Logits]]:
    """Return what `store` wrote."""
    with np.load(file, allow_pickle=False) as stored:
        batches: dict[int, dict[str, NDArray[Any]]] = {}
        for key in stored.files:
            number, _, name = key.partition("/")
            batches.setdefault(int(number), {})[name] = stored[key]
    ordered = [batches[number] for number in sorted(batches)]
    expected = [batch.pop("logits") for batch in ordered]
    return ordered, expected


def module_logits(model: PreTrainedModel, case: Inputs) -> Logits:
    """Return the logits a PyTorch module gives for one case."""
    with torch.inference_mode():
        output = model(**{name: torch.from_numpy(array) for name, array in case.items()})
    logits: Logits = output.logits.numpy()
    return logits


def check(
    name: str,
    answer: Answer,
    *,
    cases: Sequence[Inputs],
    expected: Sequence[Logits],
    bound: Bound,
    kind: TaskKind | None,
) -> ParityStage:
    """Return how near the answers are to the expected logits.

    Raises:
        GateError: An answer has another shape, is not finite, or is outside the bound.
    """
    found = [answer(case) for case in cases]
    for case, got, want in zip(cases, found, expected, strict=True):
        _check_sound(name, case, got, want)
    got, want = np.concatenate(found), np.concatenate(expected)
    errors = np.abs(got - want)
    maximum, rms = float(errors.max()), float(np.sqrt(np.mean(errors**2)))
    if bound.statistic == "max_abs_error":
        value, tolerance = maximum, bound.absolute + bound.relative * float(np.abs(want).max())
    else:
        value, tolerance = rms, bound.absolute + bound.relative * float(want.std())
    if value > tolerance:
        worst = max(range(len(cases)), key=lambda i: float(np.abs(found[i] - expected[i]).max()))
        raise GateError(
            f"parity of {name} failed: {bound.statistic} {value:.3g} on logits, allowed "
            f"{tolerance:.3g}; worst on inputs of shape {cases[worst]['input_ids'].shape} "
            f"(case {worst}). No engine was written."
        )
    return ParityStage(
        name=name,
        cases=len(cases),
        rows=len(want),
        max_abs_error=maximum,
        rms_error=rms,
        bounded=bound.statistic,
        tolerance=tolerance,
        decisions_equal=int(np.all(_decisions(kind, got) == _decisions(kind, want), axis=-1).sum()),
    )


def _check_sound(name: str, case: Inputs, got: Logits, want: Logits) -> None:
    shape = case["input_ids"].shape
    if got.shape != want.shape:
        raise GateError(
            f"parity of {name} failed: logits of shape {got.shape}, expected {want.shape}, on "
            f"inputs of shape {shape}. No engine was written."
        )
    if not np.isfinite(got).all():
        raise GateError(
            f"parity of {name} failed: NaN or infinity in the logits on inputs of shape {shape}. "
            "No engine was written."
        )


def _decisions(kind: TaskKind | None, logits: Logits) -> NDArray[np.generic]:
    """Return the decisions of each row, shape (rows, decisions)."""
    if kind == "multi-label":
        return logits >= 0
    if kind == "regression":
        return logits.round(1)
    return np.asarray(logits.argmax(axis=-1, keepdims=True))


def _padded(
    rows: Sequence[Sequence[int]], pad_id: int, *, side: Literal["left", "right"]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    width = max(map(len, rows))
    ids = np.full((len(rows), width), pad_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    for number, row in enumerate(rows):
        place = slice(0, len(row)) if side == "right" else slice(width - len(row), width)
        ids[number, place] = row
        mask[number, place] = 1
    return ids, mask


def _with_holes(
    rows: Sequence[Sequence[int]], pad_id: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    ids, mask = _padded(rows, pad_id, side="right")
    mask[:, 2::3] = 0
    return ids, mask


def _named(ids: NDArray[np.int64], mask: NDArray[np.int64], inputs: tuple[str, ...]) -> Inputs:
    case = {"input_ids": ids, "attention_mask": mask}
    if "token_type_ids" in inputs:
        types = np.zeros_like(ids)
        types[:, ids.shape[1] // 2 :] = 1
        case["token_type_ids"] = types
    return case
