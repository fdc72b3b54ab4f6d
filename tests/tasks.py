"""Small task files with text of the tiny tokenizers' words."""

from pathlib import Path

import numpy as np
from checkpoints import TEXTS

_METRIC = {"single-label": "accuracy", "multi-label": "f1_micro", "regression": "pearson"}


def write_task(
    folder: Path,
    labels: tuple[str, ...],
    *,
    rows: int,
    kind: str = "single-label",
    train: tuple[str, ...] = (),
) -> Path:
    """Write a task and its test split; the same arguments give the same texts and truth.

    `train`: lines of the calibration split's file, which then stands beside a selection split.
    """
    lines = _lines(sorted(labels), rows=rows, kind=kind)
    (folder / "test.tsv").write_text("\n".join(lines) + "\n")
    splits = 'test = { file = "test.tsv" }\n'
    if train:
        (folder / "train.tsv").write_text("\n".join(["text\tlabel", *train]) + "\n")
        (folder / "selection.tsv").write_text(
            "\n".join([lines[0], *(f"selected {line}" for line in lines[1:])]) + "\n"
        )
        splits += 'calibration = { file = "train.tsv" }\nselection = { file = "selection.tsv" }\n'
    listed = "" if kind == "regression" else f"labels = {list(labels)!r}\n"
    (folder / "task.toml").write_text(
        f'name = "toy"\ndescription = "made for a test"\nkind = "{kind}"\n{listed}'
        f'metric = "{_METRIC[kind]}"\n[files]\ntext = ["text"]\nlabel = "label"\n'
        f"[files.splits]\n{splits}"
    )
    return folder / "task.toml"


def _lines(names: list[str], *, rows: int, kind: str) -> list[str]:
    words = " ".join(TEXTS).split()
    random = np.random.default_rng(0)
    lines = ["text\tlabel"]
    for number in range(rows):
        text = " ".join(random.choice(words, int(random.integers(1, 30))))
        if kind == "single-label":
            label = names[int(random.integers(len(names)))]
        elif kind == "multi-label":
            chosen = [name for name in names if random.random() < 0.5]
            label = " ".join(chosen or names[:1])
        else:
            label = f"{random.random():.3f}"
        lines.append(f"{text} {number}\t{label}")
    return lines


def calibration_lines(count: int, label: str) -> tuple[str, ...]:
    """Return lines of different texts, all of one label."""
    words = " ".join(TEXTS).split()
    random = np.random.default_rng(1)
    return tuple(
        f"{' '.join(random.choice(words, int(random.integers(2, 30))))} {number}\t{label}"
        for number in range(count)
    )
