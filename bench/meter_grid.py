"""The GPU meter against a fake NVML whose energy is known: loads, ticks, lags, jitter, costs.

`tests/cpp/test_counter_grid.cpp` runs the grid in virtual time, on a machine that holds up its
threads as one with all cores busy does. This builds it, writes one line for each cell and a table
of them all, and fails if an accepted window was wrong by 0.5 % or all together by 0.05 %.
"""

import argparse
import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean
from typing import Any

ROOT = Path(__file__).parents[1]
TEST = "test_counter_grid"

Cell = dict[str, Any]


def build(folder: Path) -> Path:
    """Build the test program with CMake; return it."""
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    options = ["-DJOULEFORGE_BUILD_PYTHON=OFF", "-DJOULEFORGE_BUILD_TESTS=ON"]
    configure = ["cmake", "-S", str(ROOT), "-B", str(folder), *generator, *options]
    subprocess.run(configure, check=True, stdout=subprocess.DEVNULL)
    command = ["cmake", "--build", str(folder), "--target", TEST]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "tests" / "cpp" / TEST


def table(cells: Iterable[Cell]) -> str:
    """Return the Markdown table: one line for each load and tick, over all that else varies."""
    groups: dict[tuple[str, int], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell["load"], cell["tick_ms"]), []).append(cell)
    lines = [
        "| load | tick, ms | windows | rejected | mean error, % | worst, % | read naively at 1 s: "
        "mean, % | worst, % |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for (load, tick_ms), group in groups.items():
        accepted = sum(cell["accepted"] for cell in group)
        error = sum(cell["mean"] * cell["accepted"] for cell in group) / accepted
        naive = [cell["naive_1s"] for cell in group]
        lines.append(
            f"| {load} | {tick_ms} | {accepted} | {sum(cell['rejected'] for cell in group)} | "
            f"{100 * error:+.4f} | {100 * max((c['worst'] for c in group), key=abs):+.3f} | "
            f"{100 * fmean(naive):+.1f} | {100 * max(naive, key=abs):+.1f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the whole grid; write the cells and the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "cpp")
    parser.add_argument("--json", type=Path, default=ROOT / "bench/results/meter_grid.jsonl")
    parser.add_argument("--markdown", type=Path, default=ROOT / "bench/results/meter_grid.md")
    options = parser.parse_args()
    done = subprocess.run([build(options.build), "table"], capture_output=True, text=True)
    cells = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    options.json.write_text("".join(json.dumps(cell) + "\n" for cell in cells), encoding="utf-8")
    summary = done.stderr.strip().splitlines()[-1]
    text = (
        "# The GPU meter against a known energy\n\n"
        "Windows as short as they may be (2 s or 20 ticks), over every lag (0, 30 ms), jitter (0, "
        "±3 ms, and ±3 ms in which the counter does not count on), cost of a read (0, 4 ms) and "
        "share of missing ticks (0, 1 %), on a machine that holds up 2 % of all waits for some "
        "milliseconds. The naive reader reads at both ends of a second of load that idleness "
        f"surrounds.\n\n{table(cells)}\n{summary}.\n"
    )
    options.markdown.write_text(text, encoding="utf-8")
    print(text)
    if done.returncode != 0:
        raise SystemExit(done.stderr)


if __name__ == "__main__":
    main()
