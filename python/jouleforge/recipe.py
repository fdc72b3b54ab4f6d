"""Recipe: how a checkpoint is to be converted."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Flavour = Literal["plain", "fused"]
Attention = Literal["eager", "sdpa"]
Precision = Literal["fp32", "int8-dynamic"]


class Recipe(BaseModel):
    """How to convert one checkpoint into one engine.

    `"auto"` leaves a choice to the target; the recipe stored in an engine names what was chosen.
    A choice that a target does not have (the attention of a graph, the flavour of a module) is
    stored as `"none"`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str
    """Name of a module in `jouleforge.converters.targets`: `ort`, `pytorch`."""

    precision: Precision = "fp32"
    """Number format of weights and of the multiplications."""

    flavour: Flavour | Literal["auto", "none"] = "auto"
    """Form of the exported graph. `plain`: standard operators, finite mask. `fused`: ONNX Runtime's
    packed attention, embedding and skip-layer-norm operators."""

    attention: Attention | Literal["auto", "none"] = "auto"
    """Attention implementation of a PyTorch module."""

    max_length: int = Field(default=0, ge=0)
    """Longest sequence in tokens that the engine takes; 0 is the checkpoint's own limit."""

    @property
    def name(self) -> str:
        """Return a short name for tables, such as `ort fused int8-dynamic`."""
        parts = [self.target, self.flavour, self.attention, self.precision]
        return " ".join(part for part in parts if part not in ("auto", "none"))
