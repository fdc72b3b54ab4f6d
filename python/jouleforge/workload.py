"""Workload: a task's own texts as token batches under a named padding policy."""

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from jouleforge.buckets import choose_buckets
from jouleforge.engine import TOKENIZER, Engine
from jouleforge.errors import InputError
from jouleforge.measurement import WorkloadFacts, WorkloadSpec
from jouleforge.task import Examples, Task

AUTO = "bucket:auto:"
PolicyName = Literal["static", "longest", "sorted", "exact", "bucket"]


@dataclass(frozen=True, slots=True)
class Padding:
    """A padding policy.

    * `static:N`: every batch is N tokens long.
    * `longest`: examples in a shuffled order; a batch is as long as its longest example.
    * `sorted`: examples of similar length share a batch, which is as long as its longest example.
    * `exact`: only examples of equal length share a batch, and nothing is padded.
    * `bucket:N,M,…`: an example goes to the shortest bucket that holds it; a batch is as long as
      its bucket.
    * `bucket:auto:K`: the K buckets that cost the rows at hand the fewest computed tokens.
    """

    policy: PolicyName
    lengths: tuple[int, ...] = ()
    most_buckets: int | None = None
    """How many buckets may be chosen; `None` when they are given, or there are none."""

    @classmethod
    def parse(cls, text: str) -> "Padding":
        """Return the policy that a text names.

        Raises:
            InputError: It names none, or its lengths are missing, not positive or not increasing.
        """
        name, _, numbers = text.partition(":")
        takes_lengths = name in ("static", "bucket")
        if name not in get_args(PolicyName) or takes_lengths != bool(numbers):
            raise InputError(
                f"padding {text!r} is none of: static:N, longest, sorted, exact, bucket:N,M,… "
                "(tokens), bucket:auto:K (K buckets)"
            )
        if text.startswith(AUTO):
            return cls("bucket", most_buckets=_count(text))
        try:
            lengths = tuple(int(number) for number in numbers.split(",")) if numbers else ()
        except ValueError:
            raise InputError(f"padding {text!r}: lengths are whole numbers of tokens") from None
        if any(length < 1 for length in lengths) or list(lengths) != sorted(set(lengths)):
            raise InputError(f"padding {text!r}: lengths must be positive and increase")
        if name == "static" and len(lengths) != 1:
            raise InputError(f"padding {text!r}: static takes one length, as in static:128")
        return cls(name, lengths)  # type: ignore[arg-type]

    @property
    def limit(self) -> int | None:
        """Longest sequence that fits, in tokens; `None` if any does."""
        return self.lengths[-1] if self.lengths else None

    def on(self, lengths: NDArray[np.int64]) -> "Padding":
        """Return the policy with its buckets chosen for texts of these lengths [tokens]."""
        if self.most_buckets is None:
            return self
        return Padding("bucket", choose_buckets(lengths, self.most_buckets))

    def __str__(self) -> str:
        if self.most_buckets is not None:
            return f"{AUTO}{self.most_buckets}"
        return ":".join([self.policy, *filter(None, [",".join(map(str, self.lengths))])])


def _count(text: str) -> int:
    count = text.removeprefix(AUTO)
    if not count.isdecimal() or int(count) < 1:
        raise InputError(f"padding {text!r}: expected a number of buckets, as in bucket:auto:4")
    return int(count)


class Batch(NamedTuple):
    """One call of the engine."""

    inputs: dict[str, NDArray[np.int64]]
    """Arrays of shape (rows, length)."""
    rows: NDArray[np.int64]
    """Numbers of the examples in it."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Batches in the order they run, with the examples they came from."""

    spec: WorkloadSpec
    facts: WorkloadFacts
    batches: list[Batch]
    examples: Examples
    task: Task


@dataclass(frozen=True, slots=True)
class TokenizedRows:
    """Rows of a task's split, read and tokenised once, for any number of padding policies."""

    spec: WorkloadSpec
    task: Task
    examples: Examples
    encodings: list[Encoding]
    """One a row, in the data's order, without padding."""
    limit: int
    """Length in tokens that longer rows were cut to."""
    truncated: int
    """How many rows were cut."""
    tokenize_s: float


def build_workload(
    spec: WorkloadSpec,
    *,
    tokenizer: Tokenizer,
    inputs: Sequence[str],
    max_length: int,
    pad_id: int,
) -> Workload:
    """Return the batches of a task's split.

    Args:
        spec: Which rows, and how to batch them.
        tokenizer: The engine's own; special tokens are added by it.
        inputs: Names of the arrays the engine takes.
        max_length: Longest sequence the engine takes, in tokens.
        pad_id: Token id that fills the padding; it is masked as well.

    Raises:
        InputError: The task, its data or the padding policy cannot be used.
    """
    limit = Padding.parse(spec.padding).limit or max_length
    if limit > max_length:
        raise InputError(
            f"padding {spec.padding!r} is longer than the engine's {max_length} tokens"
        )
    rows = tokenize_rows(spec, tokenizer=tokenizer, limit=limit)
    return batch_rows(rows, spec.padding, inputs=inputs, pad_id=pad_id)


def engine_workload(engine: Engine, spec: WorkloadSpec) -> Workload:
    """Return the batches of a task's split as an engine takes them, by its own tokenizer.

    Raises:
        InputError: The task, its data or the padding policy cannot be used.
    """
    manifest = engine.manifest
    return build_workload(
        spec,
        tokenizer=Tokenizer.from_file(str(engine.path / TOKENIZER)),
        inputs=[tensor.name for tensor in manifest.inputs],
        max_length=manifest.max_length,
        pad_id=manifest.pad_id,
    )


