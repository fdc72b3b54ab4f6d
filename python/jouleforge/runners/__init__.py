"""Runners: each module here opens one kind of engine for the harness; its name is the target's.

A module defines `load(engine, threads=N) -> Session`.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from jouleforge import variants
from jouleforge._core import OrtRunner, OvRunner, Runner
from jouleforge.engine import Engine
from jouleforge.errors import MissingError

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


class BoundSession:
    """An engine in a native runner that binds arrays once, as those of the CPU runtimes do."""

    def __init__(self, runner: OrtRunner | OvRunner, engine: Engine, runtime: str) -> None:
        self._runner = runner
        self._output = engine.manifest.outputs[0].name
        self.runtime = runtime

    def prepare(self, inputs: Sequence[Arrays], outputs: Sequence[NDArray[np.float32]]) -> Runner:
        """Return the runner, bound to these batches."""
        self._runner.prepare(
            [(arrays, {self._output: out}) for arrays, out in zip(inputs, outputs, strict=True)]
        )
        return self._runner


def wheel_library(package: str, pattern: str, *, runtime: str, extra: str) -> Path:
    """Return the path of a shared library in an installed package, without importing that.

    Args:
        package: Name of the package.
        pattern: Where the library lies in its folder; of several, the last by name is taken.
        runtime: The runtime, as an error names it.
        extra: Extra of ours that installs it.

    Raises:
        MissingError: It is not installed.
    """
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if found := sorted(Path(folder).glob(pattern)):
            return found[-1]
    raise MissingError(f"{runtime} is not installed: pip install 'jouleforge[{extra}]'")
