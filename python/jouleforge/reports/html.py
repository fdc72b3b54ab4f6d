"""HTML: one self-contained page; nothing is loaded, no script runs, all text is escaped."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from jouleforge.comparison import Comparison, Meter, Ratio, Row, cost_of
from jouleforge.reports.parts import carbon, charts, footnotes, joules, latency, wording
from jouleforge.reports.parts.charts import Mark, Scatter
from jouleforge.reports.parts.summary import summary, winner
from jouleforge.stats import Estimate, scaled

_TEMPLATE = "page.html.j2"
_TIMES = "\N{MULTIPLICATION SIGN}"
_FEW = 8
"""More rows than this get a chart of the page's full width, with numbers instead of names."""
_WIDE_PX, _FULL_PX, _NARROW_PX = 680.0, 1150.0, 330.0
_WIDEST_BAR = 1.5
"""A whisker may make the scale this much longer than the longest bar; a longer one is cut."""


@dataclass(frozen=True, slots=True)
class _Cell:
    """One cell of the table: the figure, and in small print how sure it is."""

    title: str
    text: str
    details: tuple[str, ...] = ()
    """Lines below the figure; each stays on one line."""
    kind: str = "number"
    """Name of the style: number, good or bad."""


@dataclass(frozen=True, slots=True)
class _Line:
    """One row of the table."""

    number: int
    row: Row
    padding: str
    cells: tuple[_Cell, ...]


@dataclass(frozen=True, slots=True)
class _Bar:
    """One bar; lengths are percentages of the chart's width."""

    number: int
    label: str
    value: str
    title: str
    length: float
    low: float | None
    high: float | None
    kind: str
    """Name of the style: base, good, bad or open."""


@dataclass(frozen=True, slots=True)
class _Bars:
    """A chart of ratios to the baseline."""

    title: str
    caption: str
    one: float
    """Where the baseline's 1 stands, in percent."""
    bars: tuple[_Bar, ...]


@dataclass(frozen=True, slots=True)
class _Plot:
    """The scatter plot for wide and for narrow screens."""

    caption: str
    axis: str
    wide: Scatter
    narrow: Scatter


def render(comparison: Comparison) -> str:
    """Return the report as one HTML page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = _code
    first, *further = summary(comparison)
    return environment.get_template(_TEMPLATE).render(
        comparison=comparison,
        description=footnotes.description(comparison),
        lead=first,
        sentences=further,
        tiles=_tiles(comparison),
        lines=[_line(number, row, comparison) for number, row in _numbered(comparison)],
        plot=_plot(comparison),
        bars=_bars(comparison),
        is_few=len(comparison.rows) <= _FEW,
        missing=footnotes.missing(comparison),
        latency_columns=latency.columns(comparison),
        latency_rows=[latency.cells(row, comparison) for row in comparison.rows],
        latency_unit=latency.unit(comparison.rows),
        carbon_columns=[(each.title, each.texts()) for each in carbon.columns(comparison)],
        carbon_terms=carbon.terms(comparison),
        carbon_unit=carbon.UNIT,
        caveats=_caveats(comparison),
        method=footnotes.method(comparison),
        machine=footnotes.environment(comparison.environment),
        definitions=footnotes.DEFINITIONS,
    )


def _code(text: str) -> Markup:
    """Return escaped text in which what stands between backticks is set as code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    )


def _numbered(comparison: Comparison) -> list[tuple[int, Row]]:
    return list(enumerate(comparison.rows, start=1))


def _tiles(comparison: Comparison) -> list[tuple[str, str, str]]:
    """Return the figures of the winner: value, what it is, and how sure it is."""
    best = winner(comparison)
    if best is None:
        return []
    ratio, energy = best.speed_ratio, best.energy
    found = [
        (
            f"{wording.number(ratio.value)}{_TIMES}",
            "examples per second",
            wording.intervals(ratio.intervals),
        )
    ]
    if best.decisions_equal is not None:
        share = best.decisions_equal / best.first.facts.examples
        same = "100 %" if share == 1 else f"{min(100 * share, 99.9):.1f} %"
        found.append((same, "same answers", wording.same_answers(best)))
    found.append((wording.metric(best.headline), comparison.headline, _metric_detail(best)))
    if energy is not None:
        bounds = wording.intervals(energy.per_example_j.intervals)
        value = f"{wording.number(energy.per_example_j.value)} J"
        found.append((value, f"per example, {energy.meter.energy_class}", bounds))
    return found


