"""Tables: every `<!-- results: FILE, against ROW -->` block of a Markdown file, from its rows."""

import re
import sys
from pathlib import Path

from jouleforge.comparison import compare
from jouleforge.measurement import read_measurements
from jouleforge.reports import markdown

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(
    r"(<!-- results: (?P<file>[^,\s]+)(?:, against (?P<baseline>[^>]+?))? -->\n)"
    r"(?P<table>.*?)(<!-- end of results -->)",
    re.DOTALL,
)


def blocks(text: str) -> list[tuple[str, str]]:
    """Return each block's table as it stands, and as its rows make it; no rows, no table."""
    return [(found["table"].strip(), _table(found).strip()) for found in _BLOCK.finditer(text)]


def refresh(file: Path) -> None:
    """Write every table of a file anew."""
    text = file.read_text(encoding="utf-8")
    file.write_text(_BLOCK.sub(lambda found: f"{found[1]}{_table(found)}{found[5]}", text), "utf-8")


def _table(found: re.Match[str]) -> str:
    rows = ROOT / found["file"]
    if not rows.is_file():
        return ""
    return markdown.table(compare(read_measurements(rows), baseline=found["baseline"]))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        refresh(Path(name))
