"""Tests of the table readers."""

import csv
import gzip
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jouleforge import tables
from jouleforge.errors import InputError, MissingError

ODD = "caf\u00e9 \u0085 \u2028 \"lone quote, 'and' \x0b\x0c\x1c a lone \r return"
# Everything that UTF-8 can spell; control characters and line separators above all.
TEXTS = st.text(
    st.one_of(
        st.sampled_from("\r\u0085\u2028\u2029\x0b\x0c\x1c\"'\\,\ufeff\0"),
        st.characters(codec="utf-8"),
    )
)

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a file, compressed if its name says so."""

    def _write(name: str, content: str | bytes) -> Path:
        raw = content.encode() if isinstance(content, str) else content
        path = tmp_path / name
        path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        return path

    return _write


def rows_of(
    path: Path, wanted: Sequence[str] = ("text", "label"), names: Sequence[str] = ()
) -> list[tables.Row]:
    return list(tables.read(path, form=tables.format_of(path), wanted=wanted, names=names))


def test_a_suffix_names_the_format_with_or_without_gz() -> None:
    names = ["a.csv", "a.tsv.gz", "a.b.jsonl", "a.parquet"]
    assert [tables.format_of(Path(n)) for n in names] == ["csv", "tsv", "jsonl", "parquet"]


@pytest.mark.parametrize("name", ["a.txt", "a", "a.gz", "tsv"])
def test_an_unknown_suffix_is_an_error_that_lists_the_known_ones(name: str) -> None:
    with pytest.raises(InputError, match="csv, tsv, jsonl, parquet"):
        tables.format_of(Path(name))


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz"])
def test_only_a_line_feed_ends_a_row(write: Write, name: str) -> None:
    path = write(name, f"text\tlabel\n{ODD}\t1\nplain\t0\n")
    assert rows_of(path) == [
        (2, {"text": ODD, "label": "1"}),
        (3, {"text": "plain", "label": "0"}),
    ]


def test_a_carriage_return_before_the_line_feed_is_no_part_of_the_cell(write: Write) -> None:
    path = write("a.tsv", "text\tlabel\r\na\t1\r\nb\t0")
    assert [cells["label"] for _, cells in rows_of(path)] == ["1", "0"]


def test_a_byte_order_mark_is_no_part_of_the_first_column(write: Write) -> None:
    path = write("a.tsv", b"\xef\xbb\xbftext\tlabel\na\t1\n")
    assert rows_of(path) == [(2, {"text": "a", "label": "1"})]


def test_only_one_return_and_only_the_first_byte_order_mark_are_taken_off(write: Write) -> None:
    path = write("a.tsv", "label\ttext\n\ufeff1\ta\r\r\n")
    assert rows_of(path) == [(2, {"text": "a\r", "label": "\ufeff1"})]


def test_a_file_without_header_takes_the_names_given(write: Write) -> None:
    path = write("a.tsv", "x\t1\ta\ny\t0\tb\n")
    assert rows_of(path, names=("source", "label", "text")) == [
        (1, {"text": "a", "label": "1"}),
        (2, {"text": "b", "label": "0"}),
    ]


def test_a_quoted_csv_cell_holds_commas_quotes_and_line_ends(write: Write) -> None:
    path = write("a.csv", 'label,text\n1,"a, ""b""\r\nc\u0085d\re"\n0,f\u0085g\n')
    assert rows_of(path) == [
        (2, {"text": 'a, "b"\r\nc\u0085d\re', "label": "1"}),
        (3, {"text": "f\u0085g", "label": "0"}),
    ]


def test_a_json_line_keeps_its_values_types(write: Write) -> None:
    path = write(
        "a.jsonl.gz", '{"text": "a\u2028b", "label": ["x"], "n": 1}\n{"label": 2, "text": "c"}'
    )
    assert rows_of(path) == [
        (1, {"text": "a\u2028b", "label": ["x"]}),
        (2, {"text": "c", "label": 2}),
    ]


def test_parquet_gives_the_wanted_columns(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    table = pa.table({"text": ["a", "b"], "label": [["x", "y"], []], "other": [1, 2]})
    pytest.importorskip("pyarrow.parquet").write_table(table, path)
    assert rows_of(path) == [
        (1, {"text": "a", "label": ["x", "y"]}),
        (2, {"text": "b", "label": []}),
    ]


@given(st.lists(TEXTS, min_size=1))
@settings(max_examples=50, deadline=None)
def test_tsv_returns_what_was_written(texts: list[str]) -> None:
    texts = [text.replace("\t", "").replace("\n", "") for text in texts]
    content = "".join(f"{label}\t{text}\n" for label, text in enumerate(texts))
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.tsv.gz")
        path.write_bytes(gzip.compress(content.encode()))
        # A text that ends in a return would lose it to the line end; in the last column alone.
        expected = [text.removesuffix("\r") for text in texts]
        read = rows_of(path, wanted=["text"], names=("label", "text"))
    assert [cells["text"] for _, cells in read] == expected


@given(st.lists(TEXTS, min_size=1), st.booleans())
@settings(max_examples=50, deadline=None)
def test_json_lines_return_what_was_written(texts: list[str], ascii_only: bool) -> None:
    content = "\n".join(json.dumps({"text": t}, ensure_ascii=ascii_only) for t in texts)
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.jsonl")
        path.write_bytes(content.encode())
        assert [cells["text"] for _, cells in rows_of(path, wanted=["text"])] == texts


@given(st.lists(TEXTS, min_size=1))
@settings(max_examples=50, deadline=None)
def test_quoted_csv_returns_what_was_written(texts: list[str]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.csv")
        with path.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, quoting=csv.QUOTE_ALL).writerows([["text"], *([t] for t in texts)])
        assert [cells["text"] for _, cells in rows_of(path, wanted=["text"])] == texts


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "sentence\tlabel\nx\t1\n", "lacks the column 'text'; it has 'sentence', 'label'"),
        ("a.jsonl", '{"text": "x"}\n', "row 1: lacks the column 'label'; it has 'text'"),
        ("a.tsv", "text\tlabel\ttext\nx\t1\ty\n", "more than one column 'text'"),
        ("a.tsv", "text\tlabel\nx\t1\nx\t1\t\n", "row 3: 2 cells are expected .* found 3"),
        ("a.tsv", "text\tlabel\nx\t1\n\n", "row 3: 2 cells are expected .* found 1"),
        ("a.csv", "text,label\nx\n", "row 2: 2 cells are expected .* found 1"),
        ("a.csv", 'text,label\nx,1\n"open,1\ny,0\n', "line 4: bad CSV"),
        ("a.csv", "text,label\nx\ry,1\n", "line 2: bad CSV"),
        ("a.tsv", "", "no rows"),
        ("a.csv.gz", "", "no rows"),
        ("a.jsonl", "", "no rows"),
        ("a.tsv", "text\tlabel\n", "no rows"),
        ("a.tsv", b"text\tlabel\nx\t1\ncaf\xe9\t1\n", "line 3: UTF-8 is expected, found byte 0xe9"),
        ("a.jsonl", '{"text": "x", "label": 1}\n{"text": \n', "row 2: bad JSON"),
        ("a.jsonl", "[" * 100_000, "row 1: bad JSON"),
        ("a.jsonl", "[1]\n", "row 1: an object is expected"),
        ("a.parquet", "no such thing", "not a sound Parquet file"),
        ("a.parquet.gz", "no such thing", "decompress the file first"),
    ],
)
def test_a_bad_file_is_one_error_that_names_file_and_place(
    write: Write, name: str, content: str | bytes, message: str
) -> None:
    path = write(name, content)
    if "parquet" in name:
        pytest.importorskip("pyarrow")
    with pytest.raises(InputError, match=message) as error:
        rows_of(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("name", ["a.tsv", "a.csv.gz", "a.parquet"])
def test_a_missing_file_is_an_input_error(tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    with pytest.raises(InputError, match="does not exist"):
        rows_of(tmp_path / name)


def test_a_folder_in_place_of_a_file_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        rows_of(tmp_path / "a.tsv")


def test_a_truncated_gzip_is_an_error_and_not_a_shorter_file(tmp_path: Path) -> None:
    whole = gzip.compress(b"text\tlabel\n" + b"some text\t1\n" * 1000)
    (tmp_path / "a.tsv.gz").write_bytes(whole[:-12])
    with pytest.raises(InputError, match="broken gzip"):
        rows_of(tmp_path / "a.tsv.gz")


def test_a_corrupt_gzip_is_an_input_error(tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(b"text\tlabel\n" + bytes(range(32, 127)) * 50))
    whole[12:20] = b"\xff" * 8
    (tmp_path / "a.tsv.gz").write_bytes(whole)
    with pytest.raises(InputError, match="gzip"):
        rows_of(tmp_path / "a.tsv.gz")


def test_a_file_that_only_claims_to_be_gzip_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "a.tsv.gz").write_text("text\tlabel\nx\t1\n")
    with pytest.raises(InputError, match="not a gzip file"):
        rows_of(tmp_path / "a.tsv.gz")


def test_a_missing_parquet_package_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingError, match=r"jouleforge\[convert\]"):
        rows_of(tmp_path / "a.parquet")


def test_column_names_for_a_format_that_has_its_own_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="names its own columns"):
        rows_of(tmp_path / "a.jsonl", names=("text", "label"))


def test_a_label_is_spelled_as_in_toml() -> None:
    assert [tables.name_of(cell) for cell in (1, True, "a b", -1)] == ["1", "true", "a b", "-1"]


@pytest.mark.parametrize("cell", ["", " ", None, math.nan])
def test_an_empty_label_is_an_error(cell: object) -> None:
    for decode in (tables.name_of, tables.number_of):
        with pytest.raises(ValueError, match="empty"):
            decode(cell)


@pytest.mark.parametrize("cell", ["high", "inf", "nan", True, [1.0], 10**400])
def test_a_value_that_is_no_finite_number_is_an_error(cell: object) -> None:
    with pytest.raises(ValueError, match="finite number is expected"):
        tables.number_of(cell)


def test_labels_come_as_a_list_or_separated() -> None:
    assert tables.names_of("a b", separator=" ") == ["a", "b"]
    assert tables.names_of(["a b", "c"], separator=" ") == ["a b", "c"]
    assert tables.names_of([], separator=" ") == []


def test_half_a_surrogate_pair_is_no_text() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        tables.text_of(json.loads('"\\ud800"'))


def test_a_number_is_no_text() -> None:
    with pytest.raises(ValueError, match="text is expected, found 3"):
        tables.text_of(3)
