"""Terminal: comparisons and diagnoses for a person, no wider than 100 columns."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jouleforge.comparison import Comparison, Row
from jouleforge.console import WIDTH, make_console
from jouleforge.doctor import Diagnosis
from jouleforge.meter_check import MeterCheck
from jouleforge.meter_trials import Against
from jouleforge.reports.parts import carbon, footnotes, joules, latency, wording
from jouleforge.reports.parts.summary import summary

_VERDICTS = {"faster": "green", "slower": "red", "no difference shown": "dim", "baseline": ""}
_STATES = {"ok": "green", "limited": "yellow", "missing": "red"}


def print_comparison(comparison: Comparison) -> None:
    """Print the summary, the table, and what a reader must know beside it."""
    console = make_console()
    for sentence in summary(comparison):
        console.print(Text(sentence))
    console.print(to_rich_table(comparison), width=min(console.width, WIDTH))
    _print_latencies(comparison, console)
    for label, text in joules.lines(comparison):
        console.print(Text(f"{label}: {text}"))
    for sentence in footnotes.missing(comparison):
        console.print(Text(f"{wording.MISSING} {sentence}", style="dim"))
    _print_carbon(comparison, console)
    for raised in comparison.caveats:
        console.print(_note(raised.caveat.text, raised.rows, comparison))
    for note in comparison.notes:
        console.print(_note(note.text, note.rows, comparison))


def to_rich_table(comparison: Comparison) -> Table:
    """Return the table, fitting in 100 columns; names wrap, figures do not."""
    table = Table(
        title=Text(footnotes.description(comparison)),
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 1, 0, 0),
        caption="Ratio: speed over the baseline's with its 95 % interval. ★: on the frontier.",
        caption_justify="left",
    )
    table.add_column("engine", overflow="fold")
    table.add_column("padding", max_width=14, overflow="fold")
    for title in ("batch", "ex/s", "p50 ms", "p99 ms", "J/ex", comparison.headline, "same"):
        table.add_column(Text(title), justify="right", no_wrap=True)
    table.add_column("ratio", no_wrap=True)
    for row in comparison.rows:
        table.add_row(*_cells(row))
    return table


def _print_latencies(comparison: Comparison, console: Console) -> None:
    """Print the percentiles of queries with their intervals; batches have theirs in the table."""
    if not latency.is_of_interest(comparison):
        return
    for row in comparison.rows:
        scenario, timed, *percentiles = latency.cells(row, comparison)
        figures = zip(latency.names(comparison), percentiles, strict=True)
        given = "; ".join(f"{name} {text}" for name, text in figures)
        console.print(Text(f"{row.label}: {scenario}; ms of {timed}: {given}"))


def _print_carbon(comparison: Comparison, console: Console) -> None:
    """Print the grams of CO2e and all that they rest on, or that there are none."""
    columns = carbon.columns(comparison)
    if not columns:
        console.print(Text(carbon.reason(comparison)))
        return
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column(carbon.UNIT, overflow="fold")
    for column in columns:
        table.add_column(Text(column.title.replace(", ", "\n")), justify="right")
    for row, *cells in zip(comparison.rows, *(column.texts() for column in columns), strict=True):
        table.add_row(Text(row.label), *map(Text, cells))
    console.print(table, width=min(console.width, WIDTH))
    for term, text in carbon.terms(comparison):
        console.print(Text(f"{term}: {text}"))


def _cells(row: Row) -> list[Text]:
    workload = row.first.workload
    name = Text(row.name, style="bold" if row.on_frontier else "")
    name.append(" ★" if row.on_frontier else "", style="green")
    return [
        name,
        Text(workload.padding),
        Text(str(workload.batch_size)),
        Text(wording.number(row.examples_per_s.value)),
        Text(wording.milliseconds(row.latencies.percentiles_s["p50"])),
        Text(wording.milliseconds(row.latencies.percentiles_s["p99"])),
        Text(_joules(row)),
        Text(wording.metric(row.headline)),
        Text(_same(row)),
        Text(_ratio(row), style=_VERDICTS[row.verdict]),
    ]


def _joules(row: Row) -> str:
    """Return joules; a tilde marks an estimate, which the summary spells out."""
    if row.energy is None:
        return wording.MISSING
    mark = "" if row.energy.meter.energy_class == "counter" else "~"
    return f"{mark}{wording.number(row.energy.per_example_j.value)}"


def _ratio(row: Row) -> str:
    """Return the speed ratio with its intervals, one a line: the column is narrow."""
    if row.is_baseline:
        return "1"
    bounds = "\n".join(wording.bounds(row.speed_ratio.intervals))
    return f"{wording.number(row.speed_ratio.value)} {bounds}".rstrip()


def _same(row: Row) -> str:
    """Return the share of equal answers; 100 % only if none differs."""
    equal, examples = row.decisions_equal, row.first.facts.examples
    if equal is None:
        return wording.MISSING
    return "100 %" if equal == examples else f"{min(99.9, 100 * equal / examples):.1f} %"


def _note(text: str, rows: tuple[str, ...], comparison: Comparison) -> Text:
    where = f" ({wording.which(rows, comparison)})" if rows else ""
    return Text(f"! {text}{where}", style="yellow")


def print_diagnosis(diagnosis: Diagnosis) -> None:
    """Print what was looked for, group by group, and what to do about what is missing."""
    console = make_console()
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(max_width=30, overflow="fold")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    previous = ""
    for check in diagnosis.checks:
        found = Text(check.found)
        if check.advice:
            found.append(f"\n→ {check.advice}")
        group = check.group if check.group != previous else ""
        previous = check.group
        state = Text(check.state, style=_STATES[check.state])
        table.add_row(Text(group, style="bold"), Text(check.name), state, found)
    console.print(table, width=min(console.width, WIDTH))


def print_meter_check(check: MeterCheck) -> None:
    """Print what an examination of a GPU's counter found."""
    average = "not given" if check.average_w is None else f"{check.average_w:.4g} W"
    sensor = "looks a part of each tick only" if check.part_time else "looks all of the time"
    lines = (
        ("GPU", f"{check.name} ({check.uuid}), driver {check.driver}"),
        (
            "tick",
            f"{1e3 * check.tick_s:.4g} ms (p10 {1e3 * check.tick_p10_s:.4g}, "
            f"p90 {1e3 * check.tick_p90_s:.4g}), a read {1e3 * check.read_s:.3g} ms",
        ),
        ("idle, with a context", f"{check.idle_w:.4g} W"),
        ("under load", f"{check.steady_w:.4g} W, by averages over a second {average}"),
        ("read 200 times a second", f"{100 * check.perturbation:+.2g} %"),
        (
            "sensor",
            f"{sensor} (stretches of 2 s differ by {100 * check.slow_ripple:.2g} % with batches of "
            f"104 ms, {100 * check.fast_ripple:.2g} % with 10 ms)",
        ),
        ("the same load again", f"power {_against(check.again)} times the first (A/A)"),
        ("with the meter", f"throughput {_against(check.throughput)} times that without it"),
        ("NVML does not answer", _refused(check.answers)),
        ("not to be trusted", "; ".join(check.faults) or "nothing found"),
    )
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, found in lines:
        table.add_row(Text(name), Text(found))
    console = make_console()
    console.print(table, width=min(console.width, WIDTH))


def _against(found: Against) -> str:
    return f"{found.ratio:.5f} [{found.low:.5f}, {found.high:.5f}]"


def _refused(answers: dict[str, str]) -> str:
    refused = [f"{call}: {status}" for call, status in answers.items() if status != "ok"]
    return "; ".join(refused) or f"to none of {len(answers)} calls"
