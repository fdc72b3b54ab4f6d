"""OpenVINO: the graph is stored as OpenVINO IR, and compiled for the CPU when it is loaded.

The IR keeps the graph's float32 weights whatever the precision: the plugin rounds them once, when
it packs them for its kernels. What it computes in is a property of the compilation, which is always
set, because OpenVINO's default depends on the processor.
"""

import io
from collections import Counter
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from jouleforge.converters.evidence import Evidence, Product
from jouleforge.converters.interpreter import Watch
from jouleforge.converters.parity import Answer, Inputs, Logits
from jouleforge.converters.precision import Profile
from jouleforge.converters.targets import compiled_refusal
from jouleforge.engine import OPENVINO_GRAPH
from jouleforge.errors import GateError
from jouleforge.recipe import FloatPrecision, Precision, Recipe
from jouleforge.telemetry import import_quietly

openvino = import_quietly("openvino")

SOURCE: Literal["graph"] = "graph"
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16", "int8")

TYPED = False
"""Whether the types of the graph decide the precision; here the hint does."""

_HINTS: dict[FloatPrecision, str] = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
# The names that OpenVINO has for our formats, the narrowest first.
_FORMATS = {"u8": "int8", "i8": "int8", "f16": "fp16", "bf16": "bf16", "f32": "fp32"}
_WIDTHS = tuple(dict.fromkeys(_FORMATS.values()))


def choices(precision: Precision) -> Mapping[str, tuple[str, ...]]:
    """Return what can be chosen of each field of the recipe."""
    offered: dict[str, tuple[str, ...]] = {"flavour": ("plain",)}
    if precision == "int8":
        offered |= {"rest": ("fp32", "bf16", "fp16"), "quantizer": ("own", "nncf")}
    return offered


def refusal(recipe: Recipe) -> str | None:
    """Return why this engine is not made, and what to ask for instead."""
    if reason := compiled_refusal(recipe, runtime="OpenVINO"):
        return reason
    if recipe.quantizer == "nncf":
        own = {
            "calibrator": recipe.calibrator != "auto",
            "smoothquant": recipe.smoothquant != "off",
            "keep_float": recipe.keep_float != "none",
        }
        if asked := [name for name, given in own.items() if given]:
            return (
                f"NNCF's defaults choose {asked[0]} by themselves; leave it out, or use "
                "quantizer own"
            )
    return None


def narrows(recipe: Recipe) -> bool:
    """Return whether the graph is cut down to what the head reads: always."""
    del recipe
    return True


def profile(recipe: Recipe) -> Profile:
    """Return the form of Q/DQ nodes that OpenVINO has fast kernels for."""
    del recipe
    return "x86"


def write(source: onnx.ModelProto, recipe: Recipe, folder: Path) -> None:
    """Store the graph as `model.xml`, and its weights beside it as they are."""
    del recipe
    try:
        model = openvino.Core().read_model(io.BytesIO(source.SerializeToString()))
    except RuntimeError as error:
        raise GateError(f"OpenVINO does not read the graph: {error}") from error
    _keep_mask_float(model)
    openvino.save_model(model, folder / OPENVINO_GRAPH, compress_to_fp16=False)


def _keep_mask_float(model: Any) -> None:
    """Make every number that is read from a truth value a choice of two numbers.

    OpenVINO stores truth values in 8 bits, takes the usual (1 - mask) * -10000 for a
    dequantisation, and moves it behind the addition to the scores of every layer.
    """
    for node in model.get_ops():
        if node.get_type_name() != "Convert":
            continue
        truth, number = node.input(0).get_source_output(), node.output(0)
        kind = number.get_element_type()
        if truth.get_element_type() == openvino.Type.boolean and kind.is_real():
            one, zero = (openvino.opset13.constant(value, kind) for value in (1.0, 0.0))
            chosen = openvino.opset13.select(truth, one, zero)
            chosen.set_friendly_name(node.get_friendly_name())
            chosen.output(0).set_names(number.get_names())
            number.replace(chosen.output(0))
    model.validate_nodes_and_infer_types()


def answer(folder: Path, recipe: Recipe) -> Answer:
    """Return a function that runs the stored graph."""
    request = _compiled(folder / OPENVINO_GRAPH, recipe).create_infer_request()
    return lambda inputs: _run(request, inputs)


def watch(folder: Path, recipe: Recipe, tensors: list[str]) -> Watch:
    """Return a function from inputs to inner tensors of the stored graph.

    Making a tensor an output ends the fusion around it, so that the values are those of the same
    precision but not always of the same kernels.
    """
    model = openvino.Core().read_model(folder / OPENVINO_GRAPH)
    known = {name for op in model.get_ops() for out in op.outputs() for name in out.get_names()}
    present = [name for name in tensors if name in known]
    model.add_outputs(present)
    request = _compiled(model, recipe).create_infer_request()

    def run(inputs: Inputs) -> list[NDArray[np.float32]]:
        _run(request, inputs)
        nothing = np.zeros(0, np.float32)
        return [
            np.array(request.get_tensor(name).data, np.float32) if name in present else nothing
            for name in tensors
        ]

    return run


