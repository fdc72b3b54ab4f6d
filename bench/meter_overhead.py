"""What the GPU meter costs the engine it meters: throughput with it over throughput without it.

One engine runs on a core; the meter's native thread follows the counter of the fake NVML
(tests/cpp/fake_nvml.cpp) on another, in real time. Every block runs the engine without the meter,
with it, and with it where a read takes 4 ms, in random order. The ratios are those of blocks.

On a shared machine neighbours take up to a third of a block's time, whatever is measured, so that
throughput is given per second of the worker's own CPU time as well. What that leaves out, a worker
that waits while the meter runs in its place, cannot be more than the CPU time of the meter itself.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime as ort
from overhead import NullRunner, library, make_inputs, median_of_loop, positive, write_model
from scipy.stats import binom

from jouleforge import environment, garbage, stats
from jouleforge._core import CounterMeter, OrtRunner, Runner, SparedCore, run_closed_loop

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from fake_nvml import FakeNvml, build  # noqa: E402

LIMIT = 0.005
WITHOUT = "without"
WAYS = {WITHOUT: 0, "with the meter": 0, "with it, reads of 4 ms": 4_000_000}
"""What a read of the counter costs [ns], where there is a meter."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """One series over another in pairs of blocks, with an interval at 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What one way of metering does to the engine; 1 is nothing."""

    way: str
    throughput: Ratio
    """Median of the pairs, and its interval by their ranks: neighbours on a shared machine take
    some blocks a third of their time, which no mean survives."""
    mean_throughput: Ratio
    """Their geometric mean with Student's t interval."""
    per_cpu_second: Ratio
    """Of the runs per second of the worker's CPU time, as `throughput`."""
    meter_cpu: float
    """Largest CPU time of the meter's thread over the length of its block."""
    median_run: Ratio
    """Of the inverse of the median time of a run: what a run costs that nothing interrupts."""
    reads: float
    """Reads in a window, on average."""
    rates: list[float]
    """Runs per second, block by block."""


@dataclass(frozen=True, slots=True)
class Overhead:
    """What was measured."""

    cpu: str
    onnxruntime: str
    model: str
    blocks: int
    seconds: float
    null_loop_ns: float
    run_us: float
    """Median time of a run without the meter."""
    rates: list[float]
    """Runs per second without it, block by block."""
    costs: list[Cost]


@dataclass(slots=True)
class Seen:
    """What the blocks gave for one way."""

    rates: list[float]
    medians_ns: list[float]
    cpu_rates: list[float] = field(default_factory=list)
    meter_cpu: list[float] = field(default_factory=list)
    reads: int = 0


