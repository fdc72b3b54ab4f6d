"""Rows of tables: CSV, TSV, JSON Lines and Parquet files, and Hugging Face datasets.

Texts hold U+0085, lone quotes and lone carriage returns, so only a line feed ends a row, and only
CSV knows quotes. Row numbers start at 1 and count the header, as an editor does.
"""

import csv
import gzip
import importlib
import json
import math
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from jouleforge.errors import InputError, MissingError

Format = Literal["csv", "tsv", "jsonl", "parquet"]
Row = tuple[int, dict[str, object]]


def format_of(path: Path) -> Format:
    """Return the format that a file's suffix names (".gz" apart).

    Raises:
        InputError: The suffix names no format.
    """
    suffix = Path(path.name.removesuffix(".gz")).suffix.removeprefix(".")
    if suffix not in get_args(Format):
        raise InputError(
            f"{path}: the suffix should be one of {', '.join(get_args(Format))} (.gz may follow); "
            "rename the file or set `format`"
        )
    return cast(Format, suffix)


def read(path: Path, *, form: Format, wanted: Sequence[str], names: Sequence[str]) -> Iterator[Row]:
    """Yield the number and the wanted cells of every row of a file.

    Args:
        path: The file; a name that ends in ".gz" is decompressed.
        form: Its format.
        wanted: The columns to return.
        names: The names of all columns of a file without a header; empty where it has one.

    Raises:
        InputError: The file is missing, broken or empty, or lacks a column; the message names the
            file and the row.
        MissingError: The format needs a package that is not installed.
    """
    if names and form in ("jsonl", "parquet"):
        raise InputError(f"{path}: {form} names its own columns; drop `columns` and `header`")
    if form == "jsonl":
        rows = _json_rows(path, wanted)
    elif form == "parquet":
        rows = _parquet_rows(path, wanted)
    else:
        cells = _csv_cells(path) if form == "csv" else _tsv_cells(path)
        rows = _named_rows(path, cells, wanted, names)
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise InputError(f"{path} holds no rows; give a file that does")


@dataclass(frozen=True, slots=True)
class HubAddress:
    """Where a table lies on the Hugging Face hub."""

    dataset: str
    config: str | None
    """Configuration; None where the dataset has only one."""
    split: str
    revision: str

    def __str__(self) -> str:
        """Return it in one line."""
        parts = (f"{self.dataset}@{self.revision}", self.config, self.split)
        return ":".join(part for part in parts if part)


def read_hub(address: HubAddress, *, wanted: Sequence[str]) -> Iterator[Row]:
    """Yield the number and the wanted cells of every row of a Hugging Face dataset.

    Raises:
        InputError: The dataset lacks a column or has no rows.
        MissingError: `datasets` is not installed, or the dataset cannot be had.
    """
    try:
        datasets = importlib.import_module("datasets")
    except ImportError as error:
        raise MissingError(
            f"{address} is on the Hugging Face hub, which needs the package `datasets`: "
            "pip install 'jouleforge[convert]', or set JOULEFORGE_DATA to a folder with the files"
        ) from error
    try:
        table = datasets.load_dataset(
            address.dataset, address.config, split=address.split, revision=address.revision
        )
    except (
        Exception
    ) as error:  # they come from datasets, its hub client and pyarrow: no common base
        raise MissingError(
            f"{address} cannot be had from the Hugging Face hub: {error}; check the names and the "
            "network, or set JOULEFORGE_DATA to a folder with the files"
        ) from error
    _check_columns(str(address), table.column_names, wanted)
    if not len(table):
        raise InputError(f"{address} holds no rows; name a split that does")
    yield from enumerate(table.select_columns(list(wanted)), start=1)


def text_of(cell: object) -> str:
    """Return a cell as a text.

    Raises:
        ValueError: It is not a text, or holds half of a surrogate pair (JSON can spell one).
    """
    if not isinstance(cell, str):
        raise ValueError(f"a text is expected, found {cell!r}")
    cell.encode()
    return cell


def number_of(cell: object) -> float:
    """Return a cell as a number.

    Raises:
        ValueError: It is empty, not a number, or not finite.
    """
    _check_present(cell)
    try:
        number = math.nan if isinstance(cell, bool) else float(cast(str, cell))
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"a finite number is expected, found {cell!r}")
    return number


def name_of(cell: object) -> str:
    """Return a cell that holds one label, as a task file spells it (true, 1, "positive").

    Raises:
        ValueError: It is empty, or holds more than one value.
    """
    _check_present(cell)
    if isinstance(cell, bool):
        return str(cell).lower()
    if not isinstance(cell, str | int | float):
        raise ValueError(f"one label is expected, found {cell!r}")
    return str(cell)


