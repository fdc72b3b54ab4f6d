"""Markdown: the table, then what a reader needs to trust it."""

import re

from jouleforge.comparison import Comparison, Row
from jouleforge.reports.parts import carbon, footnotes, joules, latency, wording
from jouleforge.reports.parts.summary import summary

_SHOWN = ("p50", "p95", "p99")
_COLUMNS = (
    ("Engine", ":--"),
    ("Padding", ":--"),
    ("Batch", "--:"),
    ("Examples/s", "--:"),
    ("p50 / p95 / p99 per {unit}, ms", "--:"),
    ("J/example", "--:"),
    ("{metric}", "--:"),
    ("Same answers", "--:"),
    ("Padding tokens", "--:"),
    ("Speed ratio [95 %]", "--:"),
    ("Frontier", ":-:"),
)


def render(comparison: Comparison) -> str:
    """Return the report as GitHub-flavoured Markdown."""
    parts = [
        f"# {_escape(footnotes.description(comparison))}",
        "\n\n".join(_escape(sentence) for sentence in summary(comparison)),
        table(comparison).rstrip("\n"),
        *_section(f"{wording.MISSING} in the table", footnotes.missing(comparison)),
        *_latency(comparison),
        *_section("Joules", _terms(joules.lines(comparison))),
        *_carbon(comparison),
        *_section("Read with care", _caveats(comparison)),
        *_section("How it was measured", _terms(footnotes.method(comparison))),
        *_section("Environment", [_escape(footnotes.environment(comparison.environment))]),
        *_section("Definitions", _terms(footnotes.DEFINITIONS)),
    ]
    return "\n\n".join(parts) + "\n"


def table(comparison: Comparison) -> str:
    """Return the table alone, one line per row, ending with a line break."""
    metric, unit = _escape(comparison.headline), latency.unit(comparison.rows)
    head = [title.format(metric=metric, unit=unit) for title, _ in _COLUMNS]
    return _lines([head, [rule for _, rule in _COLUMNS], *map(_cells, comparison.rows)])


def _lines(cells: list[list[str]]) -> str:
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def _cells(row: Row) -> list[str]:
    found = row.latencies.percentiles_s
    facts = row.first.facts
    return [
        _escape(row.name),
        _escape(row.first.workload.padding),
        str(row.first.workload.batch_size),
        wording.number(row.examples_per_s.value),
        " / ".join(wording.milliseconds(found[name]) for name in _SHOWN),
        wording.joules(row),
        wording.metric(row.headline),
        wording.same_answers(row),
        wording.percent(facts.padding_fraction),
        # A bracket pair after a number is no link: nothing follows it.
        wording.speed_ratio(row),
        "★" if row.on_frontier else "",
    ]


def _latency(comparison: Comparison) -> list[str]:
    """Return the section of the latencies, in a table of their own."""
    head = ["Engine", *latency.columns(comparison)]
    rules = [":--", ":--", *("--:" for _ in head[2:])]
    rows = [
        [_escape(row.label), *map(_escape, latency.cells(row, comparison))]
        for row in comparison.rows
    ]
    return [
        f"## Latency per {latency.unit(comparison.rows)}",
        _lines([head, rules, *rows]).rstrip("\n"),
    ]


def _carbon(comparison: Comparison) -> list[str]:
    """Return the section of the grams of CO2e, in a table of their own; none without a grid."""
    columns = carbon.columns(comparison)
    if not columns:
        return []
    titles = [_escape(f"{carbon.UNIT}: {column.title}") for column in columns]
    figures = zip(*(column.texts() for column in columns), strict=True)
    table = _lines(
        [
            ["Engine", *titles],
            [":--", *("--:" for _ in columns)],
            *(
                [_escape(row.label), *cells]
                for row, cells in zip(comparison.rows, figures, strict=True)
            ),
        ]
    )
    terms = _section("Carbon", _terms(carbon.terms(comparison)))
    return [terms[0], table.rstrip("\n"), terms[1]]


def _caveats(comparison: Comparison) -> list[str]:
    found = [
        f"{raised.caveat.text} ({_escape(wording.which(raised.rows, comparison))})"
        for raised in comparison.caveats
    ]
    for note in comparison.notes:
        rows = f" ({_escape(wording.which(note.rows, comparison))})" if note.rows else ""
        found.append(f"{_escape(note.text)}{rows}")
    return found


def _terms(terms: list[tuple[str, str]] | tuple[tuple[str, str], ...]) -> list[str]:
    return [f"**{_escape(term)}**: {_escape(text)}" for term, text in terms]


def _section(title: str, items: list[str]) -> list[str]:
    if not items:
        return []
    return [f"## {title}", "\n".join(f"- {item}" for item in items)]


def _escape(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    flat = re.sub(r"([\\`*|~]|(?<!\w)_|_(?!\w))", r"\\\1", " ".join(text.split()))
    return flat.replace("](", "]\\(").replace("<", "&lt;").replace(">", "&gt;")
