"""Zeus, CodeCarbon and our meter on the same simulated counter, whose energy is known.

The counter (tests/cpp/fake_nvml.cpp) steps every 100 ms and lags by 30 ms, as an H100's does; the
load is batches of 4 ms at 280 W and 1 ms at 130 W, and idleness is 130 W. All three read it through
NVML in real time, each in a process of its own, and each is used as its documentation says:

* Zeus: `ZeusMonitor(gpu_indices=[0]).begin_window(key)`, work, `end_window(key)`;
* CodeCarbon: `OfflineEmissionsTracker(...).start_task(key)`, work, `stop_task(key)`;
* ours: the meter is started, work goes on for 3.4 s more than the window, the meter is stopped.

`around` is their own usage: the work begins after the first call and has ended before the last.
`within` is kinder than any documentation asks for: the load begins a second before and ends a
second after. An error is the tool's joules over those that the GPU used from the one call to the
other, less one; of ours, from one edge to the other.

Zeus and what it imports: pip install --no-deps --target DIR zeus==0.16.0 httpx==0.28.1
httpcore==1.0.9 h11==0.16.0, and give that DIR with --packages if it is no environment of its own.
"""

import argparse
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from fake_nvml import BUSY_W, IDLE_W, NAME, FakeNvml, build  # noqa: E402

LAG_NS, TICK_NS = 30_000_000, 100_000_000
BUSY_NS, REST_NS = 4_000_000, 1_000_000
LEAD_S = 3.4
"""Our meter's pre-roll and post-roll, once the tick is known; up to a second of it is window."""
LEAST_S = 2.0
"""Windows of ours that are shorter are refused. Asked for one, it gets no second to spare."""
LENGTHS_S = (0.5, 1.0, 2.0, 5.0, 10.0)
LONG_S = 5.0
SERIES = (
    ("zeus", "around"),
    ("codecarbon", "around"),
    ("zeus", "within"),
    ("codecarbon", "within"),
    ("jouleforge", "within"),
)
TITLES = {"zeus": "Zeus", "codecarbon": "CodeCarbon", "jouleforge": "jouleforge"}

Line = dict[str, Any]


class Gpu(FakeNvml):
    """The load, in real time, and what it used."""

    def __init__(self, library: Path) -> None:
        super().__init__(library)
        self.sensor(period_ns=TICK_NS, lag_ns=LAG_NS)
        self._at_ns, self._watts = np.array([0]), np.array([IDLE_W])
        self.load(self._at_ns, self._watts)

    def work(self, seconds: float) -> tuple[int, int]:
        """Begin to work now, for so long; return the instants. A counter forgets nothing."""
        begin_ns = time.monotonic_ns()
        end_ns = begin_ns + int(seconds * 1e9)
        begins = np.arange(begin_ns, end_ns, BUSY_NS + REST_NS)
        at_ns = np.stack([begins, begins + BUSY_NS], axis=1).ravel()
        self._at_ns = np.append(self._at_ns, at_ns)
        self._watts = np.append(self._watts, np.tile([BUSY_W, IDLE_W], len(begins)))
        self.load(self._at_ns, self._watts)
        return begin_ns, end_ns

    def used(self, begin_ns: int, end_ns: int) -> float:
        """Joules between two instants, whatever the counter says of them and when."""
        return self.truth(begin_ns + LAG_NS, end_ns + LAG_NS)


def sleep_until(at_ns: int) -> None:
    """Wait, as a process whose GPU works does."""
    time.sleep(max(0.0, (at_ns - time.monotonic_ns()) / 1e9))


Calls = tuple[Callable[[str], object], Callable[[str], float]]
"""What opens a window, and what closes it and returns its joules."""


def zeus() -> Calls:
    """Return Zeus's calls; without synchronisation, since there is no CUDA to wait for."""
    from zeus.monitor import ZeusMonitor

    monitor = ZeusMonitor(gpu_indices=[0], cpu_indices=[])

    def begin(key: str) -> None:
        monitor.begin_window(key, sync_execution=False)

    def end(key: str) -> float:
        return float(monitor.end_window(key, sync_execution=False).gpu_energy[0])

    return begin, end


def codecarbon() -> Calls:
    """Return CodeCarbon's calls for a task, after one task that finds its hardware."""
    logging.getLogger("codecarbon").setLevel(logging.ERROR)
    from codecarbon import OfflineEmissionsTracker

    tracker = OfflineEmissionsTracker(
        country_iso_code="FRA", output_methods=[], log_level="error", gpu_ids=[0]
    )
    tracker.start_task("hardware")
    tracker.stop_task("hardware")

    def end(key: str) -> float:
        return float(tracker.stop_task(key).gpu_energy) * 3.6e6

    return tracker.start_task, end


def naive(gpu: Gpu, calls: Calls, *, within: bool, length_s: float, key: str) -> Line:
    """Return one window of a tool that reads when it is told."""
    begin, end = calls
    if within:
        gpu.work(length_s + 2)
        time.sleep(1)
        begin(key)
        begin_ns = time.monotonic_ns()
        end_ns = begin_ns + int(length_s * 1e9)
    else:
        begin(key)
        begin_ns, end_ns = gpu.work(length_s)
    sleep_until(end_ns)
    end_ns = time.monotonic_ns() if within else end_ns
    joules = end(key)
    if within:
        time.sleep(1)
    return {"error": joules / gpu.used(begin_ns, end_ns) - 1}


