"""ONNX Runtime, through its C interface: the library of the installed wheel, loaded at run time."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jouleforge import ort_options
from jouleforge._core import OrtRunner, Runner
from jouleforge.engine import GRAPH, Engine
from jouleforge.errors import MissingError
from jouleforge.runners import Arrays


def library() -> Path:
    """Return the path of ONNX Runtime's shared library, without importing its Python module.

    Raises:
        MissingError: It is not installed.
    """
    spec = importlib.util.find_spec("onnxruntime")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        found = sorted(Path(folder, "capi").glob("libonnxruntime.so*"))
        if found:
            return found[-1]
    raise MissingError("ONNX Runtime is not installed: pip install 'jouleforge[cpu]'")


class _Session:
    def __init__(self, engine: Engine, threads: int) -> None:
        recipe = engine.manifest.recipe
        cuda = recipe.provider == "cuda"
        self._runner = OrtRunner(
            str(library()),
            str(engine.path / GRAPH),
            threads=threads,
            providers=[("CUDAExecutionProvider", {})] if cuda else [],
            # A graph that somebody else made runs as its users would run it.
            config={} if engine.manifest.origin else dict(ort_options.entries(recipe)),
        )
        self._output = engine.manifest.outputs[0].name
        self.runtime = f"onnxruntime {self._runner.version}"

    def prepare(self, inputs: Sequence[Arrays], outputs: Sequence[NDArray[np.float32]]) -> Runner:
        self._runner.prepare(
            [(arrays, {self._output: out}) for arrays, out in zip(inputs, outputs, strict=True)]
        )
        return self._runner


def load(engine: Engine, *, threads: int) -> _Session:
    """Return the engine's graph, compiled by ONNX Runtime for the CPU."""
    return _Session(engine, threads)