def _metric_detail(row: Row) -> str:
    found = row.headline_interval
    return f"[{wording.metric(found.low)}, {wording.metric(found.high)}]" if found else ""


def _line(number: int, row: Row, comparison: Comparison) -> _Line:
    facts = row.first.facts
    cells = [
        _Cell("Examples/s", wording.number(row.examples_per_s.value), _bounds(row.examples_per_s)),
        _speed_cell(row),
        _Cell("J/example", *_energy_texts(row)),
    ]
    if comparison.meter is not None:
        cells.append(_energy_ratio_cell(row))
    cells.append(_latency_cell(row, latency.unit(comparison.rows).capitalize()))
    metric = wording.metric(row.headline)
    cells.append(_Cell(_capital(comparison.headline), metric, _lines(_metric_detail(row))))
    if facts.kind == "single-label":
        cells.append(_difference_cell(row))
    cells.append(_Cell("Same answers", wording.same_answers(row)))
    return _Line(number, row, wording.percent(facts.padding_fraction), tuple(cells))


def _lines(*texts: str) -> tuple[str, ...]:
    return tuple(text for text in texts if text)


def _capital(text: str) -> str:
    """Return a word with a capital; a name such as f1_micro stays as it is."""
    return text.capitalize() if text.isalpha() else text


def _bounds(found: Estimate | None, *, scale: float = 1.0) -> tuple[str, ...]:
    """Return the intervals of an estimate, one a line."""
    return () if found is None else wording.bounds(scaled(found, scale).intervals)


def _latency_cell(row: Row, title: str) -> _Cell:
    found = [row.latencies.percentiles_s[name] for name in ("p50", "p95", "p99")]
    p50, p95, p99 = (wording.milliseconds(each) for each in found)
    bounds = [" ".join(_bounds(each, scale=1e3)) for each in found]
    label = "within-block" if any(each and each.within_block for each in found) else ""
    details = (bounds[0], f"p95 {p95} {bounds[1]}", f"p99 {p99} {bounds[2]}", label)
    return _Cell(f"{title} p50, ms", p50, _lines(*map(str.strip, details)))


def _speed_cell(row: Row) -> _Cell:
    if row.is_baseline:
        return _Cell("Speed ratio", "1", ("baseline",))
    return _ratio_cell("Speed ratio", row.speed_ratio, "above", row.verdict)


def _energy_texts(row: Row) -> tuple[str, tuple[str, ...]]:
    others = [
        f"{_kind(other.meter)}: {wording.number(other.per_example_j.value)}"
        for other in row.other_energies
    ]
    if row.energy is None:
        return wording.MISSING, _lines(*others)
    estimate = row.energy.per_example_j
    windows = (*joules.rejected(row), *joules.dynamic(row), *joules.paused(row))
    per_part = (*joules.correct(row)[:1], *joules.tokens(row))
    details = _lines(*_bounds(estimate), _kind(row.energy.meter), *windows, *per_part, *others)
    return wording.number(estimate.value), details


def _kind(meter: Meter) -> str:
    return f"{meter.energy_class}, {meter.scope.replace('_', ' ')}"


def _energy_ratio_cell(row: Row) -> _Cell:
    ratio, title = row.energy_ratio, "Energy ratio"
    if ratio is None:
        return _Cell(title, wording.MISSING)
    if row.is_baseline:
        return _Cell(title, "1", ("baseline",))
    verdicts = {"above": "more", "below": "less", "neither": "no difference shown"}
    correct = row.correct_energy_ratio
    further = () if correct is None else (f"J/correct {wording.ratio(correct)}",)
    return _ratio_cell(title, ratio, "below", verdicts[ratio.shown], *further)


def _ratio_cell(title: str, ratio: Ratio, good: str, verdict: str, *further: str) -> _Cell:
    bounds = wording.bounds(ratio.intervals) or (f"no interval, pairs: {ratio.pairs}",)
    details = (*bounds, verdict, *further)
    kind = "number" if ratio.shown == "neither" else "good" if ratio.shown == good else "bad"
    return _Cell(title, f"{wording.number(ratio.value)}{_TIMES}", details, kind)


def _difference_cell(row: Row) -> _Cell:
    found, title = row.accuracy_difference, "Accuracy, points"
    if found is None:
        return _Cell(title, wording.MISSING, ("baseline",))
    details = (wording.points_interval(found.interval), wording.p_value(found.p_value))
    kinds = {"above": "good", "below": "bad", "neither": "number"}
    return _Cell(title, wording.points(found.value), details, kinds[found.shown])


