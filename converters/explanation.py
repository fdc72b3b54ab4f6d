"""Explanation: where in the graph an engine's values part from the float32 graph's."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

from jouleforge import variants
from jouleforge.checkpoint import Checkpoint
from jouleforge.converters import interpreter, parity
from jouleforge.converters.export import export
from jouleforge.converters.interpreter import Watch
from jouleforge.converters.naming import region
from jouleforge.converters.parity import Inputs
from jouleforge.engine import PARITY, Engine
from jouleforge.errors import InputError
from jouleforge.measurement import WorkloadSpec
from jouleforge.modeling import load_model
from jouleforge.recipe import Recipe
from jouleforge.workload import engine_workload

# Relative error at which two computations of one precision are no longer the same.
_TOLERANCES = {"fp32": 1e-3, "fp16": 0.02, "bf16": 0.1, "int8": 0.25, "int8-dynamic": 0.25,
               "fp8": 0.35}  # fmt: skip

WatchEngine = Callable[[list[str]], Watch]


@dataclass(frozen=True, slots=True)
class Step:
    """How far one tensor is from the reference."""

    tensor: str
    region: str
    error: float
    """Root mean square of the difference over that of the reference, on real tokens."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Errors at the ends of all layers, and inside the first one that parts."""

    layers: tuple[Step, ...]
    inside: tuple[Step, ...]
    """Tensors between the last layer that agrees and the first that does not."""
    tolerance: float

    @property
    def parts_at(self) -> Step | None:
        """The first tensor whose error is over the tolerance; None if all agree."""
        over = [step for step in (*self.inside, *self.layers) if _is_over(step, self.tolerance)]
        return over[0] if over else None

    @property
    def sentence(self) -> str:
        """What was found, in a sentence."""
        if (step := self.parts_at) is not None:
            return (
                f"The values part at {step.region} ({step.tensor}: relative error "
                f"{step.error:.2g}, expected below {self.tolerance:g})."
            )
        if not self.layers:
            return "No layer could be compared."
        worst = max(self.layers, key=lambda step: step.error)
        return (
            f"Every layer agrees within {self.tolerance:g}; the largest relative error is "
            f"{worst.error:.2g}, at {worst.region}."
        )


def explain(
    engine: Engine | str | Path, *, checkpoint: str | Path | None = None, task: str | None = None
) -> Explanation:
    """Return where an engine's values part from those of the checkpoint it was made from.

    Args:
        engine: An engine of an ONNX graph, or its folder.
        checkpoint: The checkpoint, if it is not found under the name in the manifest.
        task: Take the texts of this task's selection split rather than the parity inputs.

    Raises:
        InputError: The engine is a PyTorch module, or the checkpoint is another one.
    """
    if not isinstance(engine, Engine):
        engine = Engine.open(engine)
    recipe = engine.manifest.recipe
    target = variants.load("jouleforge.converters.targets", recipe.target)
    if target.SOURCE != "graph":
        raise InputError(f"{engine.path} is a module, not a graph: it has no layers to compare")
    original = Checkpoint.load(checkpoint or engine.manifest.checkpoint.name)
    if original.digest != engine.manifest.checkpoint.digest:
        raise InputError(
            f"{engine.path} was made from another checkpoint than {original.path}; name it "
            "(--checkpoint)"
        )
    model = load_model(original, attention="eager")
    names = tuple(tensor.name for tensor in engine.manifest.inputs)
    reference = export(
        model,
        flavour="plain",
        inputs=names,
        max_length=engine.manifest.max_length,
        narrow=target.narrows(recipe),
    )
    return locate(
        reference,
        lambda tensors: target.watch(engine.path, recipe, tensors),
        _inputs(engine, task),
        recipe,
    )


def _inputs(engine: Engine, task: str | None) -> Inputs:
    if task is None:
        return parity.load(engine.path / PARITY)[0][0]
    spec = WorkloadSpec(task=task, split="selection", padding="longest", limit=32)
    return engine_workload(engine, spec).batches[0].inputs


def locate(
    reference: onnx.ModelProto, watch_engine: WatchEngine, inputs: Inputs, recipe: Recipe
) -> Explanation:
    """Return where the engine's values part from those of the reference graph.

    First the ends of all layers (LayerNorm) are compared, then every tensor between the last one
    that agrees and the first one that does not.

    Args:
        reference: The plain graph in float32.
        watch_engine: Gives the engine's values of the tensors it has; a tensor it lacks is NaN.
        inputs: A batch that shows the difference.
        recipe: Of the engine; its precision decides what is a difference.
    """
    graph = ir.from_proto(reference).graph
    nodes = [node for node in graph if node.outputs[0].dtype == ir.DataType.FLOAT]
    ends = [node for node in nodes if node.op_type == "LayerNormalization"]
    tolerance = _TOLERANCES[recipe.precision]

    def compare(watched: list[ir.Node]) -> tuple[Step, ...]:
        names = [str(node.outputs[0].name) for node in watched]
        wanted = interpreter.watch(reference, names)(inputs)
        found = watch_engine(names)(inputs)
        mask = inputs["attention_mask"]
        return tuple(
            Step(name, region(node), _error(got, want, mask))
            for name, node, got, want in zip(names, watched, found, wanted, strict=True)
            if got.shape == want.shape
        )

    layers = compare(ends)
    first = next((step for step in layers if _is_over(step, tolerance)), None)
    if first is None:
        return Explanation(layers, (), tolerance)
    stop = next(place for place, node in enumerate(nodes) if node.outputs[0].name == first.tensor)
    before = layers[layers.index(first) - 1].tensor if layers.index(first) else None
    start = next(
        (place + 1 for place, node in enumerate(nodes) if node.outputs[0].name == before), 0
    )
    return Explanation(layers, compare(nodes[start : stop + 1]), tolerance)


def _is_over(step: Step, tolerance: float) -> bool:
    return not step.error <= tolerance  # NaN is over


def _error(found: np.ndarray, wanted: np.ndarray, mask: np.ndarray) -> float:
    if wanted.ndim == 3 and wanted.shape[:2] == mask.shape:  # padded positions are nobody's answer
        found, wanted = found[mask == 1], wanted[mask == 1]
    scale = float(np.sqrt(np.mean(wanted.astype(np.float64) ** 2)))
    return float(np.sqrt(np.mean((found - wanted).astype(np.float64) ** 2))) / (scale or 1.0)
