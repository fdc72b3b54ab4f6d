"""Examples: the texts and labels of one split, and how rows of a table become them."""

import hashlib
import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from jouleforge import tables
from jouleforge.checkpoint import TaskKind
from jouleforge.errors import InputError

Labels = NDArray[np.int64] | NDArray[np.bool_] | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Examples:
    """The examples of one split, in the order of their file."""

    texts: list[tuple[str, ...]]
    """One or two strings per example."""
    labels: Labels
    """Class indices int64 (n,), label sets bool (n, labels), or values float64 (n,)."""
    source: str
    """File name or hub dataset that they were read from."""
    digest: str
    """Hexadecimal SHA-256 over texts and labels."""
    dropped_overlap: int
    """Rows left out because another split holds their texts and comes first."""
    dropped_labels: int
    """Labels left out because the task does not name them."""

    @property
    def tokenizer_inputs(self) -> list[str | tuple[str, str]]:
        """Return the texts as `tokenizers` takes them: a string, or a pair of strings."""
        return [text[0] if len(text) == 1 else (text[0], text[1]) for text in self.texts]


@dataclass(frozen=True, slots=True)
class Text:
    """The text of one row, and the hash that decides where it belongs."""

    row: int
    strings: tuple[str, ...]
    label_cell: object
    key: bytes

    @property
    def position(self) -> float:
        """A number in [0, 1), uniform over texts and equal for equal texts."""
        # As many bits as a float holds: with more, the greatest would round to 1.
        return (int.from_bytes(self.key[:8], "big") >> 11) / 2.0**53


@dataclass(frozen=True, slots=True)
class Decoder:
    """How the rows of a place become examples."""

    where: str
    """The place, as errors name it."""
    kind: TaskKind
    text: tuple[str, ...]
    label: str
    known: Mapping[str, int]
    """Raw label to its index; empty for regression."""
    n_labels: int
    separator: str
    other_labels: Literal["error", "drop"]

    def texts(self, rows: Iterator[tables.Row]) -> Iterator[Text]:
        """Yield the texts of rows.

        Raises:
            InputError: A cell holds no text; the message names the row.
        """
        for row, cells in rows:
            try:
                strings = tuple(tables.text_of(cells[name]) for name in self.text)
            except ValueError as error:
                raise InputError(f"{self.where}, row {row}: {error}") from error
            yield Text(row=row, strings=strings, label_cell=cells[self.label], key=_key(strings))

    def examples(self, texts: Sequence[Text], *, source: str, dropped_overlap: int) -> Examples:
        """Return texts with their labels.

        Raises:
            InputError: A cell holds no label of the task; the message names the row.
        """
        labels = np.zeros((len(texts), self.n_labels), dtype=np.bool_)
        values = np.zeros(len(texts), dtype=np.float64)
        dropped = 0
        for i, text in enumerate(texts):
            try:
                if self.kind == "regression":
                    values[i] = tables.number_of(text.label_cell)
                else:
                    indices, others = self._indices(text.label_cell)
                    labels[i, indices] = True
                    dropped += others
            except ValueError as error:
                where = f"{self.where}, row {text.row}"
                raise InputError(f"{where}, column {self.label!r}: {error}") from error
        answer: Labels = values
        if self.kind != "regression":
            answer = labels if self.kind == "multi-label" else labels.argmax(axis=1)
        return Examples(
            texts=[text.strings for text in texts],
            labels=answer,
            source=source,
            digest=_digest(texts, answer),
            dropped_overlap=dropped_overlap,
            dropped_labels=dropped,
        )

    def _indices(self, cell: object) -> tuple[list[int], int]:
        """Return the indices of the labels in a cell, and how many others it holds."""
        if self.kind == "multi-label":
            names = tables.names_of(cell, separator=self.separator)
        else:
            names = [tables.name_of(cell)]
        others = [name for name in names if name not in self.known]
        if others and self.other_labels == "error":
            raise ValueError(
                f"one of the labels {', '.join(map(repr, self.known))} is expected, "
                f"found {others[0]!r}"
            )
        return [self.known[name] for name in names if name in self.known], len(others)


def sample(texts: Sequence[Text], size: int, *, seed: int = 0) -> list[Text]:
    """Return that many texts, or all if there are fewer, in their order.

    They are the smallest by hash, so that a larger sample holds the smaller ones; another seed is
    another hash.
    """

    def order(text: Text) -> tuple[bytes, int]:
        salted = hashlib.sha256(f"{seed}".encode() + text.key).digest() if seed else text.key
        return salted, text.row

    return sorted(heapq.nsmallest(size, texts, key=order), key=lambda text: text.row)


def _key(strings: tuple[str, ...]) -> bytes:
    """Return a hash of one or two strings; their lengths tell ("ab", "c") from ("a", "bc")."""
    total = hashlib.sha256()
    for string in strings:
        encoded = string.encode()
        total.update(len(encoded).to_bytes(8, "big") + encoded)
    return total.digest()


def _digest(texts: Sequence[Text], labels: Labels) -> str:
    total = hashlib.sha256(f"{labels.dtype.name} {labels.shape}\n".encode())
    for text in texts:
        total.update(text.key)
    total.update(labels.astype(labels.dtype.newbyteorder("<")).tobytes())
    return total.hexdigest()
