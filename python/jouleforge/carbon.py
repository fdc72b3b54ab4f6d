"""Carbon: the grams of CO2e that joules stand for, by a grid factor that somebody has named.

The arithmetic is `E * I` of the Software Carbon Intensity specification 1.1.0 (ISO/IEC
21031:2024), per example. What a meter covers is less than the boundary which that standard asks
for, so no figure made here is a full score. There is no default grid, and nothing here finds out
where it runs or asks the network.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import Annotated, Literal

from pydantic import Field

from jouleforge.data import read_toml
from jouleforge.errors import InputError
from jouleforge.stats import Estimate, Interval, scaled
from jouleforge.stored import Stored

Kind = Literal["life-cycle", "direct"]
"""What a factor counts: all that supplying electricity emits, or what leaves the stacks alone."""

_KINDS: tuple[Kind, ...] = ("life-cycle", "direct")

_JOULES_PER_KWH = 3.6e6
_SECONDS_PER_YEAR = 365.25 * 24 * 3600


class _Region(Stored):
    name: str
    g_per_kwh: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Table(Stored):
    """The shipped factors: one year, one kind, one source, so that no two of them are mixed."""

    year: int
    kind: Kind
    source: str
    retrieved: date
    regions: dict[Annotated[str, Field(pattern=r"^[A-Z]{3}$")], _Region]


@dataclass(frozen=True, slots=True)
class Grid:
    """How much a kilowatt-hour emits, and who says so.

    Raises:
        InputError: The intensity is no number above 0, or nobody is named.
    """

    g_per_kwh: float
    """Intensity in g CO2e/kWh."""
    source: str
    kind: Kind | None = None
    """`None` where whoever gave the intensity did not say."""
    region: str | None = None
    """ISO 3166-1 alpha-3 code in the shipped table; `None` for an intensity of one's own."""
    name: str | None = None
    year: int | None = None
    retrieved: date | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.g_per_kwh) and self.g_per_kwh > 0):
            raise InputError(
                "a grid intensity is a number of g CO2e/kWh above 0, as 56 for France in 2023; "
                f"found {self.g_per_kwh:g}"
            )
        if not self.source.strip():
            raise InputError(
                "a grid intensity without its source cannot be checked; say whose figure it is, "
                "for where and when (--grid-source)"
            )


@dataclass(frozen=True, slots=True)
class Embodied:
    """What making the hardware emitted, spread over its life: `M = TE * (TiR/EL) * (RR/ToR)`.

    The time in reserve (TiR) is that of one example, and all of the hardware is reserved (RR/ToR is
    1): who reserves a part gives the part's emissions.

    Raises:
        InputError: A value is no number above 0, or nobody is named.
    """

    total_kg: float
    """TE: kg CO2e of making the hardware."""
    lifetime_years: float
    """EL: how long it is expected to serve."""
    source: str

    def __post_init__(self) -> None:
        for value in (self.total_kg, self.lifetime_years):
            if not (math.isfinite(value) and value > 0):
                raise InputError(
                    "embodied emissions are kg CO2e above 0 over a life of years above 0; found "
                    f"{self.total_kg:g} kg over {self.lifetime_years:g} years"
                )
        if not self.source.strip():
            raise InputError(
                "embodied emissions without their source cannot be checked; say whose figure they "
                "are, and of which hardware (--embodied-source)"
            )

    def grams(self, examples_per_s: Estimate) -> Estimate:
        """Return the g CO2e of one example, with the interval that the throughput brings."""
        per_s = self.total_kg * 1e3 / (self.lifetime_years * _SECONDS_PER_YEAR)
        bounds = examples_per_s.interval
        turned = Interval(per_s / bounds.high, per_s / bounds.low) if bounds else None
        return Estimate(per_s / examples_per_s.value, turned)


