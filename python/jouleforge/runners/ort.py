"""ONNX Runtime, through its C interface: the library of the installed wheel, loaded at run time."""

from pathlib import Path

from jouleforge import ort_options
from jouleforge._core import OrtRunner
from jouleforge.engine import GRAPH, Engine
from jouleforge.runners import BoundSession, wheel_library


def library() -> Path:
    """Return the path of ONNX Runtime's shared library, without importing its Python module.

    Raises:
        MissingError: It is not installed.
    """
    return wheel_library(
        "onnxruntime", "capi/libonnxruntime.so*", runtime="ONNX Runtime", extra="cpu"
    )


def load(engine: Engine, *, threads: int) -> BoundSession:
    """Return the engine's graph, compiled by ONNX Runtime for the CPU, or for CUDA."""
    recipe = engine.manifest.recipe
    runner = OrtRunner(
        library(),
        engine.path / GRAPH,
        threads=threads,
        providers=[("CUDAExecutionProvider", {})] if recipe.provider == "cuda" else [],
        # A graph that somebody else made runs as its users would run it.
        config={} if engine.manifest.origin else dict(ort_options.entries(recipe)),
    )
    return BoundSession(runner, engine, f"onnxruntime {runner.version}")