def ours(gpu: Gpu, meter: Any, *, length_s: float) -> Line:
    """Return one window of our meter, or the code of its refusal."""
    from jouleforge._core import SparedCore

    core = SparedCore()
    lasts_s = length_s + LEAD_S - (0 if length_s >= LEAST_S else 1)
    meter.start(lasts_s=lasts_s, shortest_s=length_s, cpu=core.cpu)
    _, end_ns = gpu.work(lasts_s)
    sleep_until(end_ns)
    found = meter.stop()
    if found.joules is None:
        return {"refused": found.reason.partition(":")[0]}
    return {
        "error": found.joules / gpu.used(found.begin_ns, found.end_ns) - 1,
        "window_s": found.window_s,
    }


def series(tool: str, kind: str, library: Path, *, windows: int) -> Iterator[Line]:
    """Give one line for each window of one tool, at every length in turn."""
    gpu = Gpu(library)
    shuffle = random.Random(f"{tool} {kind}")
    calls, meter = None, None
    if tool == "jouleforge":
        from jouleforge._core import CounterMeter

        meter = CounterMeter(0, library=str(library))
    else:
        calls = zeus() if tool == "zeus" else codecarbon()
    if meter is not None:
        ours(gpu, meter, length_s=2.0)  # learns the tick, which serves all windows after it
    for length_s in LENGTHS_S:
        for number in range(windows if length_s < LONG_S else windows // 2):
            time.sleep(0.4 + shuffle.random() * 0.1)  # idle, until any phase of the tick
            # A whole number of ticks would end at the phase it began at, and flatter every tool.
            exact_s = length_s + shuffle.random() * 0.1
            if calls is None:
                found = ours(gpu, meter, length_s=exact_s)
            else:
                key = f"{length_s}/{number}"
                found = naive(gpu, calls, within=kind == "within", length_s=exact_s, key=key)
            yield {"tool": tool, "kind": kind, "length_s": length_s, **found}


def run_all(packages: str, windows: int) -> list[Line]:
    """Run all series side by side, each in a process that loads the fake NVML as the driver's."""
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder))
        # CodeCarbon looks for a GPU only where this program is.
        smi = Path(folder, "nvidia-smi")
        smi.write_text("#!/bin/sh\n", encoding="utf-8")
        smi.chmod(0o755)
        paths = [path for path in (packages, os.environ.get("PYTHONPATH", "")) if path]
        environ = {
            "LD_LIBRARY_PATH": folder,
            "PATH": os.pathsep.join([folder, os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join(paths),
        }
        script = [sys.executable, __file__, "--windows", str(windows), "--library", folder]
        started = [
            subprocess.Popen(
                [*script, "--series", tool, kind],
                env=os.environ | environ,
                stdout=subprocess.PIPE,
                text=True,
            )
            for tool, kind in SERIES
        ]
        texts = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise SystemExit("a series failed; what it printed stands above")
    return [json.loads(line) for text in texts for line in text.splitlines()]


def cell(lines: list[Line]) -> str:
    """Return bias, spread and worst error in %, of one tool at one length."""
    errors = [100 * line["error"] for line in lines if "error" in line]
    refused = sorted({line["refused"] for line in lines if "refused" in line})
    if len(errors) < 2:
        return f"refused ({', '.join(refused)})" if refused else "-"
    count = sum("refused" in line for line in lines)
    rejected = f", {count} rejected ({', '.join(refused)})" if count else ""
    worst = max(errors, key=abs)
    digits = 1 if max(map(abs, errors)) > 0.5 else 3
    return (
        f"{fmean(errors):+.{digits}f} / {stdev(errors):.{digits}f} / {worst:+.{digits}f} "
        f"({len(errors)}{rejected})"
    )


def table(lines: list[Line]) -> str:
    """Return the report as Markdown."""
    heads = [f"{TITLES[tool]}, {kind}" if tool != "jouleforge" else TITLES[tool]
             for tool, kind in SERIES]  # fmt: skip
    versions = ", ".join(
        f"{TITLES[tool]} {metadata.version(tool)}" for tool in ("zeus", "codecarbon")
    )
    rows = [
        f"| {length_s:g} s | " + " | ".join(
            cell([one for one in lines
                  if (one["tool"], one["kind"], one["length_s"]) == (tool, kind, length_s)])
            for tool, kind in SERIES
        ) + " |"
        for length_s in LENGTHS_S
    ]  # fmt: skip
    return "\n".join(
        [
            "# Meters on the same counter",
            "",
            f"Bias / standard deviation / worst error in % (windows). {versions}. The counter, the "
            "load and how each tool was used: `bench/meter_peers.py`. Windows are up to a tick "
            "longer than their row says, at random. `around`: the work begins "
            "and ends within the window, as both tools document it; `within`: the window lies "
            "within a load that goes on. Ours always lies within one, begins and ends where the "
            "counter changes, is up to a second longer, and is refused below 20 of its ticks "
            "(2 s).",
            "",
            f"| window | {' | '.join(heads)} |",
            f"|---|{'---|' * len(heads)}",
            *rows,
            "",
        ]
    )


def main() -> None:
    """Run all series, or the one that is named."""
    summary, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--packages", default="", help="folder that Zeus was installed into")
    parser.add_argument("--windows", type=int, default=12, help="of each length; half from 5 s on")
    parser.add_argument("--json", type=Path, default=ROOT / "bench/results/meter_peers.json")
    parser.add_argument("--markdown", type=Path, default=ROOT / "bench/results/meter_peers.md")
    parser.add_argument("--series", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--library", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.series:
        for line in series(*given.series, given.library / NAME, windows=given.windows):
            print(json.dumps(line), flush=True)
        return
    sys.path.insert(0, given.packages or str(ROOT))
    lines = run_all(given.packages, given.windows)
    given.json.write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")
    given.markdown.write_text(table(lines), encoding="utf-8")
    print(table(lines))


if __name__ == "__main__":
    main()
