"""Tests of tasks: their files, their splits and the examples they give."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from jouleforge.errors import InputError
from jouleforge.task import Examples, Split, Task

SPLITS: tuple[Split, ...] = get_args(Split)
BASE = """\
name = "mine"
description = "A task of a test"
kind = "single-label"
labels = ["no", "yes"]
metric = "accuracy"

[files]
text = ["text"]
label = "label"
values = { "0" = "no", "1" = "yes" }

[files.splits]
calibration = { file = "train.tsv", part = [0.0, 0.5] }
selection = { file = "train.tsv", part = [0.5, 1.0] }
test = { file = "test.tsv" }
"""
TRAIN = "text\tlabel\n" + "".join(f"train {i}\t{i % 2}\n" for i in range(100))
TEST = "text\tlabel\n" + "".join(f"test {i}\t{int(i >= 5)}\n" for i in range(10))

Make = Callable[..., Task]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that writes a task file and its data, and loads the task."""

    def _make(
        *edits: tuple[str, str], toml: str = BASE, files: Mapping[str, str] | None = None
    ) -> Task:
        for old, new in edits:
            assert old in toml
            toml = toml.replace(old, new)
        for name, content in {"train.tsv": TRAIN, "test.tsv": TEST, **(files or {})}.items():
            (tmp_path / name).write_bytes(content.encode())
        (tmp_path / "task.toml").write_text(toml)
        return Task.load(tmp_path / "task.toml")

    return _make


def strings(examples: Examples) -> set[tuple[str, ...]]:
    return set(examples.texts)


def test_examples_come_in_the_order_of_the_file(make: Make) -> None:
    examples = make().examples("test")
    assert examples.texts == [(f"test {i}",) for i in range(10)]
    assert examples.labels.tolist() == [0] * 5 + [1] * 5
    assert examples.labels.dtype == np.int64


def test_results_name_the_source_without_a_path_of_the_machine(make: Make) -> None:
    assert make().examples("test").source == "test.tsv"


def test_parts_of_one_file_are_disjoint_and_complete(make: Make) -> None:
    task = make()
    one, other = (strings(task.examples(s)) for s in ("calibration", "selection"))
    assert one.isdisjoint(other)
    assert len(one) + len(other) == 100


def test_equal_texts_land_in_the_same_part(make: Make) -> None:
    task = make(files={"train.tsv": TRAIN + TRAIN.partition("\n")[2]})
    one, other = (task.examples(s).texts for s in ("calibration", "selection"))
    assert set(one).isdisjoint(other)
    assert len(one) + len(other) == 200


def test_a_text_of_the_test_is_dropped_from_the_other_splits_and_counted(make: Make) -> None:
    task = make(files={"train.tsv": TRAIN + "test 3\t1\ntest 4\t1\n"})
    found = [task.examples(s) for s in SPLITS]
    assert sum(e.dropped_overlap for e in found) == 2
    assert strings(found[2]).isdisjoint(strings(found[0]) | strings(found[1]))
    assert len(found[2].texts) == 10


def test_calibration_gives_way_to_a_selection_in_another_file(make: Make) -> None:
    own_file = (
        'selection = { file = "train.tsv", part = [0.5, 1.0] }',
        'selection = { file = "b.tsv" }',
    )
    task = make(own_file, (", part = [0.0, 0.5]", ""), files={"b.tsv": "text\tlabel\ntrain 7\t1\n"})
    calibration = task.examples("calibration")
    assert calibration.dropped_overlap == 1
    assert ("train 7",) not in calibration.texts
    assert task.examples("selection").texts == [("train 7",)]


def test_a_pair_is_another_text_than_its_words_divided_otherwise(make: Make) -> None:
    pairs = (('text = ["text"]', 'text = ["a", "b"]'),)
    train = "a\tb\tlabel\nx\tyz\t0\n" + "".join(f"{i}\t{i}\t1\n" for i in range(50))
    task = make(*pairs, files={"train.tsv": train, "test.tsv": "a\tb\tlabel\nxy\tz\t1\n"})
    assert sum(task.examples(s).dropped_overlap for s in SPLITS) == 0


def test_a_limit_takes_the_same_sample_and_a_part_of_every_larger_one(make: Make) -> None:
    task = make()
    few, more, all_ = (task.examples("test", limit=n).texts for n in (3, 6, 1000))
    assert set(few) < set(more) < set(all_)
    assert few == task.examples("test", limit=3).texts
    # The file is sorted by label: its first rows would be of one class.
    assert few != all_[:3]
    assert sorted(few) == few


