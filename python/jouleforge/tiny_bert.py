"""The checkpoint of the quickstart: a small BERT classifier with its tokenizer, trained here.

It is a complete transformers folder (config.json, model.safetensors, tokenizer.json), made offline
in about a minute on two cores, so that everything after it meets what it would meet in a real one.
"""

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

from jouleforge.errors import InputError
from jouleforge.modeling import quieten

Row = tuple[str, str]
"""One text and the name of its label."""

_SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_HEAD_WIDTH: Final = 64
_CLIP_NORM: Final = 1.0
_WEIGHT_DECAY: Final = 0.01
# Steps are few: squared gradients are averaged over some fifty of them, rather than a thousand.
_BETAS: Final = (0.9, 0.98)
# BERT's 0.02 is for a width of 768; from so small a start a narrow model learns much more slowly.
_INITIAL_SPREAD: Final = 0.05
_WARMUP_SHARE: Final = 0.1
_BATCHES_PER_POOL: Final = 16
_ROWS_PER_EVALUATION: Final = 64


@dataclass(frozen=True, slots=True)
class TinyBert:
    """The size of the model and how long to train it.

    Attributes:
        layers: Encoder layers.
        hidden: Width of the model, a multiple of the 64 of one head.
        intermediate: Width of the feed-forward layers.
        positions: Longest input in tokens; longer texts are cut.
        vocabulary: Most word pieces to keep.
        short_tokens: Longest text, in tokens, of the passes over short texts that come first.
        short_epochs: Passes over the short texts.
        epochs: Passes over all training rows after that.
        batch: Rows per step.
        learning_rate: Peak of the schedule.
    """

    layers: int = 4
    hidden: int = 128
    intermediate: int = 512
    positions: int = 256
    vocabulary: int = 1500
    short_tokens: int = 12
    short_epochs: int = 3
    epochs: int = 2
    batch: int = 16
    learning_rate: float = 3e-4


@dataclass(frozen=True, slots=True)
class TrainingSummary:
    """What a training took and gave; `accuracy` is a share of the test rows, in [0, 1]."""

    train_rows: int
    test_rows: int
    epochs: int
    duration_s: float
    final_loss: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class _Encoded:
    """Rows as the model takes them: token ids with [CLS] and [SEP], and the number of the label."""

    ids: list[list[int]]
    labels: list[int]


def train_tiny_bert(
    rows_train: Sequence[Row],
    rows_test: Sequence[Row],
    labels: Sequence[str],
    out: Path,
    *,
    seed: int = 0,
    threads: int | None = None,
    size: TinyBert = TinyBert(),
    progress: Callable[[str], None] = lambda _: None,
) -> TrainingSummary:
    """Train a tokenizer and a classifier on the training rows and save both into a folder.

    The same arguments on the same machine and torch give the same weights; torch's random state and
    number of threads are afterwards what they were before.

    Args:
        rows_train: Texts and label names to learn from.
        rows_test: Texts and label names to score the finished model on.
        labels: Label names in the order of the model's outputs.
        out: Folder to write; made if need be.
        seed: Chooses the initial weights, the dropout and the order of the rows.
        threads: Threads of torch; None leaves the number torch has.
        size: Size of the model and length of the training.
        progress: Called with one line of text after each pass over the rows.

    Raises:
        InputError: There are no rows, or a row has a label that is not among the labels.
    """
    start_s = time.monotonic()
    _check_rows("training", rows_train, labels)
    _check_rows("test", rows_test, labels)
    tokenizer = _train_tokenizer([text for text, _ in rows_train], size)
    train = _encode(rows_train, labels, tokenizer, size)
    test = _encode(rows_test, labels, tokenizer, size)
    with _torch_state(seed=seed, threads=threads):
        model = BertForSequenceClassification(_config(len(tokenizer), labels, size))
        _place_by_waves(model)
        final_loss = _fit(model, train, size=size, seed=seed, progress=progress)
        accuracy = _accuracy(model, test)
    progress(f"accuracy on {len(rows_test)} test rows: {accuracy:.3f}")
    quieten()
    tokenizer.save_pretrained(out)
    model.save_pretrained(out)
    return TrainingSummary(
        train_rows=len(rows_train),
        test_rows=len(rows_test),
        epochs=size.epochs,
        duration_s=time.monotonic() - start_s,
        final_loss=final_loss,
        accuracy=accuracy,
    )


