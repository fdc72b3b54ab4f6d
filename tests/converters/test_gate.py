"""The gate's judge: what it reads, and that padding does not change whom it asks."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from jouleforge.checkpoint import Checkpoint
from jouleforge.converters.gate import Judge
from jouleforge.converters.parity import module_logits
from jouleforge.examples import Examples
from jouleforge.modeling import load_model
from jouleforge.task import Split, Task

MakeCheckpoint = Callable[..., Path]


def test_a_judge_reads_its_split_once_for_all_paddings(
    make_checkpoint: MakeCheckpoint, task_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, examples = [], Task.examples

    def counted(task: Task, split: Split, **choices: int | None) -> Examples:
        read.append(split)
        return examples(task, split, **choices)  # type: ignore[arg-type]

    monkeypatch.setattr(Task, "examples", counted)
    checkpoint = Checkpoint.load(make_checkpoint("bert"))
    model = load_model(checkpoint, attention="eager")
    reader = Tokenizer.from_file(str(checkpoint.path / "tokenizer.json"))
    judge = Judge(model, checkpoint, str(task_file), reader=reader, max_length=64, rows=40,
                  inputs=("input_ids", "attention_mask", "token_type_ids"))  # fmt: skip
    assert read == ["selection"]
    scores = judge.score(lambda case: module_logits(model, case))
    assert [score.padding for score in scores] == ["longest", "bucket:16,32,48,64"]
    assert [score.changed for score in scores] == [0, 0]
    assert judge.record(scores).rows == 40