def measure(model: Path, *, name: str, blocks: int, seconds: float) -> Overhead:
    """Run all ways in interleaved blocks."""
    runner = prepared(model)
    shuffle = random.Random(0)
    seen = {way: Seen([], []) for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        fake = FakeNvml(build(Path(folder)))
        meters = {way: CounterMeter(0, library=fake.path) for way in WAYS if way != WITHOUT}
        for block in range(-1, blocks):  # the first is thrown away
            for way in shuffle.sample(sorted(WAYS), len(WAYS)):
                kept = seen[way] if block >= 0 else Seen([], [])
                if way != WITHOUT:
                    sense(fake, WAYS[way])
                run(runner, meters.get(way), seconds, kept)
    others = [way for way in WAYS if way != WITHOUT]
    return Overhead(
        cpu=environment.capture().cpu,
        onnxruntime=ort.__version__,
        model=name,
        blocks=blocks,
        seconds=seconds,
        null_loop_ns=median_of_loop(NullRunner(1)),
        run_us=float(np.median(seen[WITHOUT].medians_ns)) / 1e3,
        rates=seen[WITHOUT].rates,
        costs=[cost(way, seen[way], seen[WITHOUT]) for way in others],
    )


def prepared(model: Path) -> Runner:
    """Return the runner of one batch on one thread."""
    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    inputs = make_inputs(session)
    names = [spec.name for spec in session.get_outputs()]
    outputs = dict(zip(names, map(np.empty_like, session.run(names, inputs)), strict=True))
    runner = OrtRunner(library(), model, threads=1)
    runner.prepare([(inputs, outputs)])
    return runner


def sense(fake: FakeNvml, cost_ns: int) -> None:
    """Put a counter of ticks of 100 ms there, a read of which costs so much."""
    fake.sensor(period_ns=100_000_000, lag_ns=30_000_000, read_cost_ns=cost_ns)
    fake.load([0], [280.0])


def run(runner: Runner, meter: CounterMeter | None, seconds: float, seen: Seen) -> None:
    """Run the engine for so long, metered or not, as `jouleforge measure` does."""
    core = None
    process_s, worker_s = time.process_time(), time.thread_time()
    if meter is not None:
        core = SparedCore()
        meter.start(lasts_s=seconds, pre_roll_s=0.0, cpu=core.cpu)
    with garbage.paused():
        trace = run_closed_loop(
            runner, order=[0] * 100, warmup_s=0.0, duration_s=seconds, min_passes=1
        )
    if meter is not None:
        found = meter.stop()
        seen.reads += found.reads
    del core
    process_s, worker_s = time.process_time() - process_s, time.thread_time() - worker_s
    times_ns = np.diff(trace.stamps_ns)
    seen.rates.append(len(times_ns) / (float(times_ns.sum()) / 1e9))
    seen.medians_ns.append(float(np.median(times_ns)))
    seen.cpu_rates.append(len(times_ns) / worker_s)
    seen.meter_cpu.append((process_s - worker_s) / (float(times_ns.sum()) / 1e9))


def cost(way: str, metered: Seen, without: Seen) -> Cost:
    """Return what the blocks show of one way against none."""
    rates = [one / other for one, other in zip(metered.rates, without.rates, strict=True)]
    runs = [one / other for one, other in zip(without.medians_ns, metered.medians_ns, strict=True)]
    own = [one / other for one, other in zip(metered.cpu_rates, without.cpu_rates, strict=True)]
    mean = stats.geometric_mean(rates)
    assert mean.interval is not None
    return Cost(
        way=way,
        throughput=middle(rates),
        mean_throughput=Ratio(mean.value, mean.interval.low, mean.interval.high),
        median_run=middle(runs),
        per_cpu_second=middle(own),
        meter_cpu=max(metered.meter_cpu),
        reads=metered.reads / len(metered.rates),
        rates=metered.rates,
    )


def middle(values: list[float]) -> Ratio:
    """Return the median, and the order statistics that hold it in 95 of 100 cases or more."""
    ordered = sorted(values)
    rank = max(1, int(binom.ppf((1 - stats.CONFIDENCE) / 2, len(values), 0.5)))
    return Ratio(float(np.median(values)), ordered[rank - 1], ordered[-rank])


def table(found: Overhead) -> str:
    """Return the report as Markdown."""
    lines = [
        "# What the GPU meter costs",
        "",
        f"{found.model} with ONNX Runtime {found.onnxruntime}, one thread, "
        f"{found.run_us:.4g} µs a run, on {found.cpu}; {found.blocks} interleaved blocks, "
        f"{found.seconds:g} s each way. The meter follows a fake NVML in real time (ticks of "
        "100 ms). An empty loop of the harness takes "
        f"{found.null_loop_ns:.0f} ns a run.",
        "",
        "Ratios are medians of the pairs of blocks, with the meter over without it; the interval "
        "is of the ranks that hold them at 95 %. Neighbours on a shared machine blur the first "
        "column; the CPU time of the meter's own thread is the most that it can take from a worker "
        "beyond what the second shows.",
        "",
        "| | throughput [95 %] | per second of the worker's CPU time [95 %] | of the median run "
        "[95 %] | CPU time of the meter, at most | reads in a window |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for one in found.costs:
        ratios = (one.throughput, one.per_cpu_second, one.median_run)
        texts = [f"{each.value:.4f} [{each.low:.4f}, {each.high:.4f}]" for each in ratios]
        lines.append(
            f"| {one.way} | {' | '.join(texts)} | {100 * one.meter_cpu:.2g} % | {one.reads:.0f} |"
        )
    lines += ["", f"Limit: {1 - LIMIT:g}. {verdict(found)}"]
    return "\n".join(lines) + "\n"


def verdict(found: Overhead) -> str:
    """Return what is shown of the limit: the worker's pace, less all that the meter may take."""
    paces = [(one.per_cpu_second, one.meter_cpu) for one in found.costs]
    runs = [(one.median_run, one.meter_cpu) for one in found.costs]
    likely = min(pace.value - taken for pace, taken in paces)
    least, least_run = (min(each.low - taken for each, taken in of) for of in (paces, runs))
    if likely < 1 - LIMIT:
        return f"NOT kept: a cost of {100 * (1 - likely):.2g} %."
    if least >= 1 - LIMIT:
        return f"Kept: the meter costs {100 * (1 - least):.2g} % at most."
    percent, of_run = (100 * (1 - bound) for bound in (least, least_run))
    return (
        f"Kept, but of all runs together a cost of up to {percent:.2g} % is not excluded; by the "
        f"median run and the meter's own time it is {of_run:.2g} % at most."
    )


def main() -> None:
    """Parse the command line, measure, write."""
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(description=summary, epilog=rest)
    parser.add_argument("--engine", type=Path, help="folder with model.onnx; else one is made")
    parser.add_argument("--blocks", type=positive, default=20)
    parser.add_argument("--seconds", type=float, default=5.2)
    parser.add_argument("--json", type=Path, default=ROOT / "bench/results/meter_overhead.json")
    parser.add_argument("--markdown", type=Path, default=ROOT / "bench/results/meter_overhead.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model, name = Path(folder, "model.onnx"), "An encoder of 2 layers x 128"
        if given.engine is None:
            write_model(model)
        else:
            model, name = given.engine / "model.onnx", given.engine.resolve().name
        found = measure(model, name=name, blocks=given.blocks, seconds=given.seconds)
    given.json.write_text(json.dumps(asdict(found), indent=2) + "\n", encoding="utf-8")
    given.markdown.write_text(table(found), encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    main()
