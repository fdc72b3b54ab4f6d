"""The tables in Markdown files: each is generated from the committed results."""

from pathlib import Path

import pytest
from result_tables import blocks

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["README.md", "bench/peers/README.md"])
def test_results_table_is_that_of_the_committed_rows(name: str) -> None:
    found = blocks((ROOT / name).read_text(encoding="utf-8"))
    assert found
    for shown, made in found:
        assert shown == made
