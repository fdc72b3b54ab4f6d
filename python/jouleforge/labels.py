"""Labels: which output of a checkpoint is which label of a task."""

import re
from dataclasses import dataclass

from jouleforge.errors import InputError


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Columns of the logits in the order of the task's labels."""

    columns: tuple[int, ...]
    by_position: bool
    """Whether names did not decide, because the checkpoint has other names than the task."""
    note: str


def match_labels(checkpoint_labels: tuple[str, ...], task_labels: tuple[str, ...]) -> LabelMap:
    """Return the map from a task's labels to the outputs of a checkpoint.

    Names decide where the checkpoint has the task's names, whatever their order, case and
    separators. Otherwise positions do, and that is noted.

    Raises:
        InputError: The numbers of labels differ, or only some of the names are shared, so that
            neither names nor positions can be trusted.
    """
    outputs = {_normal(label): index for index, label in enumerate(checkpoint_labels)}
    wanted = [_normal(label) for label in task_labels]
    if len(outputs) == len(checkpoint_labels) and outputs.keys() == set(wanted):
        return LabelMap(tuple(outputs[label] for label in wanted), by_position=False, note="")
    if len(checkpoint_labels) != len(task_labels):
        raise InputError(
            f"the checkpoint has {len(checkpoint_labels)} outputs ({_short(checkpoint_labels)}), "
            f"the task {len(task_labels)} labels ({_short(task_labels)}); is it the right task?"
        )
    shared = outputs.keys() & set(wanted)
    if shared:
        raise InputError(
            f"the checkpoint's labels ({_short(checkpoint_labels)}) share only "
            f"{', '.join(sorted(shared))} with the task's ({_short(task_labels)}); rename those of "
            "the task file or of the checkpoint's id2label so that they agree"
        )
    pairs = ", ".join(
        f"{mine} = {theirs}" for mine, theirs in zip(checkpoint_labels, task_labels, strict=True)
    )
    return LabelMap(
        tuple(range(len(task_labels))),
        by_position=True,
        note=f"labels matched by position: {pairs if len(task_labels) <= 8 else 'all of them'}",
    )


def _normal(label: str) -> str:
    return re.sub(r"[\s_-]+", "_", label.strip().lower())


def _short(labels: tuple[str, ...]) -> str:
    shown = ", ".join(labels[:6])
    return shown if len(labels) <= 6 else f"{shown}, …"
