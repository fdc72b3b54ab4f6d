"""PyTorch: the module itself, as a baseline that goes through the same harness as every engine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import PreTrainedModel

from jouleforge.checkpoint import Checkpoint
from jouleforge.converters.evidence import Evidence, Product
from jouleforge.converters.parity import Answer, Inputs, module_logits
from jouleforge.modeling import load_model
from jouleforge.recipe import Precision, Recipe

SOURCE: Literal["module"] = "module"
_TYPES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
PRECISIONS: tuple[Precision, ...] = ("fp32",)


def choices(precision: Precision) -> Mapping[str, tuple[str, ...]]:
    """Return what can be chosen of each field of the recipe."""
    del precision
    return {"attention": ("sdpa", "eager")}


def refusal(recipe: Recipe) -> str | None:
    """Return why this engine is not made."""
    del recipe
    return None


def write(source: PreTrainedModel, recipe: Recipe, folder: Path) -> None:
    """Store the configuration and the weights as float32 safetensors."""
    del recipe
    source.save_pretrained(folder)
    for file in folder.glob("*.safetensors"):  # written for the owner's eyes alone
        file.chmod(0o644)


def answer(folder: Path, recipe: Recipe) -> Answer:
    """Return a function that runs the stored module."""
    model = load_model(Checkpoint.load(folder), attention=recipe.attention)
    return lambda inputs: module_logits(model, inputs)


def evidence(folder: Path, recipe: Recipe, inputs: Inputs) -> Evidence:
    """Return what torch dispatches in one run."""
    model = load_model(Checkpoint.load(folder), attention=recipe.attention)
    with _Recorder() as recorder:
        module_logits(model, inputs)
    return Evidence(
        source="torch's dispatcher during one run",
        products=tuple(recorder.products),
        fused_attentions=recorder.attentions,
        operators={},
    )


class _Recorder(TorchDispatchMode):
    """Notes every matrix product."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.products: list[Product] = []
        self.attentions = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name == "linear":
            left, weight = args[:2]
            self._note(name, left, weight.shape[0], weighted=True)
        elif name in ("matmul", "mm", "bmm", "addmm"):
            left, right = args[-2:]
            self._note(name, left, right.shape[-1], weighted=right.ndim == 2)
        elif "scaled_dot_product" in name:
            self.attentions += 1
        return func(*args, **(kwargs or {}))

    def _note(self, name: str, left: torch.Tensor, columns: int, *, weighted: bool) -> None:
        work = left.numel() * columns
        self.products.append(Product(name, _TYPES[left.dtype], weighted, work))
