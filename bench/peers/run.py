"""Measure our engines beside those that optimum-onnx and ONNX Runtime's own tools make.

All are made of one checkpoint and measured by one interleaved study: the peers' graphs are exported
in an environment of their own, adopted untouched, and run by the same harness with the same
runtime. Needs the checkpoint and SST-2 under $JOULEFORGE_DATA.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from environments import interpreter
from result_tables import refresh

from jouleforge.checkpoint import Checkpoint

HERE = Path(__file__).parent
PEER = "optimum_onnx"
NAMES = ("optimum", "optimum-O2", "optimum-int8", "onnxruntime-int8")
RESULTS = HERE.parent / "results" / "peers.jsonl"


def run(*command: object) -> None:
    """Run a command, and end with its code if it fails."""
    ended = subprocess.run([str(word) for word in command], check=False)
    if ended.returncode != 0:
        sys.exit(ended.returncode)


def prepare(work: Path, python: Path, checkpoint: str) -> None:
    """Export and adopt what is not there yet, beside a copy of the study's file."""
    source = Checkpoint.load(checkpoint).path
    for name in NAMES:
        exported, engine = work / "exports" / name, work / "engines" / name
        if not exported.is_dir():
            run(python, HERE / PEER / "export.py", name, source, exported)
        if not engine.is_dir():
            run(
                sys.executable, "-m", "jouleforge", "adopt", exported, "-o", engine,
                "--name", name, "--checkpoint", checkpoint,
            )  # fmt: skip
    shutil.copy(HERE / "study.toml", work / "study.toml")


def main() -> None:
    """Parse the command line, prepare, measure, and write the tables."""
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(description=summary, epilog=rest)
    parser.add_argument("--work", type=Path, default=Path("build/peers"))
    parser.add_argument("--python", type=Path, help="use this environment instead of making one")
    parser.add_argument("--prepare-only", action="store_true", help="make the engines, no more")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    python = given.python or interpreter(PEER, under=given.work)
    prepare(given.work, python, "minilm-sst2")
    if given.prepare_only:
        return
    out = given.work / "out"
    run(sys.executable, "-m", "jouleforge", "study", given.work / "study.toml", "-o", out)
    shutil.copy(out / "results.jsonl", RESULTS)
    refresh(HERE / "README.md")


if __name__ == "__main__":
    main()
