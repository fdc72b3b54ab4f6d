"""Carbon: the grams of a comparison's joules, and the words that keep them from meaning more."""

from dataclasses import dataclass

from jouleforge.carbon import Carbon, Embodied, Grid
from jouleforge.comparison import Comparison, Energy, Meter, Row
from jouleforge.reports.parts import wording
from jouleforge.stats import Estimate, scaled

NOT_COMPUTED = "CO2e not computed: no grid intensity given"
UNIT = "µg CO2e/example"
_TIMES = "\N{MULTIPLICATION SIGN}"
_INTERVAL = "Intervals are those of the joules; the factor brings none"

_SCOPES = {
    "gpu_board": "GPU board",
    "cpu_package": "processor package",
    "dram": "memory",
    "machine": "whole machine",
}


@dataclass(frozen=True, slots=True)
class Column:
    """Grams per example of one kind; classes, sources and scopes never share a column."""

    kind: tuple[str, ...]
    """What tells it from other columns."""
    cells: tuple[Estimate | None, ...]
    """Of each row, in the order of the comparison; in g."""

    @property
    def title(self) -> str:
        """Return the kind in one line."""
        return ", ".join(self.kind)

    def texts(self) -> list[str]:
        """Return the cells in µg with their intervals, or the mark of what is missing."""
        return [_micrograms(cell) for cell in self.cells]


def reason(comparison: Comparison) -> str:
    """Return why a comparison has no grams at all; empty where it has."""
    if comparison.carbon is None:
        return NOT_COMPUTED
    if not any(row.energy or row.other_energies for row in comparison.rows):
        return "CO2e not computed: no energy was measured"
    return ""


def columns(comparison: Comparison) -> list[Column]:
    """Return the columns: that of the comparison's meter first, then estimates, and M last."""
    carbon = comparison.carbon
    if carbon is None or reason(comparison):
        return []
    meters = [energy.meter for row in comparison.rows for energy in _energies(row)]
    if comparison.meter is not None:
        meters.insert(0, comparison.meter)
    meters.sort(key=lambda meter: meter.energy_class == "estimated")
    kinds = dict.fromkeys(_kind(meter) for meter in meters)
    found = [
        Column(kind, tuple(_cell(row, kind, carbon) for row in comparison.rows)) for kind in kinds
    ]
    if carbon.embodied is not None:
        making = tuple(carbon.embodied.grams(row.examples_per_s) for row in comparison.rows)
        found.append(Column(("M", "embodied", "as given"), making))
    return found


def terms(comparison: Comparison) -> list[tuple[str, str]]:
    """Return what the grams are made of and what they leave out, or why there are none."""
    carbon, missing = comparison.carbon, reason(comparison)
    if carbon is None or missing:
        return [("Carbon", missing)]
    scope = "of each column what its title names, and nothing else; columns are never added"
    if len(found := columns(comparison)) == 1:
        scope = f"{found[0].kind[-1]} only"
    return [
        ("Carbon", f"E{_TIMES}I {_factor(carbon.grid)}. {_INTERVAL}"),
        ("PUE", _pue(carbon)),
        ("M", _embodied(carbon.embodied)),
        ("Scope", scope),
        ("Standing", "SCI-style partial, not a full ISO/IEC 21031 score"),
    ]


def _energies(row: Row) -> tuple[Energy, ...]:
    return (*((row.energy,) if row.energy else ()), *row.other_energies)


def _kind(meter: Meter) -> tuple[str, str, str]:
    """Return what figures must share to stand in one column: class, source and scope."""
    scope = _SCOPES.get(meter.scope, meter.scope.replace("_", " "))
    return meter.energy_class, meter.source, scope


def _cell(row: Row, kind: tuple[str, str, str], carbon: Carbon) -> Estimate | None:
    found = [energy for energy in _energies(row) if _kind(energy.meter) == kind]
    return carbon.grams(found[0].per_example_j) if found else None


def _micrograms(grams: Estimate | None) -> str:
    if grams is None:
        return wording.MISSING
    found = scaled(grams, 1e6)
    return f"{wording.number(found.value)} {wording.interval(found.interval)}".rstrip()


def _factor(grid: Grid) -> str:
    """Return the factor with all that names it; of one's own, no more than was said."""
    kind = grid.kind or "life-cycle or direct: not said"
    if grid.region is None:
        return f"with the user's own intensity, {grid.g_per_kwh:g} g/kWh ({kind}; {grid.source})"
    return (
        f"location-based, {grid.g_per_kwh:g} g/kWh ({grid.region} {grid.name}, {grid.year}, "
        f"{kind}; {grid.source}; retrieved {grid.retrieved})"
    )


def _pue(carbon: Carbon) -> str:
    if carbon.pue == 1:
        return "1: nothing is added for cooling and the supply of power"
    return f"{carbon.pue:g}: the grams are of so many times the joules, which stay as metered"


def _embodied(found: Embodied | None) -> str:
    if found is None:
        return "not included (the making of the hardware)"
    return (
        f"{found.total_kg:g} kg CO2e over {found.lifetime_years:g} years ({found.source}), by the "
        f"time of an example and with all of that hardware reserved; not added to E{_TIMES}I"
    )