def test_rows_caps_a_split_and_a_limit_cannot_widen_it(make: Make) -> None:
    task = make(("[0.0, 0.5]", "[0.0, 0.5], rows = 5"))
    assert len(task.examples("calibration").texts) == 5
    assert len(task.examples("calibration", limit=4).texts) == 4
    assert len(task.examples("calibration", limit=40).texts) == 5


def test_the_digest_tells_texts_and_labels_apart(make: Make) -> None:
    digests = [
        make(files={"test.tsv": f"text\tlabel\n{row}\n"}).examples("test").digest
        for row in ("x\t0", "x\t1", "y\t0", "x\t0")
    ]
    assert len(set(digests)) == 3
    assert digests[0] == digests[3]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_an_input_error(make: Make, limit: int) -> None:
    with pytest.raises(InputError, match="at least 1"):
        make().examples("test", limit=limit)


def test_labels_without_values_are_the_names(make: Make) -> None:
    task = make(
        ('values = { "0" = "no", "1" = "yes" }\n', ""), files={"test.tsv": "text\tlabel\nx\tyes\n"}
    )
    assert task.examples("test").labels.tolist() == [1]


def test_an_unknown_label_names_file_row_and_the_known_ones(make: Make) -> None:
    task = make(files={"test.tsv": "text\tlabel\nx\t1\ny\t2\n"})
    with pytest.raises(InputError, match=r"test.tsv, row 3, column 'label': .*'0', '1'.* '2'"):
        task.examples("test")


def test_an_empty_label_names_file_and_row(make: Make) -> None:
    task = make(files={"test.tsv": "text\tlabel\nx\t1\ny\t\n"})
    with pytest.raises(InputError, match=r"test.tsv, row 3, column 'label': the label is empty"):
        task.examples("test")


def test_a_cell_that_is_no_text_names_file_and_row(make: Make) -> None:
    edit = ('file = "test.tsv"', 'file = "test.jsonl"')
    task = make(edit, files={"test.jsonl": '{"text": null, "label": 1}\n'})
    with pytest.raises(InputError, match=r"test.jsonl, row 1: a text is expected, found None"):
        task.examples("test")


def test_a_split_without_rows_is_an_input_error(make: Make) -> None:
    task = make(files={"train.tsv": TEST})
    with pytest.raises(InputError, match=r"no row is left for selection.* dropped"):
        task.examples("selection")


def test_a_split_that_the_task_does_not_have_is_an_input_error(make: Make) -> None:
    task = make(('calibration = { file = "train.tsv", part = [0.0, 0.5] }\n', ""))
    with pytest.raises(InputError, match=r"no split 'calibration', only selection, test"):
        task.examples("calibration")


REGRESSION = (
    ('kind = "single-label"', 'kind = "regression"'),
    ('labels = ["no", "yes"]\n', ""),
    ('metric = "accuracy"', 'metric = "pearson"'),
    ('values = { "0" = "no", "1" = "yes" }\n', ""),
)


def test_regression_gives_numbers(make: Make) -> None:
    labels = (
        make(*REGRESSION, files={"test.tsv": "text\tlabel\nx\t1.5\ny\t-2e1\n"})
        .examples("test")
        .labels
    )
    assert labels.dtype == np.float64
    assert labels.tolist() == [1.5, -20.0]


def test_a_value_that_is_no_number_names_file_and_row(make: Make) -> None:
    task = make(*REGRESSION, files={"test.tsv": "text\tlabel\nx\thigh\n"})
    with pytest.raises(InputError, match=r"test.tsv, row 2, column 'label': .*number.* 'high'"):
        task.examples("test")


MULTI = (
    ('kind = "single-label"', 'kind = "multi-label"'),
    ('metric = "accuracy"', 'metric = "f1_micro"'),
    ('values = { "0" = "no", "1" = "yes" }', 'separator = ";"'),
)


def test_multi_label_gives_sets(make: Make) -> None:
    labels = (
        make(*MULTI, files={"test.tsv": "text\tlabel\nx\tyes;no\ny\tyes\n"}).examples("test").labels
    )
    assert labels.dtype == np.bool_
    assert labels.tolist() == [[True, True], [False, True]]


def test_multi_label_reads_lists_and_an_empty_one_is_no_label(make: Make) -> None:
    rows = [{"text": "x", "label": ["yes"]}, {"text": "y", "label": []}]
    content = "\n".join(map(json.dumps, rows))
    task = make(*MULTI, ("test.tsv", "test.jsonl"), files={"test.jsonl": content})
    assert task.examples("test").labels.tolist() == [[False, True], [False, False]]


def test_labels_that_the_task_does_not_name_are_an_error(make: Make) -> None:
    task = make(*MULTI, files={"test.tsv": "text\tlabel\nx\tyes;maybe\n"})
    with pytest.raises(InputError, match=r"row 2.* 'no', 'yes'.* 'maybe'"):
        task.examples("test")


