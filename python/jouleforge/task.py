"""Task: what is asked of a model - texts, labels, splits and metric - read from a TOML file."""

import itertools
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Annotated, Final, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    Field,
    PrivateAttr,
    field_validator,
    model_validator,
)

from jouleforge import digest, tables
from jouleforge.checkpoint import TaskKind
from jouleforge.data import data_root, read_toml
from jouleforge.errors import InputError, MissingError
from jouleforge.examples import Decoder, Examples, Labels, Text, sample
from jouleforge.stored import Stored

__all__ = ["METRICS", "Examples", "Labels", "Split", "Task", "TaskKind", "shipped"]

Split = Literal["calibration", "selection", "test"]

METRICS: Final[Mapping[TaskKind, tuple[str, ...]]] = {
    "single-label": ("accuracy", "f1", "f1_macro", "matthews"),
    "multi-label": (
        "f1_micro",
        "f1_macro",
        "precision_micro",
        "recall_micro",
        "subset_accuracy",
        "label_accuracy",
    ),
    "regression": ("pearson", "spearman"),
}
"""The metrics that can be a task's headline, by kind; `jouleforge.metrics` computes them."""

# A text may stand in one split only: of those that hold it, the farthest from training keeps it.
_GIVES_WAY_TO: Final[Mapping[Split, tuple[Split, ...]]] = {
    "calibration": ("selection", "test"),
    "selection": ("test",),
    "test": (),
}


class Part(Stored):
    """The rows of a place that belong to a split.

    A hash of its texts gives every row a number in [0, 1), and a part is an interval of these
    numbers: equal texts land in the same part, and disjoint intervals give disjoint splits.
    """

    part: tuple[float, float] = (0.0, 1.0)
    """The interval: from the first number up to, and without, the second."""
    rows: int | None = Field(default=None, ge=1)
    """How many rows to keep, those with the smallest numbers; absent: all."""

    @field_validator("part")
    @classmethod
    def _in_order(cls, part: tuple[float, float]) -> tuple[float, float]:
        if not 0.0 <= part[0] < part[1] <= 1.0:
            raise ValueError(f"numbers 0 <= low < high <= 1 are expected, found {list(part)}")
        return part


class FileSplit(Part):
    """A split read from a file."""

    file: str
    """Path relative to the task's folder."""

    @property
    def place(self) -> str:
        """What is read, apart from which part of it."""
        return PurePosixPath(self.file).as_posix()

    @field_validator("file")
    @classmethod
    def _inside(cls, file: str) -> str:
        path = PurePosixPath(file)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError("a path inside the task's folder is expected")
        return file


class HubSplit(Part):
    """A split read from a Hugging Face dataset."""

    split: str
    """Name of the dataset's own split."""

    @property
    def place(self) -> str:
        """What is read, apart from which part of it."""
        return self.split


_AnySplit = TypeVar("_AnySplit", FileSplit, HubSplit)


def _disjoint(splits: dict[Split, _AnySplit]) -> dict[Split, _AnySplit]:
    if "test" not in splits:
        raise ValueError("a split 'test' is expected, beside calibration and selection")
    for (one, a), (other, b) in itertools.combinations(splits.items(), 2):
        if a.place == b.place and max(a.part[0], b.part[0]) < min(a.part[1], b.part[1]):
            raise ValueError(
                f"{one} and {other} both read {a.place!r}: parts that do not overlap are expected, "
                f"found {list(a.part)} and {list(b.part)}"
            )
    return splits


