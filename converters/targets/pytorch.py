"""PyTorch: the module itself, as a baseline that goes through the same harness as every engine."""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any, Literal

# Kineto, torch's profiler, prints lines of its own to stderr unless it was told not to.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")

import torch
from torch.profiler import ProfilerActivity, profile
from transformers import PreTrainedModel

from jouleforge.checkpoint import Checkpoint
from jouleforge.converters.evidence import Evidence, Product
from jouleforge.converters.parity import Answer, Inputs, module_logits
from jouleforge.modeling import compile_module, load_engine
from jouleforge.recipe import Precision, Recipe

SOURCE: Literal["module"] = "module"
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")

_FORMATS = {"float": "fp32", "c10::BFloat16": "bf16", "c10::Half": "fp16"}
# Which inputs are the factors of a product, and which axis of the second is the result's width.
_FACTORS = {
    "aten::mm": (0, 1, 1),
    "aten::addmm": (1, 2, 1),
    "mkldnn::_linear_pointwise": (0, 1, 0),
    "mkl::_mkl_linear": (0, 2, 0),
    "aten::bmm": (0, 1, 2),
    "aten::baddbmm": (1, 2, 2),
}
_OF_ACTIVATIONS = ("aten::bmm", "aten::baddbmm")
_FUSED = "aten::_scaled_dot_product_flash_attention_for_cpu"


def choices(precision: Precision) -> Mapping[str, tuple[str, ...]]:
    """Return what can be chosen of each field of the recipe."""
    del precision
    return {"attention": ("sdpa", "eager")}


def refusal(recipe: Recipe) -> str | None:
    """Return why this engine is not made."""
    del recipe
    return None


def write(source: PreTrainedModel, recipe: Recipe, folder: Path) -> None:
    """Store the configuration and the weights as safetensors.

    A bfloat16 engine holds its encoder's weights rounded, and those of its head in float32.
    """
    weights = source.state_dict()
    if recipe.precision == "bf16":
        encoder = f"{source.base_model_prefix}."
        weights = {
            name: value.to(torch.bfloat16) if name.startswith(encoder) else value
            for name, value in weights.items()
        }
    source.save_pretrained(folder, state_dict=weights)
    for file in folder.glob("*.safetensors"):  # written for the owner's eyes alone
        file.chmod(0o644)


def answer(folder: Path, recipe: Recipe) -> Answer:
    """Return a function that runs the stored module, compiled if it is to be."""
    model = _open(folder, recipe)
    return lambda inputs: module_logits(model, inputs)


def evidence(folder: Path, recipe: Recipe, inputs: Inputs) -> Evidence:
    """Return what PyTorch's profiler saw run on these inputs, int64 of shape (batch, sequence).

    A compiled module is compiled as the runner compiles it, so that the profile shows the kernels
    that Inductor's code calls.

    Raises:
        MissingError: There is no C++ compiler to compile the module with.
    """
    model = _open(folder, recipe)
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    with torch.inference_mode():
        model(**tensors)
        with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as seen:
            model(**tensors)
    with tempfile.TemporaryDirectory() as scratch:
        trace = Path(scratch) / "trace.json"
        seen.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    nodes = [event for event in events if event.get("cat") == "cpu_op"]
    return Evidence(
        source=f"torch {torch.__version__}'s profile of one run",
        products=tuple(product for node in nodes for product in _products(node)),
        fused_attentions=sum(node["name"] == _FUSED for node in nodes),
        operators=dict(sorted(Counter(node["name"] for node in nodes).items())),
    )


def _open(folder: Path, recipe: Recipe) -> Any:
    model = load_engine(Checkpoint.load(folder), recipe)
    return compile_module(model) if recipe.compiled else model


def _products(node: Mapping[str, Any]) -> Iterator[Product]:
    """Yield the matrix products that one entry of the profile computes itself."""
    name: str = node["name"]
    shapes, types = (node["args"].get(f"Input {key}", []) for key in ("Dims", "type"))
    if name == _FUSED:
        format_, work = _FORMATS.get(types[0], "unknown"), prod(shapes[0]) * shapes[1][2]
        yield Product(f"{name}: scores", format_, weighted=False, multiply_adds=work)
        yield Product(f"{name}: context", format_, weighted=False, multiply_adds=work)
    elif name in _FACTORS:
        first, second, width = _FACTORS[name]
        yield Product(
            name,
            _FORMATS.get(types[first], "unknown"),
            weighted=name not in _OF_ACTIVATIONS,
            multiply_adds=prod(shapes[first]) * shapes[second][width],
        )
