"""Footnotes: how a comparison was measured, on what, what is missing, and what its words mean."""

from collections.abc import Iterable, Iterator
from pathlib import PurePath

from jouleforge.comparison import Comparison, Meter, Row
from jouleforge.comparison.latencies import BUSIEST
from jouleforge.environment import Environment
from jouleforge.reports.parts import carbon, conditions, latency, wording
from jouleforge.schedule import Schedule

DEFINITIONS = (
    (
        "examples/s",
        "Examples answered in the timed window over its length; tokenisation and the loading of "
        "the engine are not in it. Median of the repeats; interval: that of the geometric mean, t "
        "on the logarithms of the repeats. From ten repeats on they are resampled too (10,000 "
        "draws, expanded percentiles); where an end of that interval differs by over 20 %, it is "
        "shown beside the other as 'bootstrap'.",
    ),
    (
        "p50, p90, p95, p99, p99.9",
        "Percentiles of the time of one batch, or of one query where the scenario has queries, "
        "over those of all repeats together. No percentile is given where too few batches bound it "
        "from above. Batches of one repeat are not independent: from ten repeats and ten batches "
        "beyond the percentile on, resampled "
        "repeats tell how many independent batches they are worth, and the interval is that of "
        "as many order statistics. Else it is marked 'within-block': order statistics as if "
        "batches were independent, too short for another run.",
    ),
    (
        "scenario",
        "offline: batches one after the other. single-stream: queries of one example, each begun "
        "when the last is done. multi-stream: the same with several examples a query. server: "
        "queries of one example arrive at random (exponential gaps) and are served one by one in "
        "their order; latencies count from the intended arrival. Spin or block is how the engine's "
        "thread waits for an arrival. Latencies of a queue hang together: the busier the engine, "
        "the more of them a percentile needs, and its interval is taken from the repeats or, with "
        "fewer than ten, from twenty stretches of them (then marked 'within-block').",
    ),
    (
        "J/example",
        "Joules of the meter's window, idle power included, over the examples answered in it. Only "
        "devices of one meter and one scope are added, and meters of two classes never. The "
        "intervals are as those of examples/s, the noise between repeats; a counter's own constant "
        "error is not in it and cancels in ratios.",
    ),
    (
        "dynamic",
        "J/example less what the devices draw with the engine loaded and nothing running, read "
        "before and after the load by the same meter; not given where the two differ by over 5 %. "
        "The total is the headline: idle power is paid for too.",
    ),
    (
        "dithered",
        "Batches that would keep pace with a sensor that looks part of the time are interrupted "
        "once a second. The pauses' energy at idle power is taken out of J/example; half of "
        "that is its uncertainty.",
    ),
    (
        "J/correct",
        "J/example over the accuracy; for single-label tasks. Its interval joins that of J/example "
        "and Wilson's of the accuracy on the log scale (MOVER). Its ratio to the baseline's joins "
        "the paired ratio of joules and Bonett and Price's interval for the ratio of two "
        "accuracies over the same examples.",
    ),
    (
        "J/token",
        "J/example by the tokens of an example: the real ones of its text, or those that were "
        "computed, padding included.",
    ),
    (
        "same answers",
        "Examples that get the answer the baseline gives them, right or wrong.",
    ),
    (
        "accuracy difference",
        "In percentage points over the same examples. Interval: Tango's score interval for pairs; "
        "p: McNemar's exact test, the stricter of the two where few answers changed. With more "
        "than two classes, examples that both may answer wrongly count as if one were right, so "
        "interval and p are never too small.",
    ),
    (
        "ratio",
        "Row over baseline. Each block measures every row once, and gives one ratio; shown are "
        "their geometric mean and its 95 % t interval on the log scale, and the bootstrap's as for "
        "examples/s. 'Faster', 'slower' and 'fewer joules' are said only where every interval "
        "shown excludes 1 and the effect exceeds the resolution. The intervals are not corrected "
        "for the number of rows: of twenty equal rows, one may seem to differ.",
    ),
    (
        "resolution",
        "What the method itself may show as an effect: a study measures its baseline twice in "
        "every block (A/A). The ratio of the two is computed as any other; the end of its interval "
        "that is furthest from 1 must be exceeded.",
    ),
    ("padding", "Share of the computed tokens that is padding."),
    (
        "frontier",
        "Rows that no other row beats: none is as good in the task's metric and in joules (in time "
        "per example where not every row was counted) and better in one. By the values, not their "
        "intervals.",
    ),
)


