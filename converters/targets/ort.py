"""ONNX Runtime: the graph is stored as it is, and compiled when it is loaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import onnx
import onnxruntime

from jouleforge.converters.parity import Answer, Inputs, Logits
from jouleforge.errors import GateError
from jouleforge.recipe import Precision, Recipe

SOURCE: Literal["graph"] = "graph"
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8-dynamic")

GRAPH = "model.onnx"


def choices(precision: Precision) -> Mapping[str, tuple[str, ...]]:
    """Return what can be chosen of each field of the recipe."""
    del precision
    return {"flavour": ("fused", "plain")}


def refusal(recipe: Recipe) -> str | None:
    """Return why this engine is not made, and what to ask for instead."""
    if recipe.compiled:
        return (
            "the target ort has no choice `compiled`: ONNX Runtime compiles every graph when it is "
            "loaded; leave it out, or use the target pytorch"
        )
    return None


def write(source: onnx.ModelProto, recipe: Recipe, folder: Path) -> None:
    """Store the graph."""
    del recipe
    onnx.save(source, folder / GRAPH)


def answer(folder: Path, recipe: Recipe) -> Answer:
    """Return a function that runs the stored graph."""
    del recipe
    return _session_answer(folder / GRAPH)


def answer_graph(graph: onnx.ModelProto) -> Answer:
    """Return a function that runs a graph in memory; the exporter's check for every target."""
    return _session_answer(graph.SerializeToString())


def _session_answer(source: Path | bytes) -> Answer:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            source if isinstance(source, bytes) else str(source),
            options,
            providers=["CPUExecutionProvider"],
        )
    # onnxruntime's exceptions have no common base but Exception itself.
    except Exception as error:
        raise GateError(f"ONNX Runtime does not load the graph: {error}") from error

    def run(inputs: Inputs) -> Logits:
        try:
            logits: Logits = session.run(["logits"], inputs)[0]
        except Exception as error:
            raise GateError(f"ONNX Runtime failed to run the graph: {error}") from error
        return logits

    return run
