"""The README: its table is generated from the committed results."""

import re
from pathlib import Path

from jouleforge.comparison import compare
from jouleforge.measurement import read_measurements
from jouleforge.reports import markdown

ROOT = Path(__file__).parents[1]


def test_results_table_is_that_of_the_committed_rows() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- results: (\S+) -->\n(.*?)<!-- end of results -->", text, re.DOTALL)
    assert found is not None
    rows = read_measurements(ROOT / found[1])
    assert found[2].strip() == markdown.table(compare(rows)).strip()
