"""Carbon: the arithmetic, the shipped factors, and what is refused."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jouleforge.carbon import Carbon, Embodied, Grid, choose_carbon, find_grid, shipped_grids
from jouleforge.errors import InputError
from jouleforge.stats import Estimate, Interval

FRANCE = find_grid("FRA")


def test_joules_become_grams_by_way_of_kilowatt_hours() -> None:
    found = Carbon(FRANCE).grams(Estimate(0.412, Interval(0.409, 0.415)))
    assert found.value == pytest.approx(6.41e-6, rel=1e-3)  # 1.144e-7 kWh of 56 g
    assert found.interval is not None
    assert found.interval.low == pytest.approx(found.value * 0.409 / 0.412)
    assert found.interval.high == pytest.approx(found.value * 0.415 / 0.412)


def test_pue_multiplies_grams() -> None:
    energy = Estimate(3.6e6, None)
    assert Carbon(FRANCE).grams(energy).value == pytest.approx(56)
    assert Carbon(FRANCE, pue=1.5).grams(energy).value == pytest.approx(84)


def test_making_of_the_hardware_is_spread_over_its_life() -> None:
    hardware = Embodied(total_kg=100, lifetime_years=2, source="the maker's sheet")
    examples = 50 * 2 * 365.25 * 24 * 3600
    found = hardware.grams(Estimate(50, Interval(40, 100)))
    assert found.value == pytest.approx(100e3 / examples)
    assert found.interval is not None
    assert found.interval.low == pytest.approx(found.value / 2)
    assert found.interval.high == pytest.approx(found.value * 50 / 40)


def test_shipped_factors_are_those_of_their_source() -> None:
    spec = importlib.util.find_spec("codecarbon")
    if spec is None or spec.origin is None:
        pytest.skip("needs the package codecarbon")
    file = Path(spec.origin).parent / "data" / "private_infra" / "global_energy_mix.json"
    theirs = json.loads(file.read_text())
    for code, grid in shipped_grids().items():
        assert theirs[code]["year"] == grid.year
        assert theirs[code]["country_name"] == grid.name
        assert round(theirs[code]["carbon_intensity"]) == grid.g_per_kwh


def test_every_shipped_factor_says_what_it_is() -> None:
    grids = shipped_grids()
    assert len(grids) == 11
    assert {grid.kind for grid in grids.values()} == {"life-cycle"}
    for code, grid in grids.items():
        assert grid.region == code
        assert all((grid.name, grid.year, grid.source, grid.retrieved))


def test_unknown_region_lists_those_there_are() -> None:
    with pytest.raises(InputError, match="no grid 'XXX'") as caught:
        find_grid("XXX")
    assert all(f"{code} ({grid.name})" in str(caught.value)
               for code, grid in shipped_grids().items())  # fmt: skip


def test_nothing_is_assumed_where_nothing_is_asked_for() -> None:
    assert choose_carbon() is None


def test_options_become_a_grid_of_ones_own() -> None:
    found = choose_carbon(g_per_kwh=81.5, source="the utility, 2025", kind="direct", pue=1.2)
    assert found == Carbon(Grid(81.5, "the utility, 2025", "direct"), pue=1.2)
    assert choose_carbon(g_per_kwh=81.5, source="the utility") == Carbon(Grid(81.5, "the utility"))


def test_options_name_a_region_and_the_hardware() -> None:
    found = choose_carbon(region="FRA", embodied="150:4", embodied_source="the maker")
    assert found == Carbon(FRANCE, embodied=Embodied(150, 4, "the maker"))


OWN: dict[str, Any] = {"g_per_kwh": 80.0, "source": "the utility"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"region": "FRA", **OWN}, "--grid and --grid-intensity both"),
        ({"g_per_kwh": 80.0}, "without its source"),
        ({"g_per_kwh": 80.0, "source": " "}, "without its source"),
        ({"source": "the utility"}, "--grid-source says what an intensity"),
        ({"region": "FRA", "source": "the utility"}, "--grid-source says what an intensity"),
        ({"region": "FRA", "kind": "direct"}, "--grid-kind says what an intensity"),
        ({**OWN, "kind": "market"}, "--grid-kind is life-cycle or direct, not 'market'"),
        ({**OWN, "g_per_kwh": -1.0}, "above 0.* found -1"),
        ({**OWN, "g_per_kwh": 0.0}, "above 0.* found 0"),
        ({**OWN, "g_per_kwh": float("nan")}, "above 0.* found nan"),
        ({**OWN, "g_per_kwh": float("inf")}, "above 0.* found inf"),
        ({"region": "FRA", "pue": 0.99}, "1 or more; found 0.99"),
        ({"region": "FRA", "pue": float("nan")}, "1 or more; found nan"),
        ({"pue": 1.2}, "--pue belongs to grams"),
        ({"embodied": "150:4", "embodied_source": "the maker"}, "--embodied belongs to grams"),
        ({"region": "FRA", "embodied": "150:4"}, "without their source"),
        ({"region": "FRA", "embodied": "150", "embodied_source": "the maker"}, "KG:YEARS"),
        ({"region": "FRA", "embodied_source": "the maker"}, "KG:YEARS"),
        ({"region": "FRA", "embodied": "150:0", "embodied_source": "the maker"}, "over 0 years"),
        ({"region": "FRA", "embodied": "nan:4", "embodied_source": "the maker"}, "found nan kg"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose_carbon(**options)


def test_a_changed_factor_is_checked_too() -> None:
    with pytest.raises(InputError, match="above 0"):
        replace(FRANCE, g_per_kwh=0.0)