def evidence(folder: Path, recipe: Recipe, inputs: Inputs) -> Evidence:
    """Return what OpenVINO says it executed on these inputs, int64 of shape (batch, sequence).

    Raises:
        GateError: It does not account for every matrix product of the graph.
    """
    compiled = _compiled(folder / OPENVINO_GRAPH, recipe, PERF_COUNT="YES")
    request = compiled.create_infer_request()
    _run(request, inputs)
    status = {entry.node_name: entry.status for entry in request.profiling_info}
    executed = openvino.ProfilingInfo.Status.EXECUTED
    # After a run, its nodes have the shapes of that run.
    nodes = [
        node
        for node in compiled.get_runtime_model().get_ordered_ops()
        if status.get(node.get_friendly_name()) == executed
    ]
    graph = openvino.Core().read_model(folder / OPENVINO_GRAPH)
    expected = {op.get_friendly_name() for op in graph.get_ops() if op.get_type_name() == "MatMul"}
    attentions = [node for node in nodes if len(_products_inside(node, expected)) == 2]
    products = [product for node in nodes for product in _products(node, expected, inputs)]
    version = openvino.__version__.partition("-")[0]
    if len(products) != len(expected):
        raise GateError(
            f"OpenVINO {version} accounts for {len(products)} of the {len(expected)} matrix "
            "products of the graph, so what the others are computed in cannot be told"
        )
    return Evidence(
        source=f"OpenVINO {version}'s runtime model and profile of one run",
        products=tuple(products),
        fused_attentions=len(attentions),
        operators=dict(sorted(Counter(_info(node, "layerType") for node in nodes).items())),
    )


def _compiled(model: Any, recipe: Recipe, **properties: str) -> Any:
    core = openvino.Core()
    # As the runner does, of the core: passed to `compile_model`, a hint that the processor cannot
    # honour is replaced by OpenVINO's default instead of float32 (2026.4).
    core.set_property(
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": _HINTS[recipe.float_precision],
            **properties,
        },
    )
    try:
        return core.compile_model(model, "CPU")
    except RuntimeError as error:
        raise GateError(f"OpenVINO does not load the graph: {error}") from error


def _run(request: Any, inputs: Inputs) -> Logits:
    try:
        # Not `infer`, which loses errors when the model has one thread (2026.4).
        request.start_async(inputs)
        request.wait()
    except RuntimeError as error:
        raise GateError(f"OpenVINO failed to run the graph: {error}") from error
    logits: Logits = request.get_tensor("logits").data.copy()
    return logits


def _info(node: Any, key: str) -> str:
    return str(node.get_rt_info()[key].value)


def _products_inside(node: Any, names: set[str]) -> list[str]:
    """Return the products of the graph that a node of several fused operators consists of."""
    if _info(node, "layerType") != "Subgraph":
        return []
    return [name for name in _info(node, "originalLayersNames").split(",") if name in names]


def _products(node: Any, names: set[str], inputs: Inputs) -> Iterator[Product]:
    """Yield the matrix products that one executed node computes."""
    kind, name = _info(node, "layerType"), node.get_friendly_name()
    work = prod(out := node.output(0).get_shape())
    if kind in ("FullyConnected", "MatMul"):
        first = node.input(0).get_shape()
        depth = first[-1] if kind == "FullyConnected" else prod(first) * out[-1] // work
        yield Product(
            name,
            _format(_info(node, "runtimePrecision")),
            weighted=kind == "FullyConnected",
            multiply_adds=work * depth,
        )
    elif len(inside := _products_inside(node, names)) == 2:
        # Queries, keys, the mask and values, in this order. The node has one format for itself,
        # which need not be that of either product.
        batch, length = inputs["input_ids"].shape
        ports = list(node.inputs())
        masks = [port for port in ports if tuple(port.get_shape()) == (batch, 1, 1, length)]
        formats = [
            _format(_info(port.get_source_output().get_node(), "outputPrecisions"))
            for port in ports
            if port not in masks[-1:]
        ]
        if len(formats) != 3:
            return
        work *= length
        scores = max(formats[:2], key=_WIDTHS.index)
        yield Product(inside[0], scores, weighted=False, multiply_adds=work)
        yield Product(inside[1], formats[2], weighted=False, multiply_adds=work)


def _format(name: str) -> str:
    if name not in _FORMATS:
        raise GateError(f"OpenVINO computes in {name}, which has no place in an audit")
    return _FORMATS[name]
