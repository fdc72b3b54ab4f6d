"""The synthetic corpus: the same for everyone, of realistic lengths, and never trivially easy."""

import hashlib
import re
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from jouleforge.errors import InputError
from jouleforge.synthetic import LABELS, Row, make_rows, read_rows, write_corpus
from jouleforge.task import Task

FILES = ("task.toml", "test.tsv", "train.tsv")


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return make_rows(3000, seed=0)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def tokens(text: str) -> int:
    return len(re.findall(r"\w+|[^\w\s]", text)) + 2


def test_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    write_corpus(tmp_path / "a", seed=3, train=50, test=20)
    write_corpus(tmp_path / "b", seed=3, train=50, test=20)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert sorted(contents(tmp_path / "a")) == sorted(FILES)


def test_another_seed_writes_other_texts() -> None:
    assert not set(make_rows(50, seed=1)) & set(make_rows(50, seed=2))


def test_texts_stay_what_they_were_when_results_were_published() -> None:
    text = "\n".join("\t".join(row) for row in make_rows(200, seed=0))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "7b4e00a8a9bf61b8"


def test_no_text_occurs_twice(tmp_path: Path) -> None:
    write_corpus(tmp_path, train=2000, test=500)
    texts = [text for name in ("train", "test") for text, _ in read_rows(tmp_path / f"{name}.tsv")]
    assert len(texts) == 2500
    assert len(set(texts)) == 2500


def test_rows_read_back_as_they_were_made(tmp_path: Path) -> None:
    write_corpus(tmp_path, seed=5, train=40, test=10)
    read = read_rows(tmp_path / "train.tsv") + read_rows(tmp_path / "test.tsv")
    assert read == make_rows(50, seed=5)


def test_task_file_names_files_labels_and_disjoint_splits(tmp_path: Path) -> None:
    path = write_corpus(tmp_path, train=40, test=10)
    task = tomllib.loads(path.read_text())
    assert path == tmp_path / "task.toml"
    assert "not real language" in task["description"]
    assert (task["kind"], task["metric"]) == ("single-label", "accuracy")
    assert tuple(task["labels"]) == LABELS
    splits = task["files"]["splits"]
    assert splits["calibration"] == {"file": "train.tsv", "part": [0.0, 0.5]}
    assert splits["selection"] == {"file": "train.tsv", "part": [0.5, 1.0]}
    assert splits["test"] == {"file": "test.tsv"}


def test_the_corpus_loads_as_a_task(tmp_path: Path) -> None:
    task = Task.load(write_corpus(tmp_path, train=40, test=10))
    assert tuple(task.labels) == LABELS
    assert len(task.examples("test").texts) == 10


def test_cells_hold_one_line_of_plain_text(rows: list[Row]) -> None:
    for text, label in rows:
        assert re.fullmatch(r"[A-Za-z ,;.!-]+", text), text
        assert "  " not in text
        assert label in LABELS


def test_lengths_are_log_normal_with_a_tail(rows: list[Row]) -> None:
    lengths = np.array([tokens(text) for text, _ in rows])
    assert 22 <= lengths.mean() <= 30
    assert np.median(lengths) < 0.9 * lengths.mean()
    assert np.quantile(lengths, 0.95) > 50
    assert 80 < lengths.max() <= 130


def test_classes_are_balanced(rows: list[Row]) -> None:
    praise = sum(label == "praise" for _, label in rows) / len(rows)
    assert 0.45 < praise < 0.55


def test_words_follow_a_steep_curve(rows: list[Row]) -> None:
    words = Counter(word for text, _ in rows for word in re.findall(r"\w+", text.lower()))
    counts = sorted(words.values(), reverse=True)
    assert len(counts) > 600
    assert sum(counts[:50]) > 0.5 * sum(counts)
    assert counts[len(counts) // 2] < counts[0] / 100


def test_good_and_bad_words_stand_in_both_classes(rows: list[Row]) -> None:
    for word in ("good", "bad", "not"):
        holding = [label for text, label in rows if word in text.lower().split()]
        shares = Counter(holding)
        assert min(shares[label] for label in LABELS) > 0.1 * len(holding), word


@pytest.mark.parametrize(("train", "test"), [(1, 10), (10, 0)])
def test_a_corpus_with_an_empty_split_is_refused(tmp_path: Path, train: int, test: int) -> None:
    with pytest.raises(InputError, match=f"train={train} and test={test}"):
        write_corpus(tmp_path, train=train, test=test)
