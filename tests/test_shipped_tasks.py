"""Tests of the shipped tasks: from files, from the hub, and over the real data."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest

from jouleforge.data import data_root
from jouleforge.errors import InputError, MissingError
from jouleforge.task import Split, Task, shipped

SPLITS: tuple[Split, ...] = get_args(Split)
needs_data = pytest.mark.skipif(
    not os.environ.get("JOULEFORGE_DATA"), reason="JOULEFORGE_DATA names no folder of data sets"
)


def test_an_unknown_name_lists_the_shipped_tasks() -> None:
    with pytest.raises(InputError, match="arxiv, cola, imdb, mrpc, qqp, rte, sst2, stsb"):
        Task.load("sst3")


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_task_has_the_name_of_its_file_and_every_split(name: str) -> None:
    task = Task.load(name)
    assert task.name == name
    for source in (task.files, task.hub):
        assert source is None or set(source.splits) == set(SPLITS)


def test_the_data_folder_is_none_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOULEFORGE_DATA", raising=False)
    assert data_root() is None


def test_a_data_folder_that_is_not_there_is_an_input_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JOULEFORGE_DATA", str(tmp_path / "no"))
    with pytest.raises(InputError, match="JOULEFORGE_DATA"):
        Task.load("sst2")


def test_a_shipped_task_reads_its_folder_of_the_data(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "data" / "arxiv").mkdir(parents=True)
    monkeypatch.setenv("JOULEFORGE_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"data/arxiv/test.tsv.gz does not exist"):
        Task.load("arxiv").examples("test")


def test_a_task_that_is_nowhere_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOULEFORGE_DATA", raising=False)
    with pytest.raises(MissingError, match=r"data/arxiv, or write a task file"):
        Task.load("arxiv").examples("test")


def test_the_hub_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOULEFORGE_DATA", raising=False)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        MissingError, match=r"nyu-mll/glue@main:sst2:validation.*jouleforge\[convert\]"
    ):
        Task.load("sst2").examples("test")


class _HubTable(list[dict[str, Any]]):
    """What `datasets` returns, as far as it is used."""

    @property
    def column_names(self) -> list[str]:
        return list(self[0])

    def select_columns(self, names: list[str]) -> list[dict[str, Any]]:
        return [{name: row[name] for name in names} for row in self]


def test_without_files_a_shipped_task_reads_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(dataset: str, config: str, *, split: str, revision: str) -> _HubTable:
        assert (dataset, config, revision) == ("nyu-mll/glue", "rte", "main")
        rows = {"validation": range(5), "train": range(4, 50)}[split]
        return _HubTable(
            {"idx": i, "sentence1": f"{i}", "sentence2": "b", "label": i % 2} for i in rows
        )

    monkeypatch.delenv("JOULEFORGE_DATA", raising=False)
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    calibration, selection, test = (Task.load("rte").examples(s) for s in SPLITS)
    assert test.texts == [(str(i), "b") for i in range(5)]
    assert test.labels.tolist() == [0, 1, 0, 1, 0]
    assert test.source == "nyu-mll/glue@main:rte:validation"
    assert len(calibration.texts) + len(selection.texts) == 45
    assert calibration.dropped_overlap + selection.dropped_overlap == 1


def test_a_hub_that_cannot_be_reached_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(*_: object, **__: object) -> None:
        raise ConnectionError("no route")

    monkeypatch.delenv("JOULEFORGE_DATA", raising=False)
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    with pytest.raises(MissingError, match=r"cannot be had .*no route.*JOULEFORGE_DATA"):
        Task.load("imdb").examples("test")


def test_tasks_are_read_without_heavy_packages() -> None:
    code = (
        "import sys, jouleforge.task\n"
        "print({'sklearn', 'scipy', 'torch', 'pandas', 'pyarrow', 'datasets'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@needs_data
@pytest.mark.parametrize(
    ("name", "count", "positive"),
    [
        ("sst2", 872, 444),
        ("mrpc", 408, 279),
        ("cola", 1043, 721),
        ("rte", 277, 131),
        ("imdb", 2000, 1003),
    ],
)
def test_the_test_split_is_the_official_one(name: str, count: int, positive: int) -> None:
    examples = Task.load(name).examples("test")
    assert len(examples.texts) == len(examples.labels) == count
    assert int(examples.labels.sum()) == positive


@needs_data
@pytest.mark.parametrize("name", shipped())
def test_the_splits_of_real_data_are_disjoint(name: str) -> None:
    task = Task.load(name)
    calibration, selection, test = (set(task.examples(s).texts) for s in SPLITS)
    assert calibration.isdisjoint(selection)
    assert test.isdisjoint(calibration | selection)


@needs_data
@pytest.mark.parametrize(("name", "train"), [("mrpc", 3668), ("cola", 8551), ("stsb", 5749)])
def test_every_row_of_the_training_file_is_used_or_counted(name: str, train: int) -> None:
    task = Task.load(name)
    parts = [task.examples(split) for split in ("calibration", "selection")]
    assert sum(len(part.texts) + part.dropped_overlap for part in parts) == train


@needs_data
def test_a_pair_of_sentences_is_read_as_two() -> None:
    texts = Task.load("mrpc").examples("test").texts
    assert {len(text) for text in texts} == {2}
    assert texts[0][0].startswith("He said the foodservice pie business doesn 't fit")
    assert texts[0][1].startswith('" The foodservice pie business')


@needs_data
def test_similarity_is_between_0_and_5() -> None:
    labels = Task.load("stsb").examples("test").labels
    assert len(labels) == 1500
    assert (labels.min(), labels.max()) == (0.0, 5.0)


@needs_data
def test_arxiv_names_the_categories_of_at_least_ten_training_papers() -> None:
    task = Task.load("arxiv")
    parts = [task.examples(split) for split in ("calibration", "selection")]
    papers = np.concatenate([part.labels for part in parts]).sum(axis=0)
    assert len(task.labels) == 63
    assert list(task.labels) == sorted(task.labels)
    assert papers.min() >= 10


@needs_data
def test_arxiv_counts_the_labels_of_rare_categories() -> None:
    examples = Task.load("arxiv").examples("test")
    assert examples.labels.shape == (1000, 63)
    assert examples.dropped_labels == 40
    assert examples.labels.any(axis=1).all()


@needs_data
def test_a_quoted_csv_of_questions_is_split_by_part() -> None:
    counts = [len(Task.load("qqp").examples(split).texts) for split in SPLITS]
    assert sum(counts) == 1000
    assert min(counts) > 150
