"""The stop rule: when a study has measured often enough.

A fixed number of blocks comes first; blocks are added until the intervals of all cells are narrow.
Which numbers these are of is fixed beforehand, and never which result they show.
"""

from collections import defaultdict
from collections.abc import Sequence

from jouleforge import stats
from jouleforge.comparison import SCOPES
from jouleforge.comparison.cells import Cell
from jouleforge.comparison.rows import energies
from jouleforge.measurement import Measurement


def is_precise(rows: Sequence[Measurement], *, fewest: int) -> bool:
    """Return whether every cell's 95 % half-width is at most 1 %, of as many windows as were asked.

    It is that of joules per example by the counter or, where none measured the cell, of examples
    per second. A cell that was never measured is not waited for.

    Args:
        rows: Measurements of a study, of whole blocks.
        fewest: Windows of the counter that each cell has to have.
    """
    found: dict[str, dict[int, Measurement]] = defaultdict(dict)
    for row in rows:
        if row.block is not None and not row.block.twin:
            found[row.block.cell][row.block.repeat] = row
    cells = [Cell(repeats=repeats, first=repeats[min(repeats)]) for repeats in found.values()]
    return all(_is_precise(cell, fewest) for cell in cells)


def _is_precise(cell: Cell, fewest: int) -> bool:
    counted = [energy for energy in energies(cell) if energy.meter.energy_class == "counter"]
    if counted:
        leading = min(counted, key=lambda energy: SCOPES.index(energy.meter.scope))
        values = list(leading.by_repeat_j.values())
    else:
        values = [row.examples_per_s for row in cell.repeats.values()]
    width = stats.half_width(stats.geometric_mean(values, resampled=False))
    return len(values) >= fewest and width is not None and width <= stats.NARROW