def description(comparison: Comparison) -> str:
    """Return the data in one line: task, split, examples and metric."""
    facts, path = comparison.facts, PurePath(comparison.task)
    # Of a task file the last folder tells it apart; what is above it is nobody else's business.
    task = str(PurePath(*path.parts[-2:])) if path.suffix == ".toml" else comparison.task
    return (
        f"{task}, {comparison.split} split: {facts.examples:,} examples, {facts.kind}, "
        f"metric {comparison.headline}"
    )


def environment(found: Environment) -> str:
    """Return the machine and software in one line."""
    memory = f"{found.memory_bytes / 2**30:.1f} GiB" if found.memory_bytes else "unknown memory"
    flags = ", ".join(found.cpu_flags) or "no telling instruction set"
    machine = {True: "virtual machine", False: "bare metal", None: "virtual or not is unknown"}
    packages = ", ".join(f"{name} {version}" for name, version in sorted(found.packages.items()))
    return (
        f"{found.cpu} ({flags}), {found.usable_cpus} of {found.logical_cpus} logical processors "
        f"usable, {memory}, {machine[found.virtual_machine]}; {found.system}; "
        f"frequency governor {found.governor or 'unknown'}; clock {found.clock_source or 'unknown'}"
        f"; Python {found.python}; {packages or 'packages unknown'}"
    )


def method(comparison: Comparison) -> list[tuple[str, str]]:
    """Return how it was measured, as terms and what they were."""
    rows = comparison.rows
    facts = comparison.facts
    return [
        ("Data", f"{description(comparison)}; {facts.source}, digest {facts.digest[:12]}"),
        ("Checkpoint", _checkpoints(rows)),
        ("Windows", _windows(rows)),
        ("Order", _order(comparison)),
        *conditions.repetition(comparison),
        *conditions.warmup(rows),
        ("Threads", _values(row.first.threads for row in rows)),
        ("Runtimes", wording.enumeration(sorted({row.first.engine.runtime for row in rows}))),
        ("Tokenising", _tokenising(rows)),
        *conditions.memory(rows),
        ("Energy", _energy(comparison)),
        *conditions.idle(rows),
        *([] if carbon.columns(comparison) else carbon.terms(comparison)),
        ("Measured", _dates(rows)),
    ]


def _checkpoints(rows: Iterable[Row]) -> str:
    engines = [row.first.engine for row in rows]
    found = dict.fromkeys(
        f"{engine.checkpoint}, {engine.parameters:,} parameters, digest "
        f"{engine.checkpoint_digest[:12]}"
        for engine in engines
    )
    return "; ".join(found)


def _windows(rows: Iterable[Row]) -> str:
    schedules = sorted({_schedule(row.first.schedule) for row in rows})
    passes = _values(row.first.timing.passes for row in rows)
    return f"{wording.enumeration(schedules, last='or')}; passes in a row's first window: {passes}"


def _schedule(found: Schedule) -> str:
    return (
        f"{'' if found.scenario == 'offline' else found.name + ': '}whole passes over the data for "
        f"{found.duration_s:g} s or longer, at least {found.min_passes}, after a warm-up of "
        f"{found.warmup_s:g} s"
    )


def _order(comparison: Comparison) -> str:
    repeats = _values(row.repeats for row in comparison.rows)
    if comparison.is_interleaved:
        again = f", and {comparison.resolution.label} twice (A/A)" if comparison.resolution else ""
        return f"{repeats} interleaved blocks; every block measures each row once{again}"
    return f"{repeats} measurements of each row, not interleaved"


def _tokenising(rows: Iterable[Row]) -> str:
    """Tell what is left out of every time, so that it can be set against them."""
    slowest = max(rows, key=lambda row: row.tokenize_s)
    rate = slowest.first.facts.examples / slowest.tokenize_s if slowest.tokenize_s else None
    speed = "" if rate is None else f" ({wording.number(rate)} examples/s)"
    return f"done before; {wording.number(slowest.tokenize_s)} s for all examples{speed}"


