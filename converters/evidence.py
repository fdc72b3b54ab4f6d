"""Evidence: what a runtime says it executed, in terms that are the same for every runtime."""

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Product:
    """One matrix product of one run."""

    name: str
    precision: str
    """Format of the factors: fp32, tf32, fp16, bf16, int8, fp8."""
    weighted: bool
    """Whether one factor is a weight; otherwise it is a product of two activations."""
    multiply_adds: int
    provider: str = "cpu"
    """What executed it: cpu, cuda, tensorrt."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one run of an engine consisted of, as its runtime reports it."""

    source: str
    """What was read: "ONNX Runtime's profile of one run"."""
    products: tuple[Product, ...]
    fused_attentions: int
    """Layers whose attention is one operator, or one kernel."""
    operators: dict[str, int]
    """Count of each kind of executed node; empty where the runtime does not tell."""
    elsewhere: tuple[str, ...] = ()
    """Nodes that ran on another device than the engine was asked for, copies included."""
    tf32: bool = False
    """Whether FP32 products may be computed with TF32 factors."""

    def shares(self, *, weighted: bool | None = None) -> dict[str, float]:
        """Return the share of multiply-adds by precision; of weighted products only, or all."""
        work: Counter[str] = Counter()
        for product in self.products:
            if weighted is None or product.weighted == weighted:
                work[product.precision] += product.multiply_adds
        total = work.total()
        return {name: count / total for name, count in sorted(work.items())} if total else {}