def names_of(cell: object, *, separator: str) -> list[str]:
    """Return the labels in a cell: a list, or names with a separator between them.

    Raises:
        ValueError: It is empty. An example that has no label is an empty list, as JSON Lines and
            Parquet can hold: an empty cell rather means that nobody labelled the text.
    """
    if isinstance(cell, list):
        return [name_of(item) for item in cell]
    return name_of(cell).split(separator)


def _check_present(cell: object) -> None:
    blank = isinstance(cell, str) and not cell.strip()
    if blank or cell is None or (isinstance(cell, float) and math.isnan(cell)):
        raise ValueError(f"the label is empty ({cell!r}); label the row or remove it")


def _check_columns(where: Path | str, present: Sequence[str], wanted: Iterable[str]) -> None:
    """Raise unless every wanted column is there exactly once."""
    if lacking := [name for name in wanted if name not in present]:
        raise InputError(f"{where} lacks the column {lacking[0]!r}; it has {_listed(present)}")
    if twice := [name for name in wanted if present.count(name) > 1]:
        raise InputError(f"{where} has more than one column {twice[0]!r}; rename all but one")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names)) or "none"


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file, each with its line feed, or say what is wrong with it."""
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            # Bytes end a line at "\n" alone; a text stream would also end it at "\r".
            for number, line in enumerate(stream, start=1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}, line {number}: UTF-8 is expected, found byte "
            f"0x{error.object[error.start]:02x}; convert the file"
        ) from error
    except gzip.BadGzipFile as error:
        raise InputError(
            f"{path} is not a gzip file ({error}); rename or fetch it again"
        ) from error
    except (EOFError, zlib.error) as error:
        raise InputError(f"{path}: broken gzip after line {number}; fetch it again") from error
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; check `file` and the task's folder") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def _tsv_cells(path: Path) -> Iterator[list[str]]:
    for line in _lines(path):
        yield line.removesuffix("\n").removesuffix("\r").split("\t")


def _csv_cells(path: Path) -> Iterator[list[str]]:
    # Strict, so that a quote left open is an error and not one very long text.
    reader = csv.reader(_lines(path), strict=True)
    try:
        yield from reader
    except csv.Error as error:
        raise InputError(
            f"{path}, line {reader.line_num}: bad CSV: {error}; correct the quotes, or write the "
            "table as JSON Lines"
        ) from error


def _named_rows(
    path: Path, cells: Iterator[list[str]], wanted: Sequence[str], names: Sequence[str]
) -> Iterator[Row]:
    """Name the cells by `names`, or by the first row if that is empty."""
    header = list(names) if names else next(cells, None)
    if header is None:
        return
    _check_columns(path, header, wanted)
    columns = [(name, header.index(name)) for name in wanted]
    for number, row in enumerate(cells, start=1 if names else 2):
        if len(row) != len(header):
            raise InputError(
                f"{path}, row {number}: {len(header)} cells are expected ({_listed(header)}), "
                f"found {len(row)}; a text may hold the separator"
            )
        yield number, {name: row[i] for name, i in columns}


def _json_rows(path: Path, wanted: Sequence[str]) -> Iterator[Row]:
    for number, line in enumerate(_lines(path), start=1):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, row {number}: bad JSON: {error}") from error
        if not isinstance(value, dict):
            raise InputError(f"{path}, row {number}: an object is expected, found {line.strip()}")
        _check_columns(f"{path}, row {number}:", list(value), wanted)
        yield number, {name: value[name] for name in wanted}


def _parquet_rows(path: Path, wanted: Sequence[str]) -> Iterator[Row]:
    if path.suffix == ".gz":
        raise InputError(f"{path}: Parquet compresses its own pages; decompress the file first")
    try:
        arrow, parquet = (
            importlib.import_module("pyarrow"),
            importlib.import_module("pyarrow.parquet"),
        )
    except ImportError as error:
        raise MissingError(
            f"{path} needs the package `pyarrow`: pip install 'jouleforge[convert]'"
        ) from error
    try:
        with parquet.ParquetFile(path) as file:
            _check_columns(path, file.schema_arrow.names, wanted)
            batches = file.iter_batches(columns=list(wanted))
            rows = (row for batch in batches for row in batch.to_pylist())
            yield from enumerate(rows, start=1)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; check `file` and the task's folder") from error
    except (OSError, arrow.ArrowException) as error:
        raise InputError(f"{path} is not a sound Parquet file: {error}") from error
