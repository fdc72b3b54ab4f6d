"""TensorRT: the graph is compiled for the GPU of this machine, with the precision its types give.

A plan is only kept once it has answered as the checkpoint does, so converting needs the GPU.
Without one, `jouleforge.converters.plan.build.build` still compiles a graph, with TensorRT-RTX:
a check of the graph, not an engine.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from jouleforge import cuda, nvinfer
from jouleforge.converters import precision
from jouleforge.converters.evidence import Evidence
from jouleforge.converters.interpreter import Watch
from jouleforge.converters.parity import Answer, Inputs, Logits
from jouleforge.converters.plan import inspection, watching
from jouleforge.converters.plan.build import Plan, build
from jouleforge.cuda import Device
from jouleforge.engine import GRAPH
from jouleforge.errors import MissingError
from jouleforge.nvinfer import record as records
from jouleforge.nvinfer.execution import OUTPUT, Execution, OpenPlan
from jouleforge.nvinfer.record import BuildRecord, LayerRecord
from jouleforge.recipe import Precision, Recipe

SOURCE: Literal["graph"] = "graph"
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "bf16", "int8", "fp8")

TYPED = True
"""Whether the types of the graph decide the precision."""

# Compute capability that the tensor cores of a precision begin with.
_SINCE: Mapping[str, tuple[int, int]] = {"bf16": (8, 0), "fp8": (8, 9)}


def choices(asked: Precision) -> Mapping[str, tuple[str, ...]]:
    """Return what can be chosen of each field of the recipe."""
    chosen: dict[str, tuple[str, ...]] = {"flavour": ("plain",)}
    if asked in ("int8", "fp8"):
        chosen |= {"rest": ("fp16", "bf16", "fp32"), "quantizer": ("own",)}
    return chosen


def refusal(recipe: Recipe) -> str | None:
    """Return why this engine is not made.

    Raises:
        MissingError: It cannot be made, or not be checked, on this machine. Asking before anything
            is exported or calibrated saves minutes.
    """
    if recipe.compiled:
        return "the target trt has no choice `compiled`: every plan is; leave it out"
    if recipe.lean and not recipe.version_compatible:
        return "a plan without its runtime (lean) has to be version_compatible too"
    if recipe.tf32 and "fp32" not in (recipe.precision, recipe.rest):
        return f"tf32 is a way to compute fp32 products, and a {recipe.precision} engine has none"
    if recipe.buckets and recipe.buckets[-1] < recipe.max_length:
        return (
            f"no bucket takes sequences of max_length {recipe.max_length}: the longest of buckets "
            f"is {recipe.buckets[-1]}; add one, or set max_length to it"
        )
    _require_gpu_for(recipe)
    return None


def narrows(recipe: Recipe) -> bool:
    """Return whether the graph is cut down to what the head reads: never.

    Its fusion of attention was only seen with as many queries as keys.
    """
    del recipe
    return False


def profile(recipe: Recipe) -> precision.Profile:
    """Return the form of Q/DQ nodes that TensorRT takes: signed, with a zero point of 0."""
    return "trt-fp8" if recipe.precision == "fp8" else "trt"


def write(source: onnx.ModelProto, recipe: Recipe, folder: Path) -> None:
    """Compile the graph, and store the plan with all that was learnt about it, and the graph.

    The graph is what `watch` looks into: a plan has no inner tensors.

    Raises:
        MissingError: There is no GPU, or no TensorRT but RTX, whose plans are not TensorRT's.
        GateError: TensorRT cannot compile the graph.
    """
    cuda.require()
    plan = build(source, recipe, nvinfer.load_full())
    (folder / records.PLAN).write_bytes(plan.data)
    records.write(folder, _inspected(plan))
    onnx.save(source, folder / GRAPH)


def answer(folder: Path, recipe: Recipe) -> Answer:
    """Return a function that runs the stored plan, one execution at a time and without graphs."""
    del recipe
    plan = _opened(Plan((folder / records.PLAN).read_bytes(), records.read(folder)))
    stream = plan.device.stream()

    def run(inputs: Inputs) -> Logits:
        return Execution(plan, stream, inputs).run(inputs)[OUTPUT]

    return run


def watch(folder: Path, recipe: Recipe, tensors: list[str]) -> Watch:
    """Return a function from inputs to inner tensors, of the stored graph compiled once more.

    Making a tensor an output ends the fusion around it, so that the values are those of the same
    types but not always of the same kernels.
    """
    graph, outputs = watching.with_outputs(onnx.load(folder / GRAPH), tensors)
    one_profile = recipe.model_copy(update={"buckets": (recipe.max_length,)})
    plan = _opened(build(graph, one_profile, nvinfer.load_full()))
    stream = plan.device.stream()

    def run(inputs: Inputs) -> list[NDArray[np.float32]]:
        found = Execution(plan, stream, inputs, (OUTPUT, *outputs.values())).run(inputs)
        nothing = np.zeros(0, np.float32)
        return [found[outputs[name]] if name in outputs else nothing for name in tensors]

    return run


def evidence(folder: Path, recipe: Recipe, inputs: Mapping[str, NDArray[Any]]) -> Evidence:
    """Return what the plan consists of for these inputs, as was recorded when it was built."""
    del recipe
    return inspection.evidence(records.read(folder), inputs)


def _require_gpu_for(recipe: Recipe) -> None:
    gpu = cuda.gpu()
    nvinfer.load_full()
    since = _SINCE.get(recipe.precision)
    if since and gpu.compute_capability < since:
        raise MissingError(
            f"unavailable: {recipe.precision} needs a GPU of compute capability {since[0]}."
            f"{since[1]}; this is {gpu}"
        )


def _opened(plan: Plan) -> OpenPlan:
    return OpenPlan(plan.data, plan.record, nvinfer.load_full(), Device())


def _inspected(plan: Plan) -> BuildRecord:
    """Return the record with the layers of every profile as the plan itself describes them."""
    opened = _opened(plan)
    stream = opened.device.stream()
    found: list[LayerRecord] = []
    for number, profile in enumerate(plan.record.profiles):
        inputs = {name: np.ones(profile.best, np.int64) for name in plan.record.inputs}
        described = inspection.layers_of_json(Execution(opened, stream, inputs).describe())
        found += [layer for layer in described if layer.profile == number]
    if not found:
        return plan.record
    return plan.record.model_copy(
        update={"layers": tuple(found), "layers_from": "engine inspector"}
    )
