"""OpenVINO, through its C interface: the library of the installed wheel, loaded at run time."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from jouleforge._core import OvRunner, Runner
from jouleforge.engine import OPENVINO_GRAPH, Engine
from jouleforge.errors import MissingError
from jouleforge.recipe import FloatPrecision
from jouleforge.runners import Arrays

_HINTS: dict[FloatPrecision, Literal["f32", "bf16", "f16"]] = {
    "fp32": "f32",
    "bf16": "bf16",
    "fp16": "f16",
}


def library() -> Path:
    """Return the path of OpenVINO's C library, without importing its Python module.

    Raises:
        MissingError: It is not installed.
    """
    spec = importlib.util.find_spec("openvino")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        found = sorted(Path(folder, "libs").glob("libopenvino_c.so*"))
        if found:
            return found[-1]
    raise MissingError("OpenVINO is not installed: pip install 'jouleforge[openvino]'")


class _Session:
    def __init__(self, engine: Engine, threads: int) -> None:
        asked = _HINTS[engine.manifest.recipe.float_precision]
        self._runner = OvRunner(
            library(), engine.path / OPENVINO_GRAPH, threads=threads, precision=asked
        )
        self._output = engine.manifest.outputs[0].name
        self.runtime = f"openvino {self._runner.version}"
        used = self._runner.get_property("INFERENCE_PRECISION_HINT")
        if used != asked:  # this processor has no instructions for it
            self.runtime += f", {used} instead of {asked}"

    def prepare(self, inputs: Sequence[Arrays], outputs: Sequence[NDArray[np.float32]]) -> Runner:
        self._runner.prepare(
            [(arrays, {self._output: out}) for arrays, out in zip(inputs, outputs, strict=True)]
        )
        return self._runner


def load(engine: Engine, *, threads: int) -> _Session:
    """Return the engine's graph, compiled by OpenVINO for the CPU."""
    return _Session(engine, threads)
