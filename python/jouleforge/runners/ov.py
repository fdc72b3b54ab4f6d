"""OpenVINO, through its C interface: the library of the installed wheel, loaded at run time."""

from pathlib import Path
from typing import Literal

from jouleforge._core import OvRunner
from jouleforge.engine import OPENVINO_GRAPH, Engine
from jouleforge.recipe import FloatPrecision
from jouleforge.runners import BoundSession, wheel_library

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
    return wheel_library("openvino", "libs/libopenvino_c.so*", runtime="OpenVINO", extra="openvino")


def load(engine: Engine, *, threads: int) -> BoundSession:
    """Return the engine's graph, compiled by OpenVINO for the CPU."""
    asked = _HINTS[engine.manifest.recipe.float_precision]
    runner = OvRunner(library(), engine.path / OPENVINO_GRAPH, threads=threads, precision=asked)
    runtime = f"openvino {runner.version}"
    used = runner.get_property("INFERENCE_PRECISION_HINT")
    if used != asked:  # this processor has no instructions for it
        runtime += f", {used} instead of {asked}"
    return BoundSession(runner, engine, runtime)