class _Source(Stored):
    """How a table's columns become texts and labels."""

    text: Annotated[tuple[str, ...], Field(min_length=1, max_length=2)]
    """The one or two columns that hold the text."""
    label: str
    """The column that holds the label."""
    values: dict[str, str] = Field(default_factory=dict)
    """Raw cell to label name; empty where the cell is the name, or the number."""
    separator: str = Field(default=" ", min_length=1)
    """Multi-label: what stands between the names in one cell."""
    other_labels: Literal["error", "drop"] = "error"
    """Multi-label: what to do about labels that the task does not name."""

    @property
    def wanted(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (*self.text, self.label)


class Files(_Source):
    """The task in files."""

    format: tables.Format | None = None
    """Format of every file; absent: by suffix."""
    header: bool = True
    """Whether the first row of CSV and TSV names the columns."""
    columns: tuple[str, ...] = ()
    """Names of all columns where no header does."""
    splits: Annotated[dict[Split, FileSplit], AfterValidator(_disjoint)]

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.header == bool(self.columns):
            raise ValueError("`columns` is expected with `header = false`, and only then")
        return self

    def read(self, split: Split, folder: Path) -> Iterator[tables.Row]:
        """Yield the rows of the file that holds a split."""
        path = folder / self.splits[split].file
        form = self.format or tables.format_of(path)
        return tables.read(path, form=form, wanted=self.wanted, names=self.columns)


class Hub(_Source):
    """The task in a Hugging Face dataset."""

    # A pattern, because the name goes into results, and those hold no path of a machine.
    dataset: str = Field(pattern=r"^[\w.-]+(/[\w.-]+)?$")
    config: str | None = None
    """Configuration; absent where the dataset has only one."""
    revision: str = "main"
    """Branch, tag or commit."""
    splits: Annotated[dict[Split, HubSplit], AfterValidator(_disjoint)]

    def address(self, split: Split) -> tables.HubAddress:
        """Return where a split lies on the hub."""
        return tables.HubAddress(
            dataset=self.dataset,
            config=self.config,
            split=self.splits[split].split,
            revision=self.revision,
        )


class Task(Stored):
    """What is asked of a model: texts, labels, splits and a headline metric."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    description: str
    kind: TaskKind
    labels: tuple[str, ...] = ()
    """Label names in the order of the model's outputs; empty for regression."""
    metric: str
    """The headline metric, one of `METRICS[kind]`."""
    synthetic: bool = False
    """Whether the texts were made up by a program."""
    files: Files | None = None
    hub: Hub | None = None
    _folder: Path | None = PrivateAttr(default=None)
    """Where `files` lie; None where this machine does not have them."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        mistakes = [*_label_mistakes(self.kind, self.labels)]
        if self.metric not in METRICS[self.kind]:
            mistakes.append(
                f"metric: one of {', '.join(METRICS[self.kind])} is expected for {self.kind}, "
                f"found {self.metric!r}"
            )
        if self.files is None and self.hub is None:
            mistakes.append("[files] or [hub] is expected, found neither")
        for key, source in (("files", self.files), ("hub", self.hub)):
            if source is not None:
                mistakes += (f"{key}.{m}" for m in _source_mistakes(self, source))
        if mistakes:
            raise ValueError("; ".join(mistakes))
        return self

    @classmethod
    def load(cls, ref: str | Path) -> "Task":
        """Return a task by the name of a shipped one or by the path of a TOML file.

        Raises:
            InputError: There is no such task, or its file has mistakes.
        """
        if str(ref).endswith(".toml"):
            task = read_toml(Path(ref), cls)
            task._folder = Path(ref).parent
            return task
        if str(ref) not in (known := shipped()):
            raise InputError(
                f"no task {str(ref)!r}; choose from {', '.join(known)}, or give the path of a "
                "task file that ends in .toml"
            )
        task = read_toml(resources.files("jouleforge.tasks") / f"{ref}.toml", cls)
        if (root := data_root()) and (folder := root / "data" / task.name).is_dir():
            task._folder = folder
        return task

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 over the task's definition, wherever its file lies."""
        return digest.of_text(self.model_dump_json())

    def has(self, split: Split) -> bool:
        """Return whether there is such a split, on this machine or where it can be fetched from."""
        source = self.files if self.files is not None and self._folder is not None else self.hub
        return source is not None and split in source.splits

    def examples(self, split: Split, *, limit: int | None = None, seed: int = 0) -> Examples:
        """Return the texts and labels of one split.

        Args:
            split: Which one.
            limit: At most that many examples. They are drawn by the hash of the text, the same ones
                every time: many files are sorted by label, so that their first rows would not do.
            seed: Another one draws other examples.

        Raises:
            InputError: The data do not fit the task; the message names the place and the row.
            MissingError: This machine has neither the files nor what it takes to fetch them.
        """
        if limit is not None and limit < 1:
            raise InputError(f"a limit of at least 1 example is expected, found {limit}")
        source = self._source(split)
        decoder = self._decoder(source, split)
        elsewhere = {
            text.key
            for other in _GIVES_WAY_TO[split]
            # Parts of one place are disjoint by hash: no need to read it again.
            if other in source.splits and source.splits[other].place != source.splits[split].place
            for text in self._texts(source, other)
        }
        found = list(self._texts(source, split))
        texts = [text for text in found if text.key not in elsewhere]
        dropped = len(found) - len(texts)
        if not texts:
            raise InputError(
                f"{decoder.where}: no row is left for {split} of task {self.name!r} ({dropped} "
                "dropped because another split holds their texts); widen its part or file"
            )
        sizes = [n for n in (source.splits[split].rows, limit) if n is not None]
        chosen = sample(texts, min(sizes), seed=seed) if sizes else texts
        return decoder.examples(chosen, source=_name(source, split), dropped_overlap=dropped)

    def _source(self, split: Split) -> Files | Hub:
        source = self.files if self.files is not None and self._folder is not None else self.hub
        if source is None:
            raise MissingError(
                f"the data of task {self.name!r} are not on this machine: set JOULEFORGE_DATA to "
                f"a folder that holds data/{self.name}, or write a task file with other [files]"
            )
        if split not in source.splits:
            raise InputError(
                f"task {self.name!r} has no split {split!r}, only {', '.join(source.splits)}; "
                "add it to the task file"
            )
        return source

    def _texts(self, source: Files | Hub, split: Split) -> Iterator[Text]:
        """Yield the texts of the part of a place that belongs to a split."""
        if isinstance(source, Files):
            assert self._folder is not None
            rows = source.read(split, self._folder)
        else:
            rows = tables.read_hub(source.address(split), wanted=source.wanted)
        low, high = source.splits[split].part
        texts = self._decoder(source, split).texts(rows)
        return (text for text in texts if low <= text.position < high)

    def _decoder(self, source: Files | Hub, split: Split) -> Decoder:
        index = {name: i for i, name in enumerate(self.labels)}
        where = _name(source, split)
        if isinstance(source, Files) and self._folder is not None:
            where = str(self._folder / where)
        return Decoder(
            where=where,
            kind=self.kind,
            text=source.text,
            label=source.label,
            known={raw: index[name] for raw, name in source.values.items()} or index,
            n_labels=len(self.labels),
            separator=source.separator,
            other_labels=source.other_labels,
        )


def shipped() -> list[str]:
    """Return the names of the tasks that come with the package."""
    files = resources.files("jouleforge.tasks").iterdir()
    return sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml"))


def _name(source: Files | Hub, split: Split) -> str:
    """Return a place as results name it: without a path of this machine."""
    return source.splits[split].place if isinstance(source, Files) else str(source.address(split))


def _label_mistakes(kind: TaskKind, labels: tuple[str, ...]) -> Iterator[str]:
    fewest = {"single-label": 2, "multi-label": 1, "regression": 0}[kind]
    if kind == "regression" and labels:
        yield f"labels: none are expected for regression, found {len(labels)}"
    if len(labels) < fewest:
        yield f"labels: at least {fewest} are expected for {kind}, found {len(labels)}"
    if len(set(labels)) < len(labels) or "" in labels:
        yield "labels: different names are expected, found one twice or an empty one"


def _source_mistakes(task: Task, source: Files | Hub) -> Iterator[str]:
    if strange := [name for name in source.values.values() if name not in task.labels]:
        names = ", ".join(task.labels) or "none, for the labels are numbers"
        yield f"values: names among labels ({names}) are expected, found {strange[0]!r}"
    if task.kind != "multi-label":
        for key in sorted({"separator", "other_labels"} & source.model_fields_set):
            yield f"{key}: only a multi-label task has it; remove it"
    elif split := [name for name in task.labels if source.separator in name]:
        yield f"separator: {source.separator!r} occurs in the label {split[0]!r}; choose another"
