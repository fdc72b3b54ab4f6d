"""ONNX Runtime: the graph is stored as it is, and compiled when it is loaded."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import onnx
import onnxruntime

from jouleforge import ort_options
from jouleforge.converters import interpreter, storage
from jouleforge.converters.evidence import Evidence, Product
from jouleforge.converters.parity import Answer, Inputs
from jouleforge.converters.precision import Profile
from jouleforge.converters.targets import compiled_refusal
from jouleforge.engine import GRAPH
from jouleforge.errors import MissingError
from jouleforge.recipe import Precision, Recipe

SOURCE: Literal["graph"] = "graph"
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8-dynamic", "int8", "fp16", "bf16")

TYPED = True
"""Whether the types of the graph decide the precision."""

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_INT8 = frozenset(
    {"DynamicQuantizeMatMul", "QAttention", "MatMulInteger", "MatMulIntegerToFloat",
     "QLinearMatMul", "QGemm"}
)  # fmt: skip
_FLOAT = frozenset({"MatMul", "FusedMatMul", "Gemm", "FusedGemm"})
_ATTENTION = frozenset({"Attention", "QAttention", "MultiHeadAttention"})
_TYPES = {"float": "fp32", "float16": "fp16", "bfloat16": "bf16"}


def choices(precision: Precision) -> Mapping[str, tuple[str, ...]]:
    """Return what can be chosen of each field of the recipe."""
    if precision == "int8":
        return {"flavour": ("plain",), "provider": ("cpu", "cuda"), "rest": ("fp32",),
                "quantizer": ("own", "nncf")}  # fmt: skip
    if precision == "int8-dynamic":
        return {"flavour": ("fused", "plain"), "provider": ("cpu", "cuda")}
    low = precision in ("fp16", "bf16")
    return {
        "flavour": ("fused", "plain"),
        "provider": ("cuda", "cpu") if low else ("cpu", "cuda"),
    }


def refusal(recipe: Recipe) -> str | None:
    """Return why this engine is not made, and what to ask for instead."""
    if reason := compiled_refusal(recipe, runtime="ONNX Runtime"):
        return reason
    if recipe.provider == "cuda" and recipe.precision.startswith("int8"):
        return (
            "ONNX Runtime's CUDA provider has no INT8 kernels for Q/DQ graphs: it would compute in "
            "float, more slowly than FP16. Use --target trt for INT8 on NVIDIA, or --precision "
            "fp16 with --provider cuda"
        )
    if recipe.precision == "bf16" and recipe.provider == "cpu":
        return (
            "ONNX Runtime's CPU provider has no BF16 kernels; use --target ov or --target pytorch "
            "for BF16 on a CPU, or --provider cuda"
        )
    return None


def narrows(recipe: Recipe) -> bool:
    """Return whether the graph is cut down to what the head reads: on a CPU, where it was timed."""
    return recipe.provider == "cpu"


def profile(recipe: Recipe) -> Profile:
    """Return the form of Q/DQ nodes that ONNX Runtime has fast kernels for."""
    del recipe
    return "x86"


def write(source: onnx.ModelProto, recipe: Recipe, folder: Path) -> None:
    """Store the graph."""
    del recipe
    storage.save(source, folder / GRAPH)


def answer(folder: Path, recipe: Recipe) -> Answer:
    """Return a function that runs the stored graph where the recipe says.

    Raises:
        MissingError: ONNX Runtime here has no such provider.
    """
    return interpreter.answer(
        folder / GRAPH, provider=_provider(recipe), entries=ort_options.entries(recipe)
    )


def watch(folder: Path, recipe: Recipe, tensors: list[str]) -> interpreter.Watch:
    """Return a function from inputs to inner tensors of the stored graph."""
    del recipe
    return interpreter.watch(onnx.load(folder / GRAPH), tensors)


class Watched(interpreter.Profiled):
    """The engine as `answer` opens it, and what ONNX Runtime's profiler says of its first run."""

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        """Open the stored graph where the recipe says."""
        super().__init__(
            folder / GRAPH, provider=_provider(recipe), entries=ort_options.entries(recipe)
        )
        self._wanted = _PROVIDERS["cuda" if recipe.provider == "cuda" else "cpu"]

    def evidence(self) -> Evidence:
        """Return what the first run executed."""
        kernels = self.kernels()
        operators = Counter(event["args"]["op_name"] for event in kernels)
        return Evidence(
            source="ONNX Runtime's profile of one run",
            products=tuple(product for event in kernels for product in _products(event)),
            fused_attentions=sum(operators[name] for name in _ATTENTION),
            operators=dict(operators),
            elsewhere=tuple(
                _name(event) for event in kernels if event["args"]["provider"] != self._wanted
            ),
        )


def evidence(folder: Path, recipe: Recipe, inputs: Inputs) -> Evidence:
    """Return what ONNX Runtime's profiler says of one run."""
    watched = Watched(folder, recipe)
    watched(inputs)
    return watched.evidence()


def _provider(recipe: Recipe) -> str:
    name = _PROVIDERS["cuda" if recipe.provider == "cuda" else "cpu"]
    if name not in onnxruntime.get_available_providers():
        raise MissingError(
            f"ONNX Runtime {onnxruntime.__version__} has no {name}: on a machine with an NVIDIA "
            "GPU, install onnxruntime-gpu instead of onnxruntime (pip install 'jouleforge[gpu]')"
        )
    return name


def _name(event: dict[str, Any]) -> str:
    return str(event["name"]).removesuffix("_kernel_time")


def _products(event: dict[str, Any]) -> Iterator[Product]:
    """Give the matrix products of one kernel: two factors, or a whole attention."""
    operator, provider = event["args"]["op_name"], event["args"]["provider"]
    if operator not in _INT8 | _FLOAT | _ATTENTION:
        return
    # Weights that were packed for a kernel are not among the inputs any more.
    shapes = [next(iter(tensor.items())) for tensor in event["args"]["input_type_shape"]]
    ((_, out),) = event["args"]["output_type_shape"][0].items()
    kind, left = shapes[0]
    precision = "int8" if operator in _INT8 else _TYPES.get(kind, kind)
    where = {value: key for key, value in _PROVIDERS.items()}.get(provider, provider)
    name = _name(event)
    rows, depth, columns = _volume(left[:-1]), left[-1], out[-1]
    if operator not in _ATTENTION:
        factors = [shape for _, shape in shapes if len(shape) >= 2]
        weighted = len(factors) < 2 or len(factors[1]) == 2
        yield Product(name, precision, weighted, rows * depth * columns, where)
        return
    if operator != "MultiHeadAttention":
        yield Product(name, precision, True, rows * depth * 3 * columns, where)
    inner = "fp32" if precision == "int8" else precision
    yield Product(f"{name}:scores", inner, False, 2 * rows * left[1] * columns, where)


def _volume(sizes: list[int]) -> int:
    volume = 1
    for size in sizes:
        volume *= size
    return volume
