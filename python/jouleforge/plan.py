"""The plan of a study: which measurements its blocks hold, and in which order they run."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from jouleforge.study_file import Cell, EngineCell, Study


@dataclass(frozen=True, slots=True)
class Step:
    """One measurement of the plan."""

    cell: Cell | EngineCell
    key: str
    repeat: int
    position: int
    twin: bool = False

    @property
    def file_name(self) -> str:
        """Return the name of its row's file."""
        return f"{self.key[:16]}-{self.repeat:03d}{'-aa' if self.twin else ''}.json"

    @property
    def title(self) -> str:
        """Return what is done, for a person."""
        again = ", again (A/A)" if self.twin else ""
        return f"{self.cell.name}, {self.cell.padding}{again}"


def steps(study: Study, blocks: int, key: Callable[[Cell | EngineCell], str]) -> list[Step]:
    """Return every measurement in the order it runs: blocks of all cells, each shuffled anew.

    Interleaving spreads whatever drifts (temperature, clocks, neighbours) over all cells alike, and
    makes each block a set of pairs. The twin (A/A) stands anywhere in the block, as any cell does.
    A block's order follows from the seed and its number, so that more blocks change none before.

    Args:
        study: What to measure.
        blocks: How many blocks.
        key: Gives the digest of all that decides what a cell measures.
    """
    found = []
    keys = {cell: key(cell) for cell in study.cells}
    twins = [(study.twin, True)] if study.twin else []
    for repeat in range(blocks):
        block = [*((cell, False) for cell in study.cells), *twins]
        random.Random(f"{study.seed}/{repeat}").shuffle(block)
        found += [
            Step(cell, keys[cell], repeat, position, twin)
            for position, (cell, twin) in enumerate(block)
        ]
    return found
