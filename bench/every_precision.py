"""Every target and precision this machine can run: converted, proved, measured, in one table.

Each pair is converted and measured in processes of its own: on `minilm-sst2` with the default
gate, and on a BERT-base and a DistilBERT-base of random weights, where there is nothing to be
accurate at, with parity and audit only. `minilm-sst2` answers the test split under every padding
policy. What is refused stands in the table with the reason.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from models import write_model

from jouleforge.engine import Engine
from jouleforge.measurement import read_measurements

CHOICES: tuple[tuple[str, ...], ...] = (
    ("pytorch", "fp32", "--attention", "eager"),
    ("pytorch", "fp32"),
    ("pytorch", "bf16"),
    ("ort", "fp32"),
    ("ort", "fp32", "--flavour", "plain"),
    ("ort", "int8-dynamic"),
    ("ort", "int8"),
    ("ort", "fp16", "--provider", "cpu"),
    ("ov", "fp32"),
    ("ov", "bf16"),
    ("ov", "fp16"),
    ("ov", "int8"),
    ("ov", "int8", "--rest", "bf16"),
    ("ov", "int8", "--quantizer", "nncf"),
    ("trt", "fp16"),
)
RANDOM = {"random BERT-base": "bert", "random DistilBERT-base": "distilbert"}
# The first is timed; the others ask whether the answers depend on padding.
PADDINGS = ("sorted", "longest", "exact", "bucket:16,32,64,128", "static:128")
LENIENT = ("--max-drop", "100", "--max-changed", "1", "--selection-rows", "32",
           "--calibration-rows", "32")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One pair of target and precision on one checkpoint."""

    checkpoint: str
    asked: str
    name: str = ""
    refused: str = ""
    convert_s: float = 0.0
    parity_rms_error: float = 0.0
    decisions_equal: str = ""
    worst_drop: float | None = None
    """Points lost on the selection split, under the worse padding policy."""
    shares: dict[str, float] | None = None
    """Share of the multiply-adds of products with a weight by precision, as the runtime says."""
    fused: str = ""
    examples_per_s: float | None = None
    """Over the test split, sorted by length."""
    accuracy: dict[str, float] | None = None
    """On the task's test split by padding policy; of random weights it would mean nothing."""


def run(words: list[str]) -> subprocess.CompletedProcess[str]:
    """Run one command of ours, and return what it printed."""
    command = [sys.executable, "-m", "jouleforge", *words]
    environment = {**os.environ, "COLUMNS": "1000"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def examine(label: str, checkpoint: str, choice: tuple[str, ...], threads: int) -> Row:
    """Convert and measure one pair."""
    target, precision, *options = choice
    asked = " ".join([target, precision, *(word.lstrip("-") for word in options)])
    random = label in RANDOM
    with tempfile.TemporaryDirectory() as scratch:
        engine, rows = Path(scratch, "engine"), Path(scratch, "rows.jsonl")
        words = ["convert", checkpoint, "-o", str(engine), "--target", target,
                 "--precision", precision, "--task", "sst2", *options]  # fmt: skip
        started = time.monotonic()
        done = run([*words, *(LENIENT if random else ())])
        if done.returncode:
            reason = done.stderr.strip().split("\n")[-1].removeprefix("error: ")
            return Row(label, asked, refused=f"exit {done.returncode}: {reason}")
        convert_s = time.monotonic() - started
        for padding in PADDINGS[:1] if random else PADDINGS:
            timed = padding == PADDINGS[0]
            window = ("--duration", "5") if timed else ("--warmup", "0.1", "--duration", "0.1")
            words = ["measure", str(engine), "--task", "sst2", "--threads", str(threads),
                     "--padding", padding, "-o", str(rows), *window,
                     *(("--limit", "32") if random else ())]  # fmt: skip
            measured = run(words)
            if measured.returncode:
                return Row(label, asked, refused=measured.stderr.strip().split("\n")[-1])
        return _row(label, asked, convert_s, Engine.open(engine), rows)


def _row(label: str, asked: str, convert_s: float, engine: Engine, rows: Path) -> Row:
    manifest, measured = engine.manifest, read_measurements(rows)
    parity, gate = manifest.parity[-1], manifest.gate
    return Row(
        label,
        asked,
        name=engine.name,
        convert_s=convert_s,
        parity_rms_error=parity.rms_error,
        decisions_equal=f"{parity.decisions_equal}/{parity.rows}",
        worst_drop=max(score.drop for score in gate.scores) if gate else None,
        shares=manifest.audit.weighted_shares,
        fused=f"{manifest.audit.fused_attentions}/{manifest.audit.layers}",
        examples_per_s=measured[0].examples_per_s,
        accuracy=None
        if label in RANDOM
        else {row.workload.padding: row.headline for row in measured},
    )


def table(rows: list[Row]) -> str:
    """Return the rows in Markdown."""
    lines = [
        "| checkpoint | engine | parity: RMS error, decisions | points lost (selection) | "
        "weighted products ran in | attentions fused | accuracy (test), sorted | "
        "lowest of all paddings | examples/s | conversion, s |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        if row.refused:
            lines.append(f"| {row.checkpoint} | {row.asked} | {row.refused} |" + "  |" * 7)
            continue
        shares = ", ".join(f"{part:.1%} {name}" for name, part in (row.shares or {}).items())
        lost, accuracy, lowest = ("—",) * 3
        if row.accuracy and row.worst_drop is not None:
            lost, accuracy = f"{row.worst_drop:.2f}", f"{row.accuracy[PADDINGS[0]]:.4f}"
            lowest = f"{min(row.accuracy.values()):.4f}"
        lines.append(
            f"| {row.checkpoint} | {row.name} | {row.parity_rms_error:.2g}, {row.decisions_equal} "
            f"| {lost} | {shares} | {row.fused} | {accuracy} | {lowest} | "
            f"{row.examples_per_s:.3g} | {row.convert_s:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Examine everything, and write the results as they come."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--only", help="only the checkpoints whose label holds this text; other rows stay"
    )
    parser.add_argument(
        "--json", type=Path, default=Path(__file__).parent / "results" / "every_precision.json"
    )
    options = parser.parse_args()
    rows: dict[tuple[str, str], Row] = {}
    if options.only and options.json.is_file():
        stored = [Row(**row) for row in json.loads(options.json.read_text())]
        rows = {(row.checkpoint, row.asked): row for row in stored}
    with tempfile.TemporaryDirectory() as scratch:
        for label in ("minilm-sst2", *RANDOM):
            if options.only and options.only not in label:
                continue
            checkpoint = label
            if label in RANDOM:
                checkpoint = f"{scratch}/{RANDOM[label]}"
                write_model(Path(checkpoint), RANDOM[label])  # type: ignore[arg-type]
            for choice in CHOICES:
                row = examine(label, checkpoint, choice, options.threads)
                rows[row.checkpoint, row.asked] = row
                print(table([row]).split("\n")[2], flush=True)
                listed = [asdict(each) for each in rows.values()]
                options.json.write_text(json.dumps(listed, indent=2) + "\n")
    options.json.with_suffix(".md").write_text(table(list(rows.values())), encoding="utf-8")


if __name__ == "__main__":
    main()