def test_labels_that_the_task_does_not_name_are_dropped_and_counted_on_request(make: Make) -> None:
    drop = ('separator = ";"', 'separator = ";"\nother_labels = "drop"')
    task = make(
        *MULTI[:2], (MULTI[2][0], drop[1]), files={"test.tsv": "text\tlabel\nx\tyes;maybe\n"}
    )
    examples = task.examples("test")
    assert examples.labels.tolist() == [[False, True]]
    assert examples.dropped_labels == 1


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            ('metric = "accuracy"', 'metrik = "accuracy"'),
            r"unknown key 'metrik'; allowed there: .*metric",
        ),
        (
            ('text = ["text"]', 'texts = ["text"]'),
            r"unknown key 'files.texts'; allowed there: .*text",
        ),
        (
            (", part =", ", parts ="),
            r"unknown key 'files.splits.calibration.parts'.* file, part, rows",
        ),
        (('label = "label"\n', ""), r"key 'files.label' is missing"),
        (
            ('metric = "accuracy"', 'metric = "acuracy"'),
            r"accuracy, f1, f1_macro, matthews .* 'acuracy'",
        ),
        (
            ('kind = "single-label"', 'kind = "single"'),
            r"kind: .*'single-label', 'multi-label' or 'regression'",
        ),
        (
            ("calibration =", "calib ="),
            r"files.splits.calib: .*'calibration', 'selection' or 'test'",
        ),
        (('test = { file = "test.tsv" }', ""), r"files.splits: a split 'test' is expected"),
        (
            ("[0.5, 1.0]", "[0.4, 1.0]"),
            r"calibration and selection both read 'train.tsv'.* \[0.4, 1.0\]",
        ),
        (('"test.tsv"', '"./train.tsv"'), r"calibration and test both read 'train.tsv'"),
        (("[0.5, 1.0]", "[0.5, 1.5]"), r"selection.part: .*high <= 1 .*\[0.5, 1.5\]"),
        (
            ("[0.5, 1.0]", "[0.5, 1.0], rows = 0"),
            r"selection.rows: .*greater than or equal to 1, found 0",
        ),
        (
            ('"test.tsv"', '"../test.tsv"'),
            r"test.file: a path inside the task's folder .*'../test.tsv'",
        ),
        (
            ('"test.tsv"', '"/test.tsv"'),
            r"test.file: a path inside the task's folder .*'/test.tsv'",
        ),
        (('"1" = "yes"', '"1" = "yess"'), r"files.values: .*\(no, yes\) .*'yess'"),
        (('["no", "yes"]', '["yes", "yes"]'), r"labels: different names"),
        (('["no", "yes"]', '["yes"]'), r"labels: at least 2"),
        (
            ('kind = "single-label"', 'kind = "regression"'),
            r"labels: none .*; metric: one of pearson",
        ),
        (
            ('label = "label"', 'label = "label"\nseparator = ";"'),
            r"files.separator: only a multi-label",
        ),
        (('label = "label"', 'label = "label"\nheader = false'), r"`columns` is expected"),
        (
            ('label = "label"', 'label = "label"\nformat = "xls"'),
            r"files.format: .*'parquet', found 'xls'",
        ),
        (('text = ["text"]', 'text = ["a", "b", "c"]'), r"files.text: .* at most 2"),
        (('name = "mine"', 'name = "../mine"'), r"name: .*found '../mine'"),
        (('name = "mine"', "name = "), r"not a TOML file: .*line 1"),
    ],
)
def test_a_mistake_names_file_key_and_what_is_allowed(
    make: Make, edit: tuple[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message) as error:
        make(edit)
    assert "task.toml" in str(error.value)


def test_all_mistakes_are_told_at_once(make: Make) -> None:
    with pytest.raises(InputError, match=r"unknown key 'x'.*kind") as error:
        make(('kind = "single-label"', 'x = 1\nkind = "single"'))
    assert "\n" not in str(error.value)


def test_a_separator_inside_a_label_is_a_mistake(make: Make) -> None:
    with pytest.raises(InputError, match=r"separator: ' ' occurs in the label 'not it'"):
        make(*MULTI[:2], ('["no", "yes"]', '["not it", "it"]'), (MULTI[2][0] + "\n", ""))


def test_a_task_without_any_data_is_a_mistake(make: Make) -> None:
    with pytest.raises(InputError, match=r"\[files\] or \[hub\]"):
        make(toml=BASE.partition("[files]")[0])


def test_a_missing_task_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        Task.load(tmp_path / "no.toml")
