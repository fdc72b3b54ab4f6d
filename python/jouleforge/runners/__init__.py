"""Runners: each module here opens one kind of engine for the harness; its name is the target's.

A module defines `load(engine, threads=N) -> Session`.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from jouleforge import variants
from jouleforge._core import Runner
from jouleforge.engine import Engine

Arrays = dict[str, NDArray[Any]]


class Session(Protocol):
    """An engine that is loaded and ready for batches."""

    runtime: str
    """Name and version of what executes it."""

    def prepare(self, inputs: Sequence[Arrays], outputs: Sequence[NDArray[np.float32]]) -> Runner:
        """Return a runner over these batches.

        `outputs[i]`, shape (rows, labels), receives the logits of `inputs[i]` when batch i runs.
        """
        ...


def load(engine: Engine, *, threads: int) -> Session:
    """Return the engine, loaded by the runtime of its target.

    Raises:
        MissingError: The runtime is not installed.
    """
    module = variants.load("jouleforge.runners", engine.manifest.recipe.target)
    session: Session = module.load(engine, threads=threads)
    return session