def meter(found: Meter) -> str:
    """Return what a figure of energy is of."""
    corrected = f", corrected: {'; '.join(found.calibrations)}" if found.calibrations else ""
    return (
        f"{found.energy_class}, source {found.source}, scope {found.scope}: "
        f"{wording.enumeration(found.devices)}{corrected}"
    )


def _energy(comparison: Comparison) -> str:
    if comparison.meter is None:
        reasons = dict.fromkeys(row.energy_reason for row in comparison.rows)
        return f"not measured: {'; '.join(reason for reason in reasons if reason)}"
    others = dict.fromkeys(other.meter for row in comparison.rows for other in row.other_energies)
    text = meter(comparison.meter)
    if others:
        listed = "; ".join(meter(other) for other in others)
        text += f". Measured beside it and never added to it: {listed}"
    return text


def _dates(rows: Iterable[Row]) -> str:
    started = sorted(row.first.started_at for row in rows)
    return started[0] if started[0] == started[-1] else f"from {started[0]} on"


def _values(found: Iterable[int]) -> str:
    values = sorted(set(found))
    return f"{values[0]:,}" if len(values) == 1 else f"{values[0]:,} to {values[-1]:,}"


def missing(comparison: Comparison) -> list[str]:
    """Return, for every kind of dash in the table, why it is there and in which rows."""
    return [*_missing_percentiles(comparison), *_missing_energy(comparison), *_missing(comparison)]


def _missing_percentiles(comparison: Comparison) -> Iterator[str]:
    for name in latency.names(comparison):
        lacking = [row for row in comparison.rows if row.latencies.percentiles_s[name] is None]
        by_need: dict[int | None, list[Row]] = {}
        for row in lacking:
            by_need.setdefault(row.latencies.fewest(name), []).append(row)
        for fewest, rows in by_need.items():
            counts = _values(row.latencies.count for row in rows)
            yield f"{name} {_need(fewest, rows)}, {counts} were timed: {_which(rows, comparison)}."
    if busy := [row for row in comparison.rows if row.latencies.is_too_busy]:
        yield (
            f"No interval of a percentile above a load of {BUSIEST:g}: it would be too short. "
            f"{_which(busy, comparison)}."
        )


def _need(fewest: int | None, rows: list[Row]) -> str:
    what = "batches" if latency.unit(rows) == "batch" else "queries"
    if fewest is None:
        return "has no value of its own while the queue grows"
    queued = " of a queue as busy as that" if rows[0].latencies.worth is not None else ""
    return f"needs {fewest:,} timed {what}{queued}"


def _missing_energy(comparison: Comparison) -> Iterator[str]:
    reasons: dict[str, list[Row]] = {}
    for row in comparison.rows:
        if row.energy is None:
            reasons.setdefault(row.energy_reason, []).append(row)
    for reason, rows in reasons.items():
        yield f"No joules ({reason.rstrip('.')}): {_which(rows, comparison)}."
    yield from _missing_dynamic(comparison)
    unpaired = [row for row in comparison.rows if row.energy and row.energy_ratio is None]
    if unpaired:
        yield (
            "No energy ratio, for the baseline was not measured by the same meter in the same "
            f"blocks: {_which(unpaired, comparison)}."
        )


def _missing_dynamic(comparison: Comparison) -> Iterator[str]:
    reasons: dict[str, list[Row]] = {}
    for row in comparison.rows:
        rest = row.energy.rest if row.energy else None
        if rest is not None and rest.reason:
            reasons.setdefault(rest.reason, []).append(row)
    for reason, rows in reasons.items():
        yield f"No dynamic joules ({reason.rstrip('.')}): {_which(rows, comparison)}."


def _missing(comparison: Comparison) -> Iterator[str]:
    others = [row for row in comparison.rows if not row.is_baseline]
    single = [row for row in others if row.speed_ratio.interval is None]
    if single:
        yield f"No interval of the ratio without two pairs: {_which(single, comparison)}."
    if any(row.decisions_equal is None for row in comparison.rows):
        yield "A regression gives values and no answers that could be the same."
    undefined = [row for row in comparison.rows if row.headline is None]
    if undefined:
        yield (
            f"{comparison.headline} is undefined for the answers, which keeps a row off the "
            f"frontier: {_which(undefined, comparison)}."
        )


def _which(rows: list[Row], comparison: Comparison) -> str:
    return wording.which([row.label for row in rows], comparison)
