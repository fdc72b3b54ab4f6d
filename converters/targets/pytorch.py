"""PyTorch: the module itself, as a baseline that goes through the same harness as every engine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from transformers import PreTrainedModel

from jouleforge.checkpoint import Checkpoint
from jouleforge.converters.parity import Answer, module_logits
from jouleforge.modeling import load_model
from jouleforge.recipe import Precision, Recipe

SOURCE: Literal["module"] = "module"
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