@dataclass(frozen=True, slots=True)
class Carbon:
    """What turns joules into grams of CO2e: one grid for everything, and the data centre's PUE.

    Raises:
        InputError: The PUE is below 1 or no number.
    """

    grid: Grid
    pue: float = 1.0
    """Power usage effectiveness: energy of the data centre over that of its computers. It scales
    the grams, never the joules."""
    embodied: Embodied | None = None
    """Shown beside the grams of the joules and never added to them: it is of more than a meter
    covers."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.pue) and self.pue >= 1):
            raise InputError(
                "a PUE is the energy of a data centre over that of its computers, so 1 or more; "
                f"found {self.pue:g}"
            )

    def grams(self, energy_j: Estimate) -> Estimate:
        """Return the g CO2e of an energy in J; the interval is the energy's, the factor has none.

        The class of the energy is the class of the grams: those of an estimate are an estimate.
        """
        factor = self.pue * self.grid.g_per_kwh / _JOULES_PER_KWH
        return scaled(energy_j, factor)


@cache
def shipped_grids() -> Mapping[str, Grid]:
    """Return the factors that come with the package, by region code."""
    table = read_toml(resources.files("jouleforge").joinpath("grids.toml"), _Table)
    return {
        code: Grid(
            g_per_kwh=region.g_per_kwh,
            source=table.source,
            kind=table.kind,
            region=code,
            name=region.name,
            year=table.year,
            retrieved=table.retrieved,
        )
        for code, region in sorted(table.regions.items())
    }


def find_grid(region: str) -> Grid:
    """Return the shipped factor of a region.

    Args:
        region: ISO 3166-1 alpha-3 code, such as `FRA`.

    Raises:
        InputError: The table has no such region; names those it has.
    """
    grids = shipped_grids()
    if region not in grids:
        known = ", ".join(f"{code} ({grid.name})" for code, grid in grids.items())
        raise InputError(
            f"no grid {region!r} in the shipped table; choose from {known}, or give an intensity "
            "of your own (--grid-intensity with --grid-source)"
        )
    return grids[region]


def choose_carbon(
    *,
    region: str = "",
    g_per_kwh: float | None = None,
    source: str = "",
    kind: str = "",
    pue: float | None = None,
    embodied: str = "",
    embodied_source: str = "",
) -> Carbon | None:
    """Return what the options of the command line ask for; `None` if they ask for no carbon.

    Args:
        region: A region of the shipped table; or, instead of it,
        g_per_kwh: an intensity of one's own in g CO2e/kWh, which needs
        source: whose figure that is; and may say
        kind: what it counts: `life-cycle` or `direct`.
        pue: Power usage effectiveness; `None` is 1.
        embodied: `KG:YEARS`, the emissions of making the hardware and its expected life, which need
        embodied_source: whose figures those are.

    Raises:
        InputError: The options contradict each other, one of a pair is missing, or a value is out
            of range.
    """
    grid = _choose_grid(region, g_per_kwh, source, kind)
    if grid is not None:
        return Carbon(grid, 1.0 if pue is None else pue, _embodied(embodied, embodied_source))
    if pue is not None or embodied or embodied_source:
        lone = "--embodied" if pue is None else "--pue"
        raise InputError(
            f"{lone} belongs to grams of CO2e, and without a grid there are none; name one "
            "(--grid, or --grid-intensity with --grid-source)"
        )
    return None


def _choose_grid(region: str, g_per_kwh: float | None, source: str, kind: str) -> Grid | None:
    if region and g_per_kwh is not None:
        raise InputError("--grid and --grid-intensity both name an intensity; give one of them")
    if g_per_kwh is None and (source or kind):
        lone = "--grid-source" if source else "--grid-kind"
        raise InputError(
            f"{lone} says what an intensity of your own is; give it too (--grid-intensity)"
        )
    if g_per_kwh is not None:
        return Grid(g_per_kwh=g_per_kwh, source=source, kind=_kind(kind))
    return find_grid(region) if region else None


def _embodied(text: str, source: str) -> Embodied | None:
    if not text and not source:
        return None
    total, _, lifetime = text.partition(":")
    try:
        return Embodied(float(total), float(lifetime), source)
    except ValueError:
        raise InputError(
            "--embodied is KG:YEARS, kg CO2e of making the hardware and the years it is expected "
            f"to serve, such as 150:4; found {text!r}"
        ) from None


def _kind(text: str) -> Kind | None:
    if not text:
        return None
    for kind in _KINDS:
        if text == kind:
            return kind
    raise InputError(f"--grid-kind is {' or '.join(_KINDS)}, not {text!r}")