def _check_rows(name: str, rows: Sequence[Row], labels: Sequence[str]) -> None:
    """Refuse rows that cannot be learnt from."""
    if not rows:
        raise InputError(f"expected at least one {name} row, found none: give the rows of a task")
    if unknown := sorted({label for _, label in rows} - set(labels)):
        raise InputError(
            f"expected {name} rows labelled {', '.join(labels)}, found {', '.join(unknown)}: "
            "correct the rows or add the label to the task"
        )


def _train_tokenizer(texts: Sequence[str], size: TinyBert) -> BertTokenizer:
    """Return a lower-casing WordPiece tokenizer for the texts, with [PAD] as token 0."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    letters = sorted({letter for text in texts for letter in text.lower() if not letter.isspace()})
    # The trainer numbers letters in the order of a hash table and breaks ties by number. Letters
    # given as special tokens keep their order, and sorting afterwards gives everyone a fixed id.
    alphabet = [*letters, *(f"##{letter}" for letter in letters)]
    tokenizer.train_from_iterator(
        texts,
        trainers.WordPieceTrainer(
            vocab_size=size.vocabulary, special_tokens=[*_SPECIAL, *alphabet], show_progress=False
        ),
    )
    pieces = sorted(set(tokenizer.get_vocab()) - set(_SPECIAL))
    vocabulary = {token: number for number, token in enumerate([*_SPECIAL, *pieces])}
    return BertTokenizer(vocabulary, do_lower_case=True, model_max_length=size.positions)


def _encode(
    rows: Sequence[Row], labels: Sequence[str], tokenizer: BertTokenizer, size: TinyBert
) -> _Encoded:
    """Return the rows as token ids, cut to the model's positions, and label numbers."""
    texts = [text for text, _ in rows]
    encoding = tokenizer(texts, truncation=True, max_length=size.positions)
    number = {label: index for index, label in enumerate(labels)}
    return _Encoded(ids=encoding["input_ids"], labels=[number[label] for _, label in rows])


def _config(vocabulary: int, labels: Sequence[str], size: TinyBert) -> BertConfig:
    """Return the configuration of the model."""
    return BertConfig(
        vocab_size=vocabulary,
        hidden_size=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.hidden // _HEAD_WIDTH,
        intermediate_size=size.intermediate,
        max_position_embeddings=size.positions,
        initializer_range=_INITIAL_SPREAD,
        # Each row is seen a few times only: there is little to overfit, and dropout is slow here.
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=0,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )


@contextmanager
def _torch_state(*, seed: int, threads: int | None) -> Iterator[None]:
    """Seed torch and set its threads for the time of the block."""
    threads_before = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(threads_before if threads is None else threads)
        try:
            yield
        finally:
            torch.set_num_threads(threads_before)


def _place_by_waves(model: BertForSequenceClassification) -> None:
    """Start the position embeddings as sines and cosines, so that near positions look alike.

    From random ones the model would have to learn for each pair of positions that they are near,
    and "not good" takes knowing that.
    """
    weight = model.bert.embeddings.position_embeddings.weight
    positions, hidden = weight.shape
    frequencies = 10_000.0 ** (-torch.arange(0, hidden, 2) / hidden)
    angles = torch.arange(positions)[:, None] * frequencies
    spread = _INITIAL_SPREAD * math.sqrt(2)
    with torch.no_grad():
        weight[:, 0::2] = torch.sin(angles) * spread
        weight[:, 1::2] = torch.cos(angles) * spread


