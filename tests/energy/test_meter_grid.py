"""The whole grid of the GPU meter; its short form is a C++ test."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_accepted_window_of_the_grid_is_right(tmp_path: Path) -> None:
    if shutil.which("cmake") is None or shutil.which("c++") is None:
        pytest.skip("no CMake or no C++ compiler to build the grid with")
    cells, table = tmp_path / "cells.jsonl", tmp_path / "table.md"
    script = [sys.executable, str(ROOT / "bench" / "meter_grid.py")]
    places = ["--build", str(tmp_path / "build"), "--json", str(cells), "--markdown", str(table)]
    subprocess.run([*script, *places], check=True, capture_output=True)
    found = [json.loads(line) for line in cells.read_text(encoding="utf-8").splitlines()]
    assert len(found) == 5 * 3 * 2 * 3 * 2 * 2
    assert max(abs(cell["worst"]) for cell in found) < 0.005
    assert max(abs(cell["naive_1s"]) for cell in found) > 0.02