def tokenize_rows(spec: WorkloadSpec, *, tokenizer: Tokenizer, limit: int) -> TokenizedRows:
    """Return the rows of a task's split as tokens.

    Args:
        spec: Which rows; its padding is not looked at.
        tokenizer: The engine's own; special tokens are added by it.
        limit: Length in tokens that longer rows are cut to.

    Raises:
        InputError: The task or its data cannot be used.
    """
    task = Task.load(spec.task)
    examples = task.examples(spec.split, limit=spec.limit, seed=spec.sample_seed)
    encodings, truncated, tokenize_s = _tokenize(tokenizer, examples, limit)
    # The name, not the path it was loaded by: rows of one task stay comparable wherever it lies.
    named = spec.model_copy(update={"task": task.name})
    return TokenizedRows(named, task, examples, encodings, limit, truncated, tokenize_s)


def batch_rows(
    rows: TokenizedRows, padding: str, *, inputs: Sequence[str], pad_id: int
) -> Workload:
    """Return the rows' batches under a padding policy, in the size and order their spec asks for.

    Args:
        rows: What to batch.
        padding: The policy, in place of the spec's own.
        inputs: Names of the arrays the engine takes.
        pad_id: Token id that fills the padding; it is masked as well.

    Raises:
        InputError: There is no such policy, it ends at another length than the rows were cut to,
            or the engine takes an array that is not known.
    """
    policy = Padding.parse(padding)
    if policy.limit not in (None, rows.limit):
        raise InputError(
            f"padding {padding!r} ends at {policy.limit} tokens, and the rows were cut to "
            f"{rows.limit}; cut them to the same length"
        )
    lengths = np.array([len(encoding.ids) for encoding in rows.encodings], dtype=np.int64)
    policy = policy.on(lengths)
    # Chosen buckets are named by their lengths: that is what ran.
    spec = rows.spec.model_copy(update={"padding": str(policy)})
    batches = [
        _batch(rows.encodings, members, width, tuple(inputs), pad_id)
        for members, width in _groups(lengths, policy, spec.batch_size, spec.order_seed)
    ]
    facts = WorkloadFacts(
        kind=rows.task.kind,
        source=rows.examples.source,
        digest=rows.examples.digest,
        batches_digest=_digest(batches),
        examples=len(rows.encodings),
        batches=len(batches),
        real_tokens=int(lengths.sum()),
        computed_tokens=sum(batch.inputs["input_ids"].size for batch in batches),
        truncated=rows.truncated,
        tokenize_s=rows.tokenize_s,
    )
    return Workload(spec=spec, facts=facts, batches=batches, examples=rows.examples, task=rows.task)


def _tokenize(
    tokenizer: Tokenizer, examples: Examples, limit: int
) -> tuple[list[Encoding], int, float]:
    """Return the encodings, how many were cut, and the time it took in s."""
    texts = examples.tokenizer_inputs
    tokenizer.no_truncation()
    started = time.monotonic()
    encodings = tokenizer.encode_batch(texts)
    tokenize_s = time.monotonic() - started
    over = [number for number, encoding in enumerate(encodings) if len(encoding.ids) > limit]
    if over:
        tokenizer.enable_truncation(limit, strategy="longest_first")
        for number, encoding in zip(
            over, tokenizer.encode_batch([texts[number] for number in over]), strict=True
        ):
            encodings[number] = encoding
        tokenizer.no_truncation()
    return encodings, len(over), tokenize_s


def _groups(
    lengths: NDArray[np.int64], padding: Padding, batch_size: int, seed: int
) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Give the rows of each batch and its length, in the order the batches run.

    Rows are shuffled first in every policy, and batches last: neither the file's order nor the
    order of lengths may line up with anything else that changes with time.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(len(lengths))
    groups: list[tuple[NDArray[np.int64], int]] = []
    if padding.policy == "bucket":
        bucket_of = np.searchsorted(padding.lengths, lengths[order])
        for number, width in enumerate(padding.lengths):
            members = order[bucket_of == number]
            groups += [(rows, width) for rows in _chunks(members, batch_size)]
    elif padding.policy == "exact":
        for width in np.unique(lengths):
            members = order[lengths[order] == width]
            groups += [(rows, int(width)) for rows in _chunks(members, batch_size)]
    else:
        if padding.policy == "sorted":
            order = order[np.argsort(lengths[order], kind="stable")]
        for rows in _chunks(order, batch_size):
            width = padding.lengths[0] if padding.policy == "static" else int(lengths[rows].max())
            groups.append((rows, width))
    yield from (groups[index] for index in random.permutation(len(groups)))


def _chunks(rows: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    yield from (rows[start : start + size] for start in range(0, len(rows), size))


def _batch(
    encodings: list[Encoding],
    rows: NDArray[np.int64],
    width: int,
    inputs: tuple[str, ...],
    pad_id: int,
) -> Batch:
    ids = np.full((len(rows), width), pad_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    types = np.zeros_like(ids)
    for place, row in enumerate(rows):
        encoding = encodings[row]
        count = len(encoding.ids)
        ids[place, :count] = encoding.ids
        mask[place, :count] = 1
        types[place, :count] = encoding.type_ids
    arrays = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    unknown = [name for name in inputs if name not in arrays]
    if unknown:
        raise InputError(f"the engine takes {', '.join(unknown)}; known are {', '.join(arrays)}")
    return Batch({name: arrays[name] for name in inputs}, rows)


def _digest(batches: list[Batch]) -> str:
    total = hashlib.sha256()
    for batch in batches:
        for name, array in sorted(batch.inputs.items()):
            total.update(f"{name}{array.shape}".encode())
            total.update(array.astype("<i8").tobytes())
    return total.hexdigest()
