"""Batches: every example once, in its real length, under each padding policy."""

from pathlib import Path

import numpy as np
import pytest
from checkpoints import TEXTS, save_tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from jouleforge.errors import InputError
from jouleforge.measurement import WorkloadSpec
from jouleforge.workload import Padding, Workload, batch_rows, build_workload, tokenize_rows

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
TASK = """
name = "toy"
description = "made for a test"
kind = "single-label"
labels = ["no", "yes"]
metric = "accuracy"
[files]
text = ["text"]
label = "label"
[files.splits]
test = { file = "test.tsv" }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("toy")
    words = " ".join(TEXTS).split()
    random = np.random.default_rng(0)
    lines = ["text\tlabel"]
    for number in range(101):
        count = int(random.integers(1, 30))
        lines.append(
            f"{' '.join(random.choice(words, count))} {number}\t{('no', 'yes')[number % 2]}"
        )
    (path / "test.tsv").write_text("\n".join(lines) + "\n")
    (path / "task.toml").write_text(TASK)
    save_tokenizer(path)
    return path


def build(folder: Path, **choices: object) -> Workload:
    spec = WorkloadSpec.model_validate(
        {"task": str(folder / "task.toml"), "batch_size": 8, **choices}
    )
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return build_workload(spec, tokenizer=tokenizer, inputs=INPUTS, max_length=64, pad_id=0)


POLICIES = ["static:64", "longest", "sorted", "bucket:16,32,64"]


@pytest.mark.parametrize("padding", POLICIES)
def test_every_example_stands_in_exactly_one_batch(folder: Path, padding: str) -> None:
    workload = build(folder, padding=padding)
    rows = np.concatenate([batch.rows for batch in workload.batches])
    assert sorted(rows) == list(range(101))
    assert all(1 <= len(batch.rows) <= 8 for batch in workload.batches)


@pytest.mark.parametrize("padding", POLICIES)
def test_tokens_are_the_texts_own_whatever_the_padding(folder: Path, padding: str) -> None:
    workload = build(folder, padding=padding)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for batch in workload.batches:
        for place, row in enumerate(batch.rows):
            mask = batch.inputs["attention_mask"][place].astype(bool)
            ids = batch.inputs["input_ids"][place]
            assert ids[mask].tolist() == tokenizer.encode(workload.examples.texts[row][0]).ids
            assert (ids[~mask] == 0).all()


@pytest.mark.parametrize("padding", POLICIES)
def test_token_counts_are_those_of_the_batches(folder: Path, padding: str) -> None:
    workload = build(folder, padding=padding)
    facts = workload.facts
    assert facts.real_tokens == sum(b.inputs["attention_mask"].sum() for b in workload.batches)
    assert facts.computed_tokens == sum(b.inputs["input_ids"].size for b in workload.batches)
    assert facts.batches == len(workload.batches)
    assert 0 <= facts.padding_fraction < 1
    assert facts.truncated == 0


def test_sorting_pads_least_and_a_static_length_most(folder: Path) -> None:
    fraction = {p: build(folder, padding=p).facts.padding_fraction for p in POLICIES}
    assert fraction["sorted"] < fraction["longest"] < fraction["static:64"]
    assert fraction["bucket:16,32,64"] < fraction["static:64"]


def test_buckets_give_few_shapes(folder: Path) -> None:
    widths = {b.inputs["input_ids"].shape[1] for b in build(folder, padding=POLICIES[3]).batches}
    assert widths <= {16, 32, 64}


def test_chosen_buckets_are_named_by_their_lengths_and_pad_less_than_others(folder: Path) -> None:
    chosen = build(folder, padding="bucket:auto:3")
    widths = {batch.inputs["input_ids"].shape[1] for batch in chosen.batches}
    assert chosen.spec.padding == "bucket:" + ",".join(map(str, sorted(widths)))
    assert len(widths) == 3
    again = build(folder, padding=chosen.spec.padding)
    assert again.facts.batches_digest == chosen.facts.batches_digest
    given_buckets = build(folder, padding="bucket:16,32,64")
    assert chosen.facts.computed_tokens < given_buckets.facts.computed_tokens


def test_texts_that_do_not_fit_are_cut_and_counted(folder: Path) -> None:
    workload = build(folder, padding="static:8")
    assert workload.facts.truncated > 0
    assert {b.inputs["input_ids"].shape[1] for b in workload.batches} == {8}
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    last = tokenizer.token_to_id("[SEP]")
    for batch in workload.batches:
        lengths = batch.inputs["attention_mask"].sum(axis=1)
        ends = batch.inputs["input_ids"][np.arange(len(lengths)), lengths - 1]
        assert (ends == last).all(), "a cut text still ends as the model was trained to see it"


def test_order_is_that_of_the_seed(folder: Path) -> None:
    one, again, other = (build(folder, order_seed=seed) for seed in (1, 1, 2))
    assert one.facts.batches_digest == again.facts.batches_digest
    assert one.facts.batches_digest != other.facts.batches_digest
    assert one.facts.digest == other.facts.digest


def test_limit_takes_that_many_examples(folder: Path) -> None:
    assert build(folder, limit=10).facts.examples == 10


@pytest.mark.parametrize(
    "text", ["", "none", "static", "static:", "static:x", "static:1,2", "sorted:3", "bucket:8,8",
             "bucket:32,16", "bucket:0,8", "bucket:auto", "bucket:auto:", "bucket:auto:0",
             "bucket:auto:x", "static:auto:2", "longest:"]
)  # fmt: skip
def test_padding_that_means_nothing_is_one_clear_error(text: str) -> None:
    if text == "longest:":
        assert Padding.parse(text).policy == "longest"
        return
    with pytest.raises(InputError, match=r"padding"):
        Padding.parse(text)


def test_padding_beyond_the_engine_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="longer than the engine's 64 tokens"):
        build(folder, padding="static:65")


def test_rows_tokenised_once_serve_every_padding(folder: Path) -> None:
    spec = WorkloadSpec(task=str(folder / "task.toml"), batch_size=8, padding="static:8")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    rows = tokenize_rows(spec, tokenizer=tokenizer, limit=64)
    for padding in [*POLICIES, "exact"]:
        shared, own = (
            batch_rows(rows, padding, inputs=INPUTS, pad_id=0),
            build(folder, padding=padding),
        )
        assert shared.spec == own.spec
        assert shared.facts.model_copy(update={"tokenize_s": own.facts.tokenize_s}) == own.facts


def test_padding_that_ends_elsewhere_than_the_rows_is_refused(folder: Path) -> None:
    spec = WorkloadSpec(task=str(folder / "task.toml"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    rows = tokenize_rows(spec, tokenizer=tokenizer, limit=64)
    for padding in ("static:32", "bucket:16,128"):
        with pytest.raises(InputError, match="the rows were cut to 64"):
            batch_rows(rows, padding, inputs=INPUTS, pad_id=0)


@given(st.lists(st.integers(1, 512), min_size=1, unique=True))
@settings(max_examples=50)
def test_bucket_lengths_survive_parsing(lengths: list[int]) -> None:
    text = "bucket:" + ",".join(map(str, sorted(lengths)))
    assert Padding.parse(text).lengths == tuple(sorted(lengths))