def _fit(
    model: BertForSequenceClassification,
    rows: _Encoded,
    *,
    size: TinyBert,
    seed: int,
    progress: Callable[[str], None],
) -> float:
    """Train the model and return the mean loss of the last pass."""
    start_s = time.monotonic()
    passes = _passes([len(ids) for ids in rows.ids], size, random.Random(seed))
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=size.learning_rate,
        betas=_BETAS,
        weight_decay=_WEIGHT_DECAY,
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _warmup_decay(sum(map(len, passes))))
    loss = math.nan
    model.train()
    for number, batches in enumerate(passes, start=1):
        total = 0.0
        for batch in batches:
            total += _step(model, optimizer, rows, batch)
            schedule.step()
        loss = total / len(batches)
        progress(
            f"pass {number} of {len(passes)}, {sum(map(len, batches))} rows: loss {loss:.3f}, "
            f"{time.monotonic() - start_s:.0f} s"
        )
    return loss


def _step(
    model: BertForSequenceClassification,
    optimizer: torch.optim.Optimizer,
    rows: _Encoded,
    batch: Sequence[int],
) -> float:
    """Learn from one batch of row numbers and return its loss before that."""
    ids, mask = _pad([rows.ids[row] for row in batch])
    target = torch.tensor([rows.labels[row] for row in batch])
    loss = model(input_ids=ids, attention_mask=mask, labels=target).loss
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), _CLIP_NORM)
    optimizer.step()
    return float(loss.item())


def _passes(lengths: Sequence[int], size: TinyBert, order: random.Random) -> list[list[list[int]]]:
    """Return the passes over the rows, each a list of batches of row numbers.

    Short texts come first: what a word means is learnt from them with the fewest tokens.
    """
    rows = list(range(len(lengths)))
    short = [row for row in rows if lengths[row] <= size.short_tokens]
    plan = [short] * size.short_epochs if short else []
    plan += [rows] * size.epochs
    return [_batches(subset, lengths, size.batch, order) for subset in plan]


def _warmup_decay(steps: int) -> Callable[[int], float]:
    """Return the factor of the learning rate by step: up to 1 and then down towards 0, linearly."""
    warmup = max(1, round(steps * _WARMUP_SHARE))
    return lambda step: min((step + 1) / warmup, max(0, steps - step) / max(1, steps - warmup))


def _batches(
    rows: Sequence[int], lengths: Sequence[int], batch: int, order: random.Random
) -> list[list[int]]:
    """Return row numbers in batches of similar length, in random order.

    Rows are sorted by length within pools of several batches only, so that an epoch still mixes
    them while little of a batch is padding.
    """
    shuffled = list(rows)
    order.shuffle(shuffled)
    pool = batch * _BATCHES_PER_POOL
    batches = []
    for first in range(0, len(shuffled), pool):
        near = sorted(shuffled[first : first + pool], key=lambda row: lengths[row])
        batches += [near[start : start + batch] for start in range(0, len(near), batch)]
    order.shuffle(batches)
    return batches


def _pad(ids: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return token ids padded to the longest row, and their mask, both [rows, tokens]."""
    longest = max(len(row) for row in ids)
    padded = torch.tensor([[*row, *[0] * (longest - len(row))] for row in ids])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])
    return padded, mask


def _accuracy(model: BertForSequenceClassification, rows: _Encoded) -> float:
    """Return the share of rows to which the model gives the right label."""
    model.eval()
    right = 0
    by_length = sorted(range(len(rows.ids)), key=lambda row: len(rows.ids[row]))
    with torch.inference_mode():
        for first in range(0, len(by_length), _ROWS_PER_EVALUATION):
            batch = by_length[first : first + _ROWS_PER_EVALUATION]
            ids, mask = _pad([rows.ids[row] for row in batch])
            found = model(input_ids=ids, attention_mask=mask).logits.argmax(dim=-1)
            right += int((found == torch.tensor([rows.labels[row] for row in batch])).sum())
    return right / len(rows.ids)
