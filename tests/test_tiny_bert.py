"""The checkpoint of the quickstart: trained in seconds here, whole in the test marked slow."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from jouleforge.errors import InputError
from jouleforge.synthetic import LABELS, Row, make_rows
from jouleforge.tiny_bert import TinyBert, TrainingSummary, train_tiny_bert

SIZE = TinyBert(
    layers=1, hidden=64, intermediate=64, positions=64, vocabulary=300, short_epochs=1, epochs=2
)


@dataclass(frozen=True, slots=True)
class Trained:
    folder: Path
    summary: TrainingSummary
    lines: list[str]


def train(out: Path, *, seed: int = 0) -> Trained:
    rows = make_rows(160, seed=0)
    lines: list[str] = []
    summary = train_tiny_bert(
        rows[:120], rows[120:], LABELS, out, seed=seed, threads=1, size=SIZE, progress=lines.append
    )
    return Trained(out, summary, lines)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(tmp_path_factory.mktemp("tiny") / "checkpoint")


def reloaded_accuracy(folder: Path, rows: list[Row]) -> float:
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True).eval()
    right = 0
    for text, label in rows:
        with torch.inference_mode():
            logits = model(**tokenizer(text, truncation=True, return_tensors="pt")).logits
        right += model.config.id2label[int(logits.argmax())] == label
    return right / len(rows)


def test_folder_holds_a_float32_model_and_a_tokenizer(trained: Trained) -> None:
    names = {file.name for file in trained.folder.iterdir()}
    assert {
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"
    } <= names  # fmt: skip
    with safe_open(trained.folder / "model.safetensors", framework="pt") as weights:
        assert {weights.get_tensor(name).dtype for name in weights.keys()} == {torch.float32}  # noqa: SIM118


def test_reloaded_model_answers_as_the_summary_says(trained: Trained) -> None:
    rows = make_rows(160, seed=0)[120:]
    assert reloaded_accuracy(trained.folder, rows) == pytest.approx(trained.summary.accuracy)


def test_summary_counts_rows_and_epochs(trained: Trained) -> None:
    summary = trained.summary
    assert (summary.train_rows, summary.test_rows, summary.epochs) == (120, 40, SIZE.epochs)
    assert summary.duration_s > 0
    assert summary.final_loss > 0


def test_progress_ends_with_the_accuracy(trained: Trained) -> None:
    assert trained.lines[-1] == f"accuracy on 40 test rows: {trained.summary.accuracy:.3f}"


def test_labels_are_in_the_configuration(trained: Trained) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(
        trained.folder, local_files_only=True
    )
    assert model.config.id2label == dict(enumerate(LABELS))
    assert model.config.label2id == {label: number for number, label in enumerate(LABELS)}
    assert model.config._attn_implementation == "sdpa"


def test_tokenizer_pads_with_zero_lowercases_and_frames(trained: Trained) -> None:
    tokenizer = AutoTokenizer.from_pretrained(trained.folder, local_files_only=True)
    assert tokenizer.is_fast
    assert tokenizer.pad_token_id == 0
    ids = tokenizer("The SERVICE")["input_ids"]
    assert ids == tokenizer("the service")["input_ids"]
    assert (ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)


@pytest.mark.parametrize("words", [1, 300])
def test_texts_of_any_length_run(trained: Trained, words: int) -> None:
    tokenizer = AutoTokenizer.from_pretrained(trained.folder, local_files_only=True)
    model = AutoModelForSequenceClassification.from_pretrained(
        trained.folder, local_files_only=True
    )
    batch = tokenizer(" ".join(["good"] * words), truncation=True, return_tensors="pt")
    assert batch["input_ids"].shape[1] <= SIZE.positions
    assert model(**batch).logits.isfinite().all()


def test_same_seed_gives_the_same_files(trained: Trained, tmp_path: Path) -> None:
    again = train(tmp_path / "again").folder
    for name in ("model.safetensors", "tokenizer.json"):
        assert (again / name).read_bytes() == (trained.folder / name).read_bytes()


def test_another_seed_gives_other_weights(trained: Trained, tmp_path: Path) -> None:
    other = train(tmp_path / "other", seed=1).folder / "model.safetensors"
    assert other.read_bytes() != (trained.folder / "model.safetensors").read_bytes()


def test_torch_is_left_as_it_was_found(tmp_path: Path) -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    train(tmp_path / "checkpoint")
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_a_row_with_an_unknown_label_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found shrug"):
        train_tiny_bert([("fine", "shrug")], [("fine", "praise")], LABELS, tmp_path)


def test_no_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one test row"):
        train_tiny_bert([("fine", "praise")], [], LABELS, tmp_path)


@pytest.mark.slow
def test_default_training_learns_but_not_everything(tmp_path: Path) -> None:
    rows = make_rows(13_000, seed=0)
    summary = train_tiny_bert(rows[:12_000], rows[12_000:], LABELS, tmp_path / "checkpoint")
    assert 0.82 < summary.accuracy < 0.97
    assert reloaded_accuracy(tmp_path / "checkpoint", rows[12_000:]) == pytest.approx(
        summary.accuracy, abs=0.002
    )