def _plot(comparison: Comparison) -> _Plot | None:
    """Return the scatter plot; None where no row has the metric."""
    in_joules = comparison.frontier_cost == "joules"
    costs = [cost_of(row, comparison.frontier_cost) for row in comparison.rows]
    unit, factor = ("J", 1.0) if in_joules and max(costs) >= 0.1 else ("mJ", 1e3)
    if not in_joules:
        unit = "ms"
    shown = [
        (number, row, cost * factor)
        for (number, row), cost in zip(_numbered(comparison), costs, strict=True)
        if row.headline is not None
    ]
    if not shown:
        return None

    def marks(named: bool) -> list[Mark]:
        return [
            Mark(
                cost=cost,
                gain=row.headline or 0.0,
                label=f"{number} {row.label}" if named else str(number),
                title=f"{number} {row.label}: {comparison.headline} "
                f"{wording.metric(row.headline)} at {wording.number(cost)} {unit} per example",
                on_frontier=row.on_frontier,
                is_baseline=row.is_baseline,
            )
            for number, row, cost in shown
        ]

    few = len(shown) <= _FEW
    wide = charts.scatter(marks(few), width=_WIDE_PX if few else _FULL_PX, height=400)
    scale = ", logarithmic" if wide.is_logarithmic else ""
    return _Plot(
        caption=f"{_capital(comparison.headline)} against {comparison.frontier_cost} per example",
        axis=f"{unit} per example{scale}",
        wide=wide,
        narrow=charts.scatter(marks(False), width=_NARROW_PX, height=300),
    )


def _bars(comparison: Comparison) -> list[_Bars]:
    """Return the charts of ratios: of speed and, where there is energy, of energy."""
    if len(comparison.rows) < 2:
        return []
    charts_ = [
        _bar_chart(
            comparison,
            lambda row: row.speed_ratio,
            good="above",
            title="Examples per second, relative to the baseline",
            caption="More is faster.",
        )
    ]
    if any(row.energy_ratio for row in comparison.rows if not row.is_baseline):
        charts_.append(
            _bar_chart(
                comparison,
                lambda row: row.energy_ratio,
                good="below",
                title="Joules per example, relative to the baseline",
                caption="Less is better.",
            )
        )
    return charts_


def _bar_chart(
    comparison: Comparison,
    ratio_of: Callable[[Row], Ratio | None],
    *,
    good: str,
    title: str,
    caption: str,
) -> _Bars:
    found = [(number, row, ratio_of(row)) for number, row in _numbered(comparison)]
    ratios = [ratio for _, _, ratio in found if ratio is not None]
    longest = max(1.0, *(ratio.value for ratio in ratios))
    highs = [ratio.interval.high for ratio in ratios if ratio.interval]
    full = 1.02 * min(max([longest, *highs]), _WIDEST_BAR * longest)
    return _Bars(
        title=title,
        caption=caption,
        one=100 / full,
        bars=tuple(
            _bar(number, row, ratio, full=full, good=good)
            for number, row, ratio in found
            if ratio is not None
        ),
    )


def _bar(number: int, row: Row, ratio: Ratio, *, full: float, good: str) -> _Bar:
    bounds = None if row.is_baseline else ratio.interval
    text = wording.interval(bounds)
    kind = "open" if ratio.shown == "neither" else "good" if ratio.shown == good else "bad"
    return _Bar(
        number=number,
        label=row.label,
        value="1" if row.is_baseline else f"{wording.number(ratio.value)}{_TIMES}",
        title=f"{number} {row.label}: {wording.number(ratio.value)} {text}".rstrip(),
        length=100 * ratio.value / full,
        low=None if bounds is None else 100 * min(bounds.low / full, 1.0),
        high=None if bounds is None else 100 * min(bounds.high / full, 1.0),
        kind="base" if row.is_baseline else kind,
    )


def _caveats(comparison: Comparison) -> list[tuple[str, str]]:
    """Return what to read with care, and the rows that it is about."""
    numbers = {row.label: number for number, row in _numbered(comparison)}

    def rows(labels: Sequence[str]) -> str:
        found = [str(numbers[label]) for label in labels]
        if len(found) in (0, len(numbers)):
            return "all rows" if found else ""
        return f"{'row' if len(found) == 1 else 'rows'} {wording.enumeration(found)}"

    return [
        *((raised.caveat.text, rows(raised.rows)) for raised in comparison.caveats),
        *((note.text, rows(note.rows)) for note in comparison.notes),
    ]
