"""What a conversion costs: time and peak memory, beside optimum-onnx doing the same.

A BERT-base of random weights (110 M parameters) is converted in fresh processes, interleaved: by us
to a fused float32 and to a dynamic INT8 engine, parity checks included; by optimum-onnx with its
optimisation level O2; and, since its quantiser fails on that graph, by its export with
onnxruntime's own optimizer and dynamic quantisation. Times are from start to exit. The peak is the
largest resident set; beside it stands what importing the libraries takes by itself.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from models import LAYERS, VOCABULARY, WIDTH, write_model

# The parent imports nothing heavy: on Linux a child's peak starts from its parent's.

HERE = Path(__file__).parent
EXPORT = HERE / "peers" / "optimum_onnx" / "export.py"
PEER_PYTHON = Path("build/peers/optimum_onnx/venv/bin/python")
OURS, THEIRS = "jouleforge", "optimum-onnx"
IMPORTS = "import jouleforge.converters, jouleforge.converters.targets.ort, onnxscript"


@dataclass(frozen=True, slots=True)
class Job:
    """One conversion, or the imports alone."""

    name: str
    maker: str
    command: list[str]
    """`OUT` stands for the folder to write."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a job took; time and memory are medians."""

    name: str
    maker: str
    seconds: float
    all_seconds: list[float]
    peak_rss_bytes: int
    above_imports_bytes: int
    peak_by_weights: float
    """Peak over the size of the float32 weights."""


def jobs(model: Path, peer: Path) -> list[Job]:
    """Return all jobs; those that only import are first."""
    convert = [sys.executable, "-m", "jouleforge", "convert", str(model), "-o", "OUT"]
    export = [str(peer), str(EXPORT)]
    return [
        Job("imports", OURS, [sys.executable, "-c", IMPORTS]),
        Job("imports", THEIRS, export),
        Job("fp32", OURS, [*convert, "--target", "ort"]),
        Job("int8-dynamic", OURS, [*convert, "--target", "ort", "--precision", "int8-dynamic"]),
        Job("fp32", THEIRS, [*export, "optimum-O2", str(model), "OUT"]),
        Job("int8-dynamic", THEIRS, [*export, "onnxruntime-int8", str(model), "OUT"]),
    ]


def run(job: Job, threads: int) -> tuple[float, int]:
    """Do a job in a fresh process; return its time in s and its peak resident set in bytes."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [word.replace("OUT", f"{scratch}/out") for word in job.command]
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "HF_HUB_OFFLINE": "1",
            "TMPDIR": scratch,
        }
        log = Path(scratch, "log")
        with log.open("wb") as stream:
            started = time.monotonic()
            child = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream)
            _, status, usage = os.wait4(child.pid, 0)
            seconds = time.monotonic() - started
            child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            end = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            sys.exit(f"{job.maker}, {job.name} ended with {child.returncode}:\n{end}")
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return seconds, usage.ru_maxrss * unit


def measure(model: Path, peer: Path, *, repeats: int, threads: int) -> list[Cost]:
    """Do all jobs in blocks, each in its own random order, and return what they took."""
    todo = jobs(model, peer)
    found: dict[int, list[tuple[float, int]]] = {number: [] for number in range(len(todo))}
    shuffle = random.Random(0)
    for block in range(repeats):
        for number in shuffle.sample(range(len(todo)), len(todo)):
            job = todo[number]
            found[number].append(run(job, threads))
            seconds, peak = found[number][-1]
            what = f"block {block + 1}: {job.maker}, {job.name}"
            print(f"{what}: {seconds:.1f} s, {peak / 1e6:.0f} MB", file=sys.stderr)
    peaks = [int(statistics.median(peak for _, peak in found[number])) for number in found]
    base = {job.maker: peaks[number] for number, job in enumerate(todo) if job.name == "imports"}
    weights = (model / "model.safetensors").stat().st_size
    return [
        Cost(
            name=job.name,
            maker=job.maker,
            seconds=statistics.median(seconds for seconds, _ in found[number]),
            all_seconds=[round(seconds, 3) for seconds, _ in found[number]],
            peak_rss_bytes=peaks[number],
            above_imports_bytes=peaks[number] - base[job.maker],
            peak_by_weights=round(peaks[number] / weights, 3),
        )
        for number, job in enumerate(todo)
    ]


def show(costs: list[Cost]) -> str:
    """Return the report as text."""
    return "\n".join(
        f"{cost.maker:13s} {cost.name:13s} {cost.seconds:6.1f} s  peak "
        f"{cost.peak_rss_bytes / 1e6:6.0f} MB ({cost.peak_by_weights:.2f} x the weights), "
        f"{cost.above_imports_bytes / 1e6:6.0f} MB above the imports"
        for cost in costs
    )


def processor() -> str:
    """Return the processor's name."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


def main() -> None:
    """Parse the command line, measure, print."""
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(description=summary, epilog=rest)
    parser.add_argument("--peer-python", type=Path, default=PEER_PYTHON)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the result here too")
    parser.add_argument("--write-model", type=Path, help="only save the model into this folder")
    given = parser.parse_args()
    if given.write_model is not None:
        write_model(given.write_model)
        return
    if not given.peer_python.is_file():
        parser.error(
            f"{given.peer_python} is missing; `python bench/peers/run.py --prepare-only` makes it"
        )
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder, "bert-base")
        command = [sys.executable, __file__, "--write-model", str(model)]
        subprocess.run(command, check=True)
        costs = measure(model, given.peer_python, repeats=given.repeats, threads=given.threads)
    print(show(costs))
    if given.json is not None:
        content = {
            "processor": processor(),
            "threads": given.threads,
            "model": f"BERT of {LAYERS} layers x {WIDTH}, vocabulary of {VOCABULARY}, random",
            "costs": [asdict(cost) for cost in costs],
        }
        given.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
